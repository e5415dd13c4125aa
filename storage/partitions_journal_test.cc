#include "storage/partitions_journal.h"

#include "base/sim/sim_file_system.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::storage {
namespace {

class PartitionsJournalTest : public ::testing::Test {
 protected:
  PartitionsJournalTest() {
    EXPECT_OK(syncs_.Rewrite());
    EXPECT_OK(journal_.Rewrite());
  }

  sim::SimFileSystem files_;
  SyncJournal syncs_{&files_, "s", 1 << 20};
  PartitionsJournal journal_{&files_, "p", 1 << 20, &syncs_};
  // Of the same file, as the next start reads it.
  PartitionsJournal read_{&files_, "p", 1 << 20, &syncs_};
};

TEST_F(PartitionsJournalTest, ReplicasAndNumbersSurviveRewrites) {
  const TopicPartition one{TopicId(Uuid(1, 1)), PartitionIndex(0)};
  const TopicPartition two{TopicId(Uuid(2, 2)), PartitionIndex(5)};
  const uint32_t first = journal_.Create(one, "one");
  const uint32_t second = journal_.Create(two, "two");
  journal_.SetHasData(first);
  journal_.SetLogStart(first, Offset(9));
  ASSERT_OK(journal_.Flush());
  journal_.Delete(second);
  ASSERT_OK(journal_.Flush());
  ASSERT_OK(read_.Load());
  EXPECT_EQ(read_.replicas(), journal_.replicas());
  ASSERT_EQ(read_.deleted().size(), 1u);
  EXPECT_EQ(read_.deleted()[0].topic_name, "two");
  ASSERT_OK(read_.Rewrite());
  PartitionsJournal again(&files_, "p", 1 << 20, &syncs_);
  ASSERT_OK(again.Load());
  EXPECT_EQ(again.replicas(), journal_.replicas());
  // A number is never used again.
  EXPECT_GT(again.Create(two, "two"), second);
}

TEST_F(PartitionsJournalTest, AReplicaIsFoundByItsTopicAndByItsNameWhileItIsNotSetAside) {
  const TopicPartition one{TopicId(Uuid(1, 1)), PartitionIndex(0)};
  const TopicPartition successor{TopicId(Uuid(2, 2)), PartitionIndex(0)};
  const uint32_t first = journal_.Create(one, "topic");
  EXPECT_EQ(journal_.Find(one)->number, first);
  EXPECT_EQ(journal_.FindByName("topic-0")->number, first);
  EXPECT_EQ(journal_.Find(successor), nullptr);
  journal_.SetStray(first);
  EXPECT_EQ(journal_.Find(one)->number, first);
  EXPECT_EQ(journal_.FindByName("topic-0"), nullptr);
  const uint32_t second = journal_.Create(successor, "topic");
  ASSERT_OK(journal_.Flush());
  ASSERT_OK(read_.Load());
  for (PartitionsJournal* each : {&journal_, &read_}) {
    EXPECT_EQ(each->FindByName("topic-0")->number, second);
    // The old one's end takes nothing from its successor.
    each->Delete(first);
    EXPECT_EQ(each->Find(one), nullptr);
    EXPECT_EQ(each->FindByName("topic-0")->number, second);
    each->Delete(second);
    EXPECT_EQ(each->FindByName("topic-0"), nullptr);
  }
}

TEST_F(PartitionsJournalTest, AReplicaThatIsTakenBackHasItsNameAgain) {
  const TopicPartition one{TopicId(Uuid(1, 1)), PartitionIndex(0)};
  const uint32_t number = journal_.Create(one, "topic");
  journal_.SetStray(number);
  journal_.TakeBack(number);
  ASSERT_OK(journal_.Flush());
  ASSERT_OK(read_.Load());
  EXPECT_EQ(read_.replicas(), journal_.replicas());
  for (PartitionsJournal* each : {&journal_, &read_}) {
    EXPECT_FALSE(each->Find(one)->stray);
    EXPECT_EQ(each->FindByName("topic-0")->number, number);
  }
}

TEST_F(PartitionsJournalTest, LossOfASyncedLastFrameIsNoticed) {
  journal_.Create({TopicId(Uuid(1, 1)), PartitionIndex(0)}, "topic");
  ASSERT_OK(journal_.Flush());
  ASSERT_OK_AND_ASSIGN(const std::string bytes, ReadWholeFile(files_, "p", 1 << 20));
  files_.FlipBit("p", bytes.find("topic") * 8);
  EXPECT_THAT(read_.Load(), HasCode(ErrorCode::kCorruptLog));
}

}  // namespace
}  // namespace millrace::storage
