#include "tools/millrace/partition_verify.h"

#include <string>
#include <vector>

#include "base/sim/sim_file_system.h"
#include "base/status_matchers.h"
#include "storage/epoch_checkpoint.h"
#include "storage/file_names.h"
#include "storage/producer_snapshot.h"
#include "storage/testing/log_fixture.h"

namespace millrace::tools {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kDirectory[] = "data/topic-0";

// A partition of a few segments, two epochs and two producers, as a server leaves it.
class PartitionVerifyTest : public testing::Test {
 protected:
  PartitionVerifyTest() {
    world_.config.segment_bytes = 400;
    world_.config.index_interval_bytes = 80;
    EXPECT_OK(world_.Open());
    EXPECT_OK(world_.Begin(5));
    auto log = world_.OpenLog().value();
    for (int i = 0; i < 8; ++i) {
      EXPECT_OK(log->StageAsLeader(
          storage::MakeBatch("v", 2, storage::kTestTime + i, ProducerId(i % 2), i / 2 * 2),
          LeaderEpoch(1 + i / 4), world_.Now()));
    }
    world_.Run();
    EXPECT_OK(world_.Close(*log));
    log.reset();
    EXPECT_OK(world_.CloseDir());
    world_.Stop();
    facts_.replica = storage::ReplicaRecord{.number = 1,
                                            .topic_partition = world_.Partition(),
                                            .topic_name = "topic",
                                            .has_data = true};
    facts_.synced_to = Offset(16);
  }

  std::string In(absl::string_view name) const { return JoinPath(kDirectory, name); }
  std::vector<Problem> Verify() {
    report_ = {};
    VerifyPartition(*world_.files, kDirectory, facts_, {.records = true}, &report_);
    return report_.problems;
  }
  void ExpectOne(ProblemKind kind, const std::string& path, const std::string& what) {
    const std::vector<Problem> problems = Verify();
    ASSERT_EQ(problems.size(), 1u) << report_.ToText();
    EXPECT_EQ(problems[0].kind, kind) << report_.ToText();
    EXPECT_EQ(problems[0].place.path, path);
    EXPECT_THAT(problems[0].what, HasSubstr(what));
  }

  storage::LogFixture world_;
  PartitionFacts facts_;
  VerifyReport report_;
};

TEST_F(PartitionVerifyTest, WhatAServerLeavesHasNoProblems) {
  EXPECT_THAT(Verify(), IsEmpty()) << report_.ToText();
  EXPECT_EQ(report_.partitions, 1);
  EXPECT_GT(report_.segments, 1);
  EXPECT_EQ(report_.records, 16);
  facts_ = {};
  EXPECT_THAT(Verify(), IsEmpty()) << "alone, without its log directory";
}

TEST_F(PartitionVerifyTest, AMissingSegmentIsAGap) {
  const auto entries = world_.files->ListDirectory(kDirectory).value();
  std::vector<std::string> logs;
  for (const DirectoryEntry& entry : entries) {
    if (storage::ParseSegmentFileName(entry.name, storage::kLogSuffix)) logs.push_back(entry.name);
  }
  ASSERT_GE(logs.size(), 2u);
  ASSERT_OK(world_.files->RemoveFile(In(logs[0])));
  const auto problems = Verify();
  ASSERT_FALSE(problems.empty());
  EXPECT_EQ(problems[0].kind, ProblemKind::kDamage);
  EXPECT_EQ(problems[0].place.path, In(logs[1]));
  EXPECT_THAT(problems[0].what, HasSubstr("the log begins at offset 0"));
}

TEST_F(PartitionVerifyTest, RecordsThatWereSyncedAndAreGoneAreDamage) {
  facts_.synced_to = Offset(20);
  const auto problems = Verify();
  ASSERT_EQ(problems.size(), 1u) << report_.ToText();
  EXPECT_EQ(problems[0].place.offset, Offset(16));
  EXPECT_THAT(problems[0].what, HasSubstr("synced up to offset 20"));
}

TEST_F(PartitionVerifyTest, AnEpochThatTheSyncJournalDoesNotKnowIsDamage) {
  storage::EpochCache vouched;
  ASSERT_OK(vouched.Assign(LeaderEpoch(1), Offset(0)));
  facts_.vouched_epochs = &vouched;
  facts_.vouched_to = Offset(16);
  const auto problems = Verify();
  ASSERT_FALSE(problems.empty());
  EXPECT_EQ(problems[0].place.offset, Offset(8));
  EXPECT_THAT(problems[0].what, HasSubstr("leader epoch 2, but was synced with 1"));
}

TEST_F(PartitionVerifyTest, AnEpochCheckpointThatTheBatchesDoNotBearOutIsAWrongHint) {
  storage::EpochCache epochs;
  ASSERT_OK(epochs.Assign(LeaderEpoch(1), Offset(0)));
  ASSERT_OK(epochs.Assign(LeaderEpoch(2), Offset(6)));
  const std::string path = In(storage::kEpochCheckpointFile);
  ASSERT_OK(ReplaceFile(*world_.files, path, storage::EncodeEpochCheckpoint(epochs, Offset(16))));
  ExpectOne(ProblemKind::kHint, path,
            "it says [epoch 1 from 0, epoch 2 from 6], and the batches [epoch 1 from 0, epoch 2 "
            "from 8]");
  ASSERT_OK(ReplaceFile(*world_.files, path, storage::EncodeEpochCheckpoint(epochs, Offset(99))));
  ExpectOne(ProblemKind::kHint, path, "up to offset 99");
  world_.files->FlipBit(path, 200);
  ExpectOne(ProblemKind::kHint, path, path);
}

TEST_F(PartitionVerifyTest, ASnapshotThatRemembersWhatIsNotThereIsAWrongHint) {
  storage::ProducerState state;
  state.mutable_producers()[ProducerId(77)] = {.epoch = ProducerEpoch(0),
                                               .batches = {{.first_sequence = 0,
                                                            .last_sequence = 1,
                                                            .base_offset = Offset(2),
                                                            .last_offset = Offset(3)}}};
  const std::string path = In(storage::SegmentFileName(Offset(10), storage::kSnapshotSuffix));
  ASSERT_OK(ReplaceFile(*world_.files, path, storage::EncodeProducerSnapshot(state, Offset(10))));
  ExpectOne(ProblemKind::kHint, path, "producer 77 is not in the log");
  world_.files->FlipBit(path, 100);
  ExpectOne(ProblemKind::kHint, path, "");
}

TEST_F(PartitionVerifyTest, AnotherTopicsDirectoryIsDamage) {
  facts_.replica->topic_partition.topic_id = TopicId(Uuid(9, 9));
  ExpectOne(ProblemKind::kDamage, In(storage::kPartitionMetadataFile), "another topic's");
}

TEST_F(PartitionVerifyTest, APartitionThatHeldDataAndHasNoSegmentIsDamage) {
  ASSERT_OK(RemoveTree(*world_.files, kDirectory));
  ASSERT_OK(world_.files->CreateDirectory(kDirectory));
  ExpectOne(ProblemKind::kDamage, kDirectory, "it held data, and has no segment");
}

}  // namespace
}  // namespace millrace::tools
