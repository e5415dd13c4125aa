#include "storage/partitions_journal.h"

#include "base/sim/sim_file_system.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::storage {
namespace {

TEST(PartitionsJournalTest, ReplicasAndNumbersSurviveRewrites) {
  sim::SimFileSystem files;
  SyncJournal syncs(&files, "s", 1 << 20);
  ASSERT_OK(syncs.Rewrite());
  PartitionsJournal journal(&files, "p", 1 << 20, &syncs);
  ASSERT_OK(journal.Rewrite());
  const TopicPartition one{TopicId(Uuid(1, 1)), PartitionIndex(0)};
  const TopicPartition two{TopicId(Uuid(2, 2)), PartitionIndex(5)};
  const uint32_t first = journal.Create(one, "one");
  const uint32_t second = journal.Create(two, "two");
  journal.SetHasData(first);
  journal.SetLogStart(first, Offset(9));
  ASSERT_OK(journal.Flush());
  journal.Delete(second);
  ASSERT_OK(journal.Flush());
  PartitionsJournal read(&files, "p", 1 << 20, &syncs);
  ASSERT_OK(read.Load());
  EXPECT_EQ(read.replicas(), journal.replicas());
  ASSERT_EQ(read.deleted().size(), 1u);
  EXPECT_EQ(read.deleted()[0].topic_name, "two");
  ASSERT_OK(read.Rewrite());
  PartitionsJournal again(&files, "p", 1 << 20, &syncs);
  ASSERT_OK(again.Load());
  EXPECT_EQ(again.replicas(), journal.replicas());
  // A number is never used again.
  EXPECT_GT(again.Create(two, "two"), second);
}

TEST(PartitionsJournalTest, AReplicaIsFoundByItsTopicAndByItsNameWhileItIsNotSetAside) {
  sim::SimFileSystem files;
  SyncJournal syncs(&files, "s", 1 << 20);
  ASSERT_OK(syncs.Rewrite());
  PartitionsJournal journal(&files, "p", 1 << 20, &syncs);
  ASSERT_OK(journal.Rewrite());
  const TopicPartition one{TopicId(Uuid(1, 1)), PartitionIndex(0)};
  const TopicPartition successor{TopicId(Uuid(2, 2)), PartitionIndex(0)};
  const uint32_t first = journal.Create(one, "topic");
  EXPECT_EQ(journal.Find(one)->number, first);
  EXPECT_EQ(journal.FindByName("topic-0")->number, first);
  EXPECT_EQ(journal.Find(successor), nullptr);
  journal.SetStray(first);
  EXPECT_EQ(journal.Find(one)->number, first);
  EXPECT_EQ(journal.FindByName("topic-0"), nullptr);
  const uint32_t second = journal.Create(successor, "topic");
  ASSERT_OK(journal.Flush());
  PartitionsJournal read(&files, "p", 1 << 20, &syncs);
  ASSERT_OK(read.Load());
  for (PartitionsJournal* each : {&journal, &read}) {
    EXPECT_EQ(each->FindByName("topic-0")->number, second);
    // The old one's end takes nothing from its successor.
    each->Delete(first);
    EXPECT_EQ(each->Find(one), nullptr);
    EXPECT_EQ(each->FindByName("topic-0")->number, second);
    each->Delete(second);
    EXPECT_EQ(each->FindByName("topic-0"), nullptr);
  }
}

TEST(PartitionsJournalTest, AReplicaThatIsTakenBackHasItsNameAgain) {
  sim::SimFileSystem files;
  SyncJournal syncs(&files, "s", 1 << 20);
  ASSERT_OK(syncs.Rewrite());
  PartitionsJournal journal(&files, "p", 1 << 20, &syncs);
  ASSERT_OK(journal.Rewrite());
  const TopicPartition one{TopicId(Uuid(1, 1)), PartitionIndex(0)};
  const uint32_t number = journal.Create(one, "topic");
  journal.SetStray(number);
  journal.TakeBack(number);
  ASSERT_OK(journal.Flush());
  PartitionsJournal read(&files, "p", 1 << 20, &syncs);
  ASSERT_OK(read.Load());
  EXPECT_EQ(read.replicas(), journal.replicas());
  for (PartitionsJournal* each : {&journal, &read}) {
    EXPECT_FALSE(each->Find(one)->stray);
    EXPECT_EQ(each->FindByName("topic-0")->number, number);
  }
}

TEST(PartitionsJournalTest, LossOfASyncedLastFrameIsNoticed) {
  sim::SimFileSystem files;
  SyncJournal syncs(&files, "s", 1 << 20);
  ASSERT_OK(syncs.Rewrite());
  PartitionsJournal journal(&files, "p", 1 << 20, &syncs);
  ASSERT_OK(journal.Rewrite());
  journal.Create({TopicId(Uuid(1, 1)), PartitionIndex(0)}, "topic");
  ASSERT_OK(journal.Flush());
  ASSERT_OK_AND_ASSIGN(const std::string bytes, ReadWholeFile(files, "p", 1 << 20));
  files.FlipBit("p", bytes.find("topic") * 8);
  PartitionsJournal read(&files, "p", 1 << 20, &syncs);
  EXPECT_THAT(read.Load(), HasCode(ErrorCode::kCorruptLog));
}

}  // namespace
}  // namespace millrace::storage
