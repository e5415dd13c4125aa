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

TEST(SyncJournalTest, TheEndOfARoundCountsUntilItsLogIsVouchedForAgain) {
  sim::SimFileSystem files;
  SyncJournal journal(&files, "j", 1 << 20);
  ASSERT_OK(journal.Rewrite());
  const RoundEnd one = {Offset(0), 700, Offset(10)};
  const RoundEnd two = {Offset(8), 300, Offset(20)};
  journal.SetRoundEnd(1, one);
  journal.SetRoundEnd(2, two);
  ASSERT_OK(journal.Flush());
  {
    SyncJournal read(&files, "j", 1 << 20);
    ASSERT_OK(read.Load());
    EXPECT_EQ(read.marks().size(), 0u);
    ASSERT_NE(read.round_end(1), nullptr);
    EXPECT_EQ(*read.round_end(1), one);
    ASSERT_NE(read.round_end(2), nullptr);
    EXPECT_EQ(*read.round_end(2), two);
    EXPECT_EQ(read.round_end(3), nullptr);
  }
  // In the frame of the next round the ends of this one come first.
  journal.SetDurable(1, Offset(10));
  journal.SetDurable(2, Offset(20));
  const RoundEnd next = {Offset(8), 400, Offset(21)};
  journal.SetRoundEnd(2, next);
  ASSERT_OK(journal.Flush());
  {
    SyncJournal read(&files, "j", 1 << 20);
    ASSERT_OK(read.Load());
    EXPECT_EQ(read.round_end(1), nullptr);
    ASSERT_NE(read.round_end(2), nullptr);
    EXPECT_EQ(*read.round_end(2), next);
  }
  journal.Forget(2);
  ASSERT_OK(journal.Flush());
  SyncJournal read(&files, "j", 1 << 20);
  ASSERT_OK(read.Load());
  EXPECT_EQ(read.round_end(2), nullptr);
}

// A round that finds no room is tried again several times a second, for as long as that lasts.
TEST(SyncJournalTest, ARoundThatIsWrittenAgainIsToldOnce) {
  sim::SimFileSystem files;
  SyncJournal journal(&files, "j", 1 << 20);
  ASSERT_OK(journal.Rewrite());
  const RoundEnd round = {Offset(0), 700, Offset(10)};
  journal.SetRoundEnd(1, round);
  ASSERT_OK(journal.Flush());
  journal.SetRoundEnd(1, round);
  EXPECT_FALSE(journal.has_pending());
  const auto expect_told = [&] {
    ASSERT_OK(journal.Flush());
    SyncJournal read(&files, "j", 1 << 20);
    ASSERT_OK(read.Load());
    ASSERT_NE(read.round_end(1), nullptr);
    EXPECT_EQ(*read.round_end(1), round);
  };
  expect_told();
  // Again where it is void meanwhile: what came before the round was vouched for; or the log went,
  // and another has its number; or the file was replaced.
  journal.SetDurable(1, Offset(5));
  journal.SetRoundEnd(1, round);
  expect_told();
  journal.Forget(1);
  journal.SetRoundEnd(1, round);
  expect_told();
  ASSERT_OK(journal.Rewrite());
  journal.SetRoundEnd(1, round);
  expect_told();
}

}  // namespace
}  // namespace millrace::storage
