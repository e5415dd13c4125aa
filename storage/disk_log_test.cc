#include "storage/disk_log.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/producer_snapshot.h"
#include "storage/testing/log_fixture.h"

namespace millrace::storage {
namespace {

constexpr int64_t kInterval = 150;

class DiskLogTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK(files_.CreateDirectory("data"));
    ASSERT_OK(files_.SyncDirectory("."));
    identity_->directory = "data/topic-0";
    identity_->name = "topic-0";
  }
  // Appends batches of one record, synced.
  void Append(int count) {
    bool created = false;
    ASSERT_OK(log_.OpenActive(log_.active_base.value_or(log_.end), &created));
    for (int i = 0; i < count; ++i) {
      const std::string batch =
          MakeStampedBatch(log_.end, LeaderEpoch(1), "value", 1, kTestTime, ProducerId(4),
                           static_cast<int32_t>(log_.end.value()));
      ASSERT_OK(log_.log_file->WriteAt(log_.size, batch));
      log_.size += batch.size();
      log_.allocated = std::max(log_.allocated, log_.size);
      log_.end = log_.end + 1;
      log_.unsynced = true;
    }
    ASSERT_OK(log_.SyncData());
  }
  void Roll() {
    ASSERT_OK(log_.Seal(kInterval));
    bool created = false;
    ASSERT_OK(log_.OpenActive(log_.end, &created));
  }
  std::string Path(Offset base, absl::string_view suffix) {
    return JoinPath("data/topic-0", SegmentFileName(base, suffix));
  }
  uint64_t SizeOf(Offset base) { return FileContents(files_, Path(base, kLogSuffix)).size(); }
  bool Exists(const std::string& path) { return files_.Exists(path).value(); }

  sim::SimFileSystem files_;
  std::shared_ptr<LogFilesIdentity> identity_ = std::make_shared<LogFilesIdentity>();
  DiskLog log_{&files_, 1, LogFixture::Partition(), identity_};
};

TEST_F(DiskLogTest, FilesAppearWithTheFirstSegmentAndSurviveAPowerLoss) {
  EXPECT_FALSE(log_.exists);
  bool created = false;
  ASSERT_OK(log_.OpenActive(Offset(0), &created));
  EXPECT_TRUE(created);
  EXPECT_TRUE(log_.exists);
  sim::SimRandom random(1);
  const auto image = files_.CrashImage(sim::CrashMode::kLoseAll, random);
  EXPECT_TRUE(image->Exists("data/topic-0/partition.metadata").value());
  EXPECT_TRUE(image->Exists(Path(Offset(0), kLogSuffix)).value());
}

TEST_F(DiskLogTest, RoomIsAllocatedInStepsThatDouble) {
  bool created = false;
  ASSERT_OK(log_.OpenActive(Offset(0), &created));
  ASSERT_OK(log_.Allocate(10, 10, 100, 300));
  EXPECT_EQ(log_.allocated, 100u);
  ASSERT_OK(log_.Allocate(105, 10, 100, 300));
  EXPECT_EQ(log_.allocated, 200u);
  ASSERT_OK(log_.Allocate(200, 10, 100, 300));
  EXPECT_EQ(log_.allocated, 200u);
  ASSERT_OK(log_.Allocate(210, 10, 100, 300));
  EXPECT_EQ(log_.allocated, 400u);
  ASSERT_OK(log_.Allocate(410, 10, 100, 300));
  EXPECT_EQ(log_.allocated, 700u);
  EXPECT_EQ(SizeOf(Offset(0)), 700u);
}

TEST_F(DiskLogTest, ALargeAppendMakesItsOwnRoom) {
  bool created = false;
  ASSERT_OK(log_.OpenActive(Offset(0), &created));
  ASSERT_OK(log_.Allocate(100, 100, 100, 300));
  EXPECT_EQ(SizeOf(Offset(0)), 0u);
  // As does any when it is turned off.
  ASSERT_OK(log_.Allocate(110, 10, 0, 0));
  EXPECT_EQ(SizeOf(Offset(0)), 0u);
  // Room begins behind what was appended without.
  ASSERT_OK(log_.log_file->WriteAt(0, std::string(1000, 'x')));
  ASSERT_OK(log_.Allocate(1010, 10, 100, 300));
  EXPECT_EQ(SizeOf(Offset(0)), 1300u);
}

TEST_F(DiskLogTest, TooLittleRoomForAStepIsNoError) {
  Append(1);
  files_.SetCapacity(files_.used_bytes() + 50);
  ASSERT_OK(log_.Allocate(log_.size + 10, 10, 1000, 1000));
  EXPECT_EQ(SizeOf(Offset(0)), log_.size);
  EXPECT_EQ(log_.allocated, log_.size);
}

