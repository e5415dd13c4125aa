#include "storage/log_recovery.h"

#include <algorithm>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/checked_text.h"
#include "storage/epoch_checkpoint.h"
#include "storage/producer_snapshot.h"
#include "storage/testing/log_fixture.h"

namespace millrace::storage {
namespace {

// Two segments: offsets 0 to 4, sealed, and 5 to 9, active; epochs 1 and 2 in turn.
class LogRecoveryTest : public testing::Test {
 protected:
  void SetUp() override {
    input_.identity = std::make_shared<LogFilesIdentity>();
    input_.identity->directory = "topic-0";
    input_.identity->name = "topic-0";
    input_.replica.number = 1;
    input_.replica.topic_partition = LogFixture::Partition();
    input_.replica.topic_name = "topic";
    input_.replica.has_data = true;
    input_.index_interval_bytes = 150;
    ASSERT_OK(files_.CreateDirectory("topic-0"));
    for (int i = 0; i < 10; ++i) {
      std::string& segment = i < 5 ? sealed_ : active_;
      starts_.push_back(segment.size());
      segment += MakeStampedBatch(Offset(i), LeaderEpoch(1 + i / 5), "value", 1, kTestTime + i,
                                  ProducerId(6), i);
    }
    WriteLog(Offset(0), sealed_);
    WriteLog(Offset(5), active_);
  }
  static std::string Path(Offset base, absl::string_view suffix) {
    return JoinPath("topic-0", SegmentFileName(base, suffix));
  }
  void WriteLog(Offset base, const std::string& contents) {
    ASSERT_OK(ReplaceFile(files_, Path(base, kLogSuffix), contents));
  }
  RecoveredLog Recover() {
    absl::StatusOr<RecoveredLog> log = RecoverLog(files_, input_);
    EXPECT_OK(log);
    return *std::move(log);
  }
  // Whether recovery of the log as it is now calls it damaged, and leaves every byte alone.
  void ExpectOfflineAndUntouched(absl::string_view why) {
    const std::string before = FileContents(files_, Path(Offset(5), kLogSuffix));
    EXPECT_THAT(Recover().status, IsError(ErrorCode::kCorruptLog, std::string(why)));
    EXPECT_EQ(FileContents(files_, Path(Offset(5), kLogSuffix)), before);
  }

