#include "storage/sync_journal.h"

#include "base/sim/sim_file_system.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::storage {
namespace {

TEST(SyncJournalTest, TheLastMarkCountsAndLoweringIsDurableAtOnce) {
  sim::SimFileSystem files;
  SyncJournal journal(&files, "j", 1 << 20);
  ASSERT_OK(journal.Rewrite());
  journal.SetDurable(1, Offset(10));
  journal.AddEpoch(1, {LeaderEpoch(2), Offset(0)});
  journal.SetDurable(2, Offset(20));
  ASSERT_OK(journal.Flush());
  journal.AddEpoch(1, {LeaderEpoch(3), Offset(8)});
  ASSERT_OK(journal.Lower(1, Offset(7)));
  journal.Forget(2);
  ASSERT_OK(journal.Flush());
  SyncJournal read(&files, "j", 1 << 20);
  ASSERT_OK(read.Load());
  EXPECT_EQ(read.marks(), (std::map<uint32_t, Offset>{{1, Offset(7)}}));
  ASSERT_NE(read.epochs(1), nullptr);
  EXPECT_EQ(read.epochs(1)->latest(), LeaderEpoch(2));
  ASSERT_OK(read.Rewrite());
  SyncJournal again(&files, "j", 1 << 20);
  ASSERT_OK(again.Load());
  EXPECT_EQ(again.marks(), read.marks());
  EXPECT_EQ(*again.epochs(1), *read.epochs(1));
}

}  // namespace
}  // namespace millrace::storage