TEST_F(DiskLogTest, WhatThereIsOfAStepThatFindsTooLittleRoomIsGivenBack) {
  Append(1);
  const uint64_t used = files_.used_bytes();
  files_.SetCapacity(used + 600);
  ASSERT_OK(log_.Allocate(log_.size + 10, 10, 1000, 1000));
  EXPECT_EQ(files_.used_bytes(), used);
  EXPECT_EQ(log_.allocated, log_.size);
  // Unless that needs room as well.
  files_.SetFaults([](const sim::SimCall& call) {
    return call.kind == sim::SimCall::Kind::kTruncate ? std::optional(sim::SimFault::kNoSpace)
                                                      : std::nullopt;
  });
  ASSERT_OK(log_.Allocate(log_.size + 10, 10, 1000, 1000));
  EXPECT_EQ(log_.allocated, log_.size + 500);
  EXPECT_EQ(SizeOf(Offset(0)), log_.allocated);
}

TEST_F(DiskLogTest, ASealedSegmentIsTrimmedSyncedAndClosed) {
  Append(3);
  ASSERT_OK(log_.Allocate(log_.size + 1, 1, 4096, 4096));
  EXPECT_GT(SizeOf(Offset(0)), log_.size);
  ASSERT_OK(log_.Seal(kInterval));
  EXPECT_EQ(log_.log_file, nullptr);
  EXPECT_EQ(files_.open_files(), 0);
  sim::SimRandom random(1);
  const auto image = files_.CrashImage(sim::CrashMode::kLoseAll, random);
  EXPECT_EQ(FileContents(*image, Path(Offset(0), kLogSuffix)).size(), log_.size);
}

TEST_F(DiskLogTest, AClosedActiveSegmentGoesOnWhereItEnded) {
  Append(3);
  ASSERT_OK(log_.CloseFiles());
  EXPECT_EQ(files_.open_files(), 0);
  Append(2);
  EXPECT_EQ(SizeOf(Offset(0)), log_.size);
  EXPECT_EQ(log_.durable, Offset(5));
}

TEST_F(DiskLogTest, TruncationRemovesLaterSegmentsHighestFirst) {
  for (int i = 0; i < 3; ++i) {
    Append(4);
    Roll();
  }
  std::vector<std::string> removed;
  files_.SetOnCall([&](const sim::SimCall& call) {
    const bool log = absl::EndsWith(call.path, kLogSuffix);
    if (log && call.kind == sim::SimCall::Kind::kRemove) removed.push_back(call.path);
  });
  ASSERT_OK(log_.Truncate(Offset(2), Offset(0), kInterval));
  files_.SetOnCall(nullptr);
  EXPECT_EQ(removed.size(), 3u);
  EXPECT_TRUE(std::is_sorted(removed.rbegin(), removed.rend()));
  EXPECT_THAT(log_.ListSegments().value(), testing::ElementsAre(Offset(0)));
  EXPECT_EQ(log_.end, Offset(2));
  EXPECT_EQ(log_.durable, Offset(2));
  EXPECT_EQ(SizeOf(Offset(0)), log_.size);
  Append(1);
  EXPECT_EQ(log_.end, Offset(3));
}

TEST_F(DiskLogTest, ACutBetweenTwoBatchBoundariesIsRefused) {
  bool created = false;
  ASSERT_OK(log_.OpenActive(Offset(0), &created));
  const std::string batch = MakeStampedBatch(Offset(0), LeaderEpoch(1), "value", 4);
  ASSERT_OK(log_.log_file->WriteAt(0, batch));
  EXPECT_THAT(log_.Truncate(Offset(2), Offset(0), kInterval),
              IsError(ErrorCode::kCorruptLog, "cannot be cut at offset 2"));
  EXPECT_EQ(SizeOf(Offset(0)), batch.size());
}

TEST_F(DiskLogTest, AfterACutThatFailedNothingIsFinishedByTheSizesOfBefore) {
  Append(8);
  Roll();
  Append(1);
  const uint64_t size = SizeOf(Offset(0));
  for (const auto fault : {sim::SimCall::Kind::kTruncate, sim::SimCall::Kind::kCreate}) {
    files_.SetFaults([fault](const sim::SimCall& call) {
      return call.kind == fault ? std::optional(sim::SimFault::kNoSpace) : std::nullopt;
    });
    EXPECT_THAT(log_.Truncate(Offset(7), Offset(0), kInterval), HasCode(ErrorCode::kStorageFull));
    files_.ClearFaults();
    const uint64_t left = SizeOf(Offset(0));
    EXPECT_GE(left, size * 7 / 8);
    EXPECT_OK(log_.FinishActive());
    EXPECT_EQ(SizeOf(Offset(0)), left);
  }
  // There is room again.
  ASSERT_OK(log_.Truncate(Offset(7), Offset(0), kInterval));
  Append(1);
  EXPECT_EQ(SizeOf(Offset(0)), size);
}