  sim::SimFileSystem files_;
  RecoveryInput input_;
  std::string sealed_;
  std::string active_;
  std::vector<size_t> starts_;
};

TEST_F(LogRecoveryTest, WithoutAnyHintAllIsLearnedFromTheBatches_KAFKA16541) {
  const RecoveredLog log = Recover();
  ASSERT_OK(log.status);
  EXPECT_EQ(log.end, Offset(10));
  EXPECT_EQ(log.cut_bytes, 0u);
  ASSERT_EQ(log.segments.size(), 2u);
  EXPECT_EQ(log.segments[0].max_timestamp_ms, kTestTime + 4);
  EXPECT_EQ(log.segments[1].max_timestamp_ms, kTestTime + 9);
  EXPECT_THAT(log.epochs.entries(), testing::ElementsAre(EpochEntry{LeaderEpoch(1), Offset(0)},
                                                         EpochEntry{LeaderEpoch(2), Offset(5)}));
  EXPECT_EQ(log.producers.producers().at(ProducerId(6)).batches.back().last_sequence, 9);
  EXPECT_TRUE(files_.Exists(Path(Offset(0), kOffsetIndexSuffix)).value());
}

TEST_F(LogRecoveryTest, ATornTailIsCutAndSaid) {
  // The first bytes of an offset are zeros, like room allocated ahead.
  for (size_t size = starts_[8] + 8; size < starts_[9]; size += 7) {
    WriteLog(Offset(5), active_.substr(0, size));
    const RecoveredLog log = Recover();
    ASSERT_OK(log.status);
    EXPECT_EQ(log.end, Offset(8));
    EXPECT_EQ(log.cut_bytes, size - starts_[8]);
    EXPECT_EQ(FileContents(files_, Path(Offset(5), kLogSuffix)), active_.substr(0, starts_[8]));
  }
}

TEST_F(LogRecoveryTest, RoomAllocatedAheadIsTrimmedAndNoCut) {
  WriteLog(Offset(5), active_ + std::string(4096, '\0'));
  const RecoveredLog log = Recover();
  ASSERT_OK(log.status);
  EXPECT_EQ(log.cut_bytes, 0u);
  EXPECT_EQ(FileContents(files_, Path(Offset(5), kLogSuffix)), active_);
}

TEST_F(LogRecoveryTest, DamageBelowTheMarkIsCorruptionAndNothingIsCut) {
  std::string damaged = active_;
  damaged[starts_[7] + 30] = static_cast<char>(damaged[starts_[7] + 30] ^ 1);
  WriteLog(Offset(5), damaged);
  input_.mark = Offset(8);
  ExpectOfflineAndUntouched("were synced up to 8");
  // What a clean stop vouches for, too.
  input_.mark.reset();
  input_.clean_end = Offset(10);
  ExpectOfflineAndUntouched("were synced up to 10");
}

TEST_F(LogRecoveryTest, WhatIsCutAboveTheMarkWasNeverVouchedFor) {
  std::string damaged = active_;
  damaged[starts_[9] + 30] = static_cast<char>(damaged[starts_[9] + 30] ^ 1);
  WriteLog(Offset(5), damaged);
  input_.mark = Offset(9);
  const RecoveredLog log = Recover();
  ASSERT_OK(log.status);
  EXPECT_EQ(log.end, Offset(9));
}

// S-08: a round is written only after the one before it is synced.
TEST_F(LogRecoveryTest, DamageFollowedByALaterRoundIsCorruptionAndNothingIsCut_S08) {
  input_.mark = Offset(7);
  const RoundEnd round = {Offset(5), starts_[9], Offset(9)};
  input_.round_end = &round;
  for (const size_t damaged_at : {starts_[7] + 30, starts_[8] + 2, starts_[9] - 1}) {
    std::string damaged = active_;
    damaged[damaged_at] = static_cast<char>(damaged[damaged_at] ^ 1);
    WriteLog(Offset(5), damaged);
    ExpectOfflineAndUntouched("what follows offset 9 was written after a sync");
    // Whatever is left of the later round.
    WriteLog(Offset(5), damaged.substr(0, starts_[9] + 8));
    ExpectOfflineAndUntouched("what follows offset 9 was written after a sync");
  }
  // A page that reads as zeros now.
  std::string holed = active_;
  std::fill(holed.begin() + static_cast<std::ptrdiff_t>(starts_[8]),
            holed.begin() + static_cast<std::ptrdiff_t>(starts_[9]), '\0');
  WriteLog(Offset(5), holed);
  ExpectOfflineAndUntouched("what follows offset 9 was written after a sync");
  EXPECT_EQ(Recover().proven_end, Offset(9));
}

TEST_F(LogRecoveryTest, DamageInTheLastRoundIsATornTail_S08) {
  std::string damaged = active_;
  damaged[starts_[8] + 30] = static_cast<char>(damaged[starts_[8] + 30] ^ 1);
  const RoundEnd last = {Offset(5), active_.size(), Offset(10)};
  const RoundEnd of_another_segment = {Offset(0), starts_[9], Offset(9)};
  for (const RoundEnd* const round : {&last, &of_another_segment}) {
    WriteLog(Offset(5), damaged + std::string(4096, '\0'));
    input_.round_end = round;
    const RecoveredLog log = Recover();
    ASSERT_OK(log.status);
    EXPECT_EQ(log.end, Offset(8));
    EXPECT_FALSE(log.proven_end.has_value());
  }
}

TEST_F(LogRecoveryTest, AMissingTailBelowTheMarkIsCorruption) {
  WriteLog(Offset(5), active_.substr(0, starts_[8]));
  input_.mark = Offset(9);
  ExpectOfflineAndUntouched("end at offset 8");
}

TEST_F(LogRecoveryTest, ASealedSegmentThatEndsEarlyIsCorruption) {
  WriteLog(Offset(0), sealed_.substr(0, starts_[4]));
  ExpectOfflineAndUntouched("segment 0 ends at offset 4 instead of 5");
  ASSERT_OK(files_.RemoveFile(Path(Offset(0), kLogSuffix)));
  ExpectOfflineAndUntouched("its first segment begins with offset 5");
}

TEST_F(LogRecoveryTest, AnEpochOtherThanTheVouchedOneIsCorruption) {
  EpochCache vouched;
  ASSERT_OK(vouched.Assign(LeaderEpoch(1), Offset(0)));
  input_.mark = Offset(10);
  input_.vouched_epochs = &vouched;
  ExpectOfflineAndUntouched("was synced with 1");
}

TEST_F(LogRecoveryTest, WhatNobodyCountsOnEndsWhereItsDamageBegins_S35) {
  EpochCache vouched;
  ASSERT_OK(vouched.Assign(LeaderEpoch(1), Offset(0)));
  input_.mark = Offset(10);
  input_.vouched_epochs = &vouched;
  input_.cuts_damage = true;
  RecoveredLog log = Recover();
  ASSERT_OK(log.status);
  // The first batch of epoch 2 is not what was synced there.
  const Offset cut = log.end;
  EXPECT_LT(cut, Offset(10));
  EXPECT_EQ(log.epochs.latest(), LeaderEpoch(1));
  // In an earlier segment: the later ones are not there any more.
  input_.vouched_epochs = nullptr;
  WriteLog(Offset(0), sealed_.substr(0, starts_[4]));
  log = Recover();
  ASSERT_OK(log.status);
  EXPECT_EQ(log.end, Offset(4));
  ASSERT_EQ(log.segments.size(), 1u);
  EXPECT_FALSE(*files_.Exists(Path(Offset(5), kLogSuffix)));
  EXPECT_EQ(log.producers.producers().at(ProducerId(6)).batches.back().last_sequence, 3);
  input_.cuts_damage = false;
  input_.mark.reset();
  ASSERT_OK(Recover().status);
}

TEST_F(LogRecoveryTest, AReplicaThatHeldDataAndHasNoneIsCorruption) {
  ASSERT_OK(RemoveTree(files_, "topic-0"));
  EXPECT_THAT(Recover().status, IsError(ErrorCode::kCorruptLog, "its directory is gone"));
  ASSERT_OK(files_.CreateDirectory("topic-0"));
  EXPECT_THAT(Recover().status, IsError(ErrorCode::kCorruptLog, "has no segment"));
  input_.replica.has_data = false;
  const RecoveredLog log = Recover();
  ASSERT_OK(log.status);
  EXPECT_EQ(log.end, Offset(0));
  input_.mark = Offset(3);
  EXPECT_THAT(Recover().status, HasCode(ErrorCode::kCorruptLog));
}

TEST_F(LogRecoveryTest, AnotherTopicsDirectoryIsNotTaken) {
  const std::string text = EncodeCheckedText(
      "partition", {absl::StrCat("topic_id=", TopicId(Uuid(5, 5)).ToString()), "partition=0"});
  ASSERT_OK(ReplaceFile(files_, "topic-0/partition.metadata", text));
  ExpectOfflineAndUntouched("its directory is another topic's");
}

TEST_F(LogRecoveryTest, DamagedHintsAreReplacedByTheBatches) {
  EpochCache wrong;
  ASSERT_OK(wrong.Assign(LeaderEpoch(1), Offset(0)));
  ASSERT_OK(ReplaceFile(files_, "topic-0/leader-epoch-checkpoint",
                        EncodeEpochCheckpoint(wrong, Offset(10)) + "x"));
  ASSERT_OK(ReplaceFile(files_, Path(Offset(5), kSnapshotSuffix), "x"));
  const RecoveredLog log = Recover();
  ASSERT_OK(log.status);
  EXPECT_EQ(log.epochs.latest(), LeaderEpoch(2));
  EXPECT_EQ(log.producers.producers().at(ProducerId(6)).batches.back().last_sequence, 9);
}

TEST_F(LogRecoveryTest, HintsAboutBatchesThatAreGoneAreForgotten) {
  EpochCache later;
  ASSERT_OK(later.Assign(LeaderEpoch(1), Offset(0)));
  ASSERT_OK(later.Assign(LeaderEpoch(7), Offset(12)));
  ASSERT_OK(ReplaceFile(files_, "topic-0/leader-epoch-checkpoint",
                        EncodeEpochCheckpoint(later, Offset(20))));
  ASSERT_OK(ReplaceFile(files_, Path(Offset(20), kSnapshotSuffix),
                        EncodeProducerSnapshot(ProducerState(), Offset(20))));
  const RecoveredLog log = Recover();
  ASSERT_OK(log.status);
  EXPECT_EQ(log.epochs.latest(), LeaderEpoch(1));
  EXPECT_FALSE(files_.Exists(Path(Offset(20), kSnapshotSuffix)).value());
  EXPECT_EQ(log.producers.producers().at(ProducerId(6)).batches.back().last_sequence, 9);
}

TEST_F(LogRecoveryTest, ADeletionThatWasDecidedIsFinished) {
  input_.replica.log_start = Offset(5);
  const RecoveredLog log = Recover();
  ASSERT_OK(log.status);
  EXPECT_EQ(log.log_start, Offset(5));
  EXPECT_EQ(log.segments.size(), 1u);
  EXPECT_FALSE(files_.Exists(Path(Offset(0), kLogSuffix)).value());
  EXPECT_EQ(log.epochs.entries().front().start_offset, Offset(5));
}

TEST_F(LogRecoveryTest, ALogWhoseTailWasDeletedAndLostBeginsAgainAtItsStart) {
  input_.replica.log_start = Offset(50);
  const RecoveredLog log = Recover();
  ASSERT_OK(log.status);
  EXPECT_EQ(log.log_start, Offset(50));
  EXPECT_EQ(log.end, Offset(50));
  EXPECT_TRUE(log.epochs.entries().empty());
}

// With what a writer leaves beside a recovery point: indexes, epochs, a snapshot.
class RecoveryPointTest : public LogRecoveryTest {
 protected:
  void SetUp() override {
    LogRecoveryTest::SetUp();
    const size_t whole = active_.size();
    for (const size_t cut : {starts_[8], whole}) {
      WriteLog(Offset(5), active_.substr(0, cut));
      RecoveredLog log = Recover();
      ASSERT_OK(log.status);
      if (cut == whole) {
        without_point_ = std::move(log);
        continue;
      }
      ASSERT_OK(log.disk->WriteSnapshot(Offset(8), EncodeProducerSnapshot(log.producers, log.end)));
      ASSERT_OK(log.disk->WriteEpochs(EncodeEpochCheckpoint(log.epochs, log.end)));
      ASSERT_OK_AND_ASSIGN(const std::optional<RecoveryPoint> point, log.disk->MakeRecoveryPoint());
      ASSERT_TRUE(point.has_value());
      point_ = *point;
    }
    ASSERT_EQ(point_.offset, Offset(8));
    input_.point = &point_;
  }
  void ExpectSame(const RecoveredLog& log) {
    ASSERT_OK(log.status);
    EXPECT_EQ(log.end, without_point_.end);
    EXPECT_EQ(log.epochs, without_point_.epochs);
    EXPECT_EQ(log.producers, without_point_.producers);
    ASSERT_EQ(log.segments.size(), 2u);
    EXPECT_EQ(log.segments[1].size_bytes, without_point_.segments[1].size_bytes);
    EXPECT_EQ(log.segments[1].max_timestamp_ms, without_point_.segments[1].max_timestamp_ms);
    EXPECT_EQ(log.segments[1].first_timestamp_ms, without_point_.segments[1].first_timestamp_ms);
    EXPECT_EQ(log.disk->builder.state(), without_point_.disk->builder.state());
    EXPECT_EQ(log.disk->index_size, without_point_.disk->index_size);
    EXPECT_EQ(log.disk->time_size, without_point_.disk->time_size);
    EXPECT_EQ(log.disk->last_batch, without_point_.disk->last_batch);
  }