TEST_F(DiskLogTest, RestartLeavesOneEmptySegmentElsewhere) {
  Append(4);
  Roll();
  Append(4);
  ASSERT_OK(log_.WriteSnapshot(Offset(8), EncodeProducerSnapshot(ProducerState(), Offset(8))));
  ASSERT_OK(log_.Restart(Offset(100)));
  EXPECT_THAT(log_.ListSegments().value(), testing::ElementsAre(Offset(100)));
  EXPECT_FALSE(Exists(Path(Offset(8), kSnapshotSuffix)));
  EXPECT_EQ(log_.end, Offset(100));
  Append(1);
  EXPECT_EQ(log_.end, Offset(101));
}

TEST_F(DiskLogTest, SnapshotsAboveACutGo) {
  Append(1);
  for (const int64_t at : {1, 5, 9}) {
    ASSERT_OK(log_.WriteSnapshot(Offset(at), EncodeProducerSnapshot(ProducerState(), Offset(at))));
  }
  ASSERT_OK(log_.RemoveSnapshotsAbove(Offset(5)));
  EXPECT_TRUE(Exists(Path(Offset(5), kSnapshotSuffix)));
  EXPECT_FALSE(Exists(Path(Offset(9), kSnapshotSuffix)));
  EXPECT_EQ(LoadSnapshot(files_, "data/topic-0", Offset(4))->offset, Offset(1));
}

TEST_F(DiskLogTest, ASnapshotBeyondACutDoesNotComeBackWithAPowerLoss_S13) {
  Append(3);
  ASSERT_OK(log_.WriteSnapshot(Offset(3), EncodeProducerSnapshot(ProducerState(), Offset(3))));
  ASSERT_OK(log_.Truncate(Offset(1), Offset(0), kInterval));
  // Others take the place of what was cut, and the log ends beyond the snapshot again.
  Append(4);
  sim::SimRandom random(1);
  const auto image = files_.CrashImage(sim::CrashMode::kLoseAll, random);
  EXPECT_EQ(LoadSnapshot(*image, "data/topic-0", Offset(5))->offset, Offset(0))
      << "it tells of batches that were cut";
}

TEST_F(DiskLogTest, WhatWasRemovedBeforeThereWasNoRoomDoesNotComeBackWithAPowerLoss_S13) {
  const auto twice = [&](const auto& remove) {
    files_.SetFaults([](const sim::SimCall& call) {
      return call.kind == sim::SimCall::Kind::kSyncDirectory
                 ? std::optional(sim::SimFault::kNoSpace)
                 : std::nullopt;
    });
    EXPECT_THAT(remove(), HasCode(ErrorCode::kStorageFull));
    files_.SetFaults(nullptr);
    EXPECT_OK(remove());
  };
  const auto comes_back = [&](const std::string& path) {
    sim::SimRandom random(1);
    return files_.CrashImage(sim::CrashMode::kLoseAll, random)->Exists(path).value();
  };
  Append(3);
  ASSERT_OK(log_.WriteSnapshot(Offset(9), EncodeProducerSnapshot(ProducerState(), Offset(9))));
  twice([&] { return log_.RemoveSnapshotsAbove(Offset(5)); });
  EXPECT_FALSE(comes_back(Path(Offset(9), kSnapshotSuffix)));
  // From here on the indexes are as a cut finds and leaves them.
  ASSERT_OK(log_.Truncate(Offset(3), Offset(0), kInterval));
  Roll();
  Append(1);
  ASSERT_TRUE(comes_back(Path(Offset(3), kLogSuffix)));
  twice([&] { return log_.Truncate(Offset(3), Offset(0), kInterval); });
  EXPECT_FALSE(comes_back(Path(Offset(3), kLogSuffix)));
}

TEST_F(DiskLogTest, ADamagedSnapshotIsPassedOverForAnOlderOneAndMoreBatches) {
  Append(4);
  const auto state_at = [&](Offset to) {
    return RebuildProducers(files_, "data/topic-0", {Offset(0)}, to).value();
  };
  const ProducerState at_two = state_at(Offset(2));
  const ProducerState at_four = state_at(Offset(4));
  EXPECT_EQ(at_four.producers().at(ProducerId(4)).batches.back().last_sequence, 3);
  ASSERT_OK(log_.WriteSnapshot(Offset(2), EncodeProducerSnapshot(at_two, Offset(2))));
  ASSERT_OK(log_.WriteSnapshot(Offset(4), EncodeProducerSnapshot(at_four, Offset(4))));
  files_.FlipBit(Path(Offset(4), kSnapshotSuffix), 77);
  const auto loaded = LoadSnapshot(files_, "data/topic-0", Offset(4));
  ASSERT_OK(loaded);
  EXPECT_EQ(loaded->offset, Offset(2));
  EXPECT_EQ(state_at(Offset(4)), at_four);
}

}  // namespace
}  // namespace millrace::storage