  RecoveryPoint point_;
  RecoveredLog without_point_;
};

TEST_F(RecoveryPointTest, FindsTheSameWithoutReadingWhatLiesBefore) {
  uint64_t first_read = active_.size();
  files_.SetLatency([&](const sim::SimCall& call) {
    if (call.kind == sim::SimCall::Kind::kRead && call.path.find("5.log") != std::string::npos) {
      first_read = std::min(first_read, call.offset);
    }
  });
  const RecoveredLog log = Recover();
  files_.SetLatency(nullptr);
  EXPECT_TRUE(log.point_used);
  ExpectSame(log);
  EXPECT_EQ(first_read, starts_[7]) << "the batch before the point proves it";
}

TEST_F(RecoveryPointTest, WhatFollowsThePointIsCutOrCalledDamageAsEver) {
  WriteLog(Offset(5), active_.substr(0, starts_[9] + 20));
  input_.mark = Offset(10);
  ExpectOfflineAndUntouched("were synced up to 10");
  input_.mark = Offset(9);
  const RecoveredLog log = Recover();
  ASSERT_OK(log.status);
  EXPECT_TRUE(log.point_used);
  EXPECT_EQ(log.end, Offset(9));
  EXPECT_EQ(log.cut_bytes, 20u);
}

TEST_F(RecoveryPointTest, APointThatDoesNotFitIsNotBelieved) {
  const RecoveryPoint right = point_;
  const auto expect_unused = [&](auto change) {
    point_ = right;
    change(point_);
    const RecoveredLog log = Recover();
    EXPECT_FALSE(log.point_used);
    ExpectSame(log);
  };
  expect_unused([](RecoveryPoint& p) { p.segment_base = Offset(0); });
  expect_unused([](RecoveryPoint& p) { p.offset = Offset(7); });
  expect_unused([](RecoveryPoint& p) { p.offset = Offset(9); });
  expect_unused([](RecoveryPoint& p) { p.last_batch += 1; });
  expect_unused([](RecoveryPoint& p) { p.last_batch = 0; });
  expect_unused([](RecoveryPoint& p) { p.position += 1; });
  expect_unused([](RecoveryPoint& p) { p.position = 1 << 30; });
  expect_unused([](RecoveryPoint& p) { p.offset_index_bytes += 8000; });
  expect_unused([](RecoveryPoint& p) { p.time_index_bytes += 1; });
}

TEST_F(RecoveryPointTest, WithoutItsSnapshotEpochsOrIndexAllIsRead) {
  files_.FlipBit(Path(Offset(8), kSnapshotSuffix), 90);
  RecoveredLog log = Recover();
  EXPECT_FALSE(log.point_used);
  ExpectSame(log);
  files_.FlipBit(Path(Offset(8), kSnapshotSuffix), 90);
  files_.FlipBit("topic-0/leader-epoch-checkpoint", 90);
  log = Recover();
  EXPECT_FALSE(log.point_used);
  ExpectSame(log);
}

TEST_F(LogRecoveryTest, ADiskThatCannotBeReadIsNoDamageOfTheLog) {
  files_.SetFaults([](const sim::SimCall& call) -> std::optional<sim::SimFault> {
    if (call.kind != sim::SimCall::Kind::kRead) return std::nullopt;
    return sim::SimFault::kIoError;
  });
  EXPECT_THAT(RecoverLog(files_, input_), HasCode(ErrorCode::kStorageError));
  files_.ClearFaults();
}

}  // namespace
}  // namespace millrace::storage
