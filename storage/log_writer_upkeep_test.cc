// What a LogWriter does beside its rounds.

#include "absl/strings/match.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/checked_text.h"
#include "storage/file_names.h"
#include "storage/log_writer.h"
#include "storage/recovery_points.h"
#include "storage/testing/log_fixture.h"

namespace millrace::storage {
namespace {

constexpr char kPoints[] = "data/recovery-point-checkpoint";

class LogWriterUpkeepTest : public testing::Test {
 protected:
  void SetUp() override {
    world_.options.checkpoint_interval = absl::Seconds(5);
    world_.options.checkpoint_bytes_min = 300;
    ASSERT_OK(world_.Open());
    ASSERT_OK(world_.Begin(5));
  }
  std::unique_ptr<Log> OpenLog(int partition) {
    auto log = world_.OpenLog(partition);
    EXPECT_OK(log);
    return *std::move(log);
  }
  void Stage(Log& log) {
    ASSERT_OK(log.StageAsLeader(MakeBatch("v"), LeaderEpoch(1), world_.Now()));
  }
  std::map<TopicPartition, RecoveryPoint> Points() {
    if (!world_.files->Exists(kPoints).value()) return {};
    const auto points = DecodeRecoveryPoints(FileContents(*world_.files, kPoints), kPoints);
    EXPECT_OK(points);
    return points.value();
  }
  std::vector<Offset> Snapshots() {
    const auto entries = world_.files->ListDirectory("data/topic-0");
    EXPECT_OK(entries);
    std::vector<Offset> found;
    for (const DirectoryEntry& entry : *entries) {
      const auto offset = ParseSegmentFileName(entry.name, kSnapshotSuffix);
      if (offset.has_value()) found.push_back(*offset);
    }
    return found;
  }

  LogFixture world_;
};

TEST_F(LogWriterUpkeepTest, ALogThatGrewGetsARecoveryPointAndASmallOneNone) {
  const auto log = OpenLog(0);
  const auto small = OpenLog(1);
  for (int i = 0; i < 5; ++i) Stage(*log);
  Stage(*small);
  world_.Run(absl::Seconds(4));
  EXPECT_TRUE(Points().empty());
  world_.Run(absl::Seconds(2));
  ASSERT_EQ(Points().size(), 1u);
  EXPECT_EQ(Points().at(LogFixture::Partition(0)).offset, Offset(5));
  EXPECT_THAT(Snapshots(), testing::ElementsAre(Offset(5)));
  // Moves on with the log, and the snapshot of the last one goes.
  for (int i = 0; i < 5; ++i) Stage(*log);
  world_.Run(absl::Seconds(6));
  EXPECT_EQ(Points().at(LogFixture::Partition(0)).offset, Offset(10));
  EXPECT_THAT(Snapshots(), testing::ElementsAre(Offset(10)));
  Stage(*log);
  world_.Run(absl::Seconds(6));
  EXPECT_EQ(Points().at(LogFixture::Partition(0)).offset, Offset(10)) << "too little since";
}

TEST_F(LogWriterUpkeepTest, ARecoveryPointIsNeverBeyondWhatIsDurable) {
  world_.config.durability = Durability::kReplicated;
  const auto log = OpenLog(0);
  for (int i = 0; i < 5; ++i) Stage(*log);
  world_.Run();
  EXPECT_EQ(log->durable_offset(), Offset(0));
  bool synced = false;
  world_.files->SetOnCall([&](const sim::SimCall& call) {
    if (call.kind == sim::SimCall::Kind::kSync && absl::EndsWith(call.path, ".log")) synced = true;
    if (absl::StrContains(call.path, "recovery-point")) {
      EXPECT_TRUE(synced);
    }
  });
  world_.Run(absl::Seconds(6));
  world_.files->SetOnCall(nullptr);
  EXPECT_EQ(Points().at(LogFixture::Partition(0)).offset, Offset(5));
  EXPECT_EQ(log->durable_offset(), Offset(5));
}

TEST_F(LogWriterUpkeepTest, S07_WhatWasAppendedBeforeTheLevelWasRaisedIsSyncedAtOnce) {
  world_.config.durability = Durability::kReplicated;
  const auto log = OpenLog(0);
  Stage(*log);
  world_.RunBriefly();
  ASSERT_EQ(log->written_offset(), Offset(1));
  ASSERT_EQ(log->durable_offset(), Offset(0));
  LogConfig config = log->config();
  config.retention_ms = 7;
  log->SetConfig(config);
  world_.RunBriefly();
  EXPECT_EQ(log->durable_offset(), Offset(0));
  config.durability = Durability::kDurable;
  log->SetConfig(config);
  world_.RunBriefly();
  EXPECT_EQ(log->durable_offset(), Offset(1));
}

TEST_F(LogWriterUpkeepTest, ARecoveryPointIsTakenBackBeforeATruncation) {
  const auto log = OpenLog(0);
  for (int i = 0; i < 5; ++i) Stage(*log);
  world_.Run(absl::Seconds(6));
  ASSERT_EQ(Points().size(), 1u);
  bool taken_back = false;
  world_.files->SetOnCall([&](const sim::SimCall& call) {
    if (call.kind == sim::SimCall::Kind::kRename &&
        absl::StrContains(call.path, "recovery-point")) {
      taken_back = true;
    }
    if (call.kind == sim::SimCall::Kind::kTruncate && absl::EndsWith(call.path, ".log")) {
      EXPECT_TRUE(taken_back);
    }
  });
  log->TruncateTo(Offset(2), Offset(0));
  world_.RunBriefly();
  world_.files->SetOnCall(nullptr);
  EXPECT_TRUE(taken_back);
  EXPECT_TRUE(Points().empty());
}

TEST_F(LogWriterUpkeepTest, ARecoveryPointGoesWithItsSegmentAndItsLog) {
  auto log = OpenLog(0);
  for (int i = 0; i < 5; ++i) Stage(*log);
  world_.Run(absl::Seconds(6));
  LogConfig config = log->config();
  config.segment_bytes = 10;
  log->SetConfig(config);
  Stage(*log);
  world_.Run();
  EXPECT_TRUE(Points().empty());
  config.segment_bytes = 10'000;
  log->SetConfig(config);
  for (int i = 0; i < 5; ++i) Stage(*log);
  world_.Run(absl::Seconds(6));
  ASSERT_EQ(Points().size(), 1u);
  log.reset();
  ASSERT_OK(world_.Await([&](LogDir::Done done) {
    world_.dir->DeleteReplica(LogFixture::Partition(0), world_.shard.get(), std::move(done));
  }));
  EXPECT_TRUE(Points().empty());
}

TEST_F(LogWriterUpkeepTest, FlushMsBoundsHowLongAReplicatedLogStaysUnsynced) {
  world_.config.durability = Durability::kReplicated;
  world_.config.flush_ms = 500;
  const auto log = OpenLog(0);
  for (int round = 1; round <= 2; ++round) {
    Stage(*log);
    world_.Run(absl::Milliseconds(300));
    EXPECT_EQ(log->written_offset(), Offset(round));
    EXPECT_EQ(log->durable_offset(), Offset(round - 1));
    world_.Run(absl::Milliseconds(300));
    EXPECT_EQ(log->durable_offset(), Offset(round));
  }
  int syncs = 0;
  world_.files->SetOnCall([&](const sim::SimCall& call) {
    if (call.kind == sim::SimCall::Kind::kSync) ++syncs;
  });
  world_.Run(absl::Seconds(4));
  world_.files->SetOnCall(nullptr);
  EXPECT_EQ(syncs, 0) << "nothing is left to sync";
}

TEST_F(LogWriterUpkeepTest, ADeletionWaitsForReadersOfTheSegment) {
  world_.config.segment_bytes = 200;
  world_.config.tail_cache_bytes_max = 0;
  const auto log = OpenLog(0);
  for (int i = 0; i < 10; ++i) Stage(*log);
  world_.Run();
  log->SetHighWatermark(log->end_offset());
  absl::StatusOr<ReadPlan> reader = log->Read(Offset(0), {log->end_offset(), 10});
  ASSERT_OK(reader);
  log->RaiseLogStart(Offset(9), nullptr);
  world_.Run(absl::Seconds(10));
  EXPECT_TRUE(world_.files->Exists("data/topic-0/00000000000000000000.log").value());
  EXPECT_OK(reader->Execute());
  reader = absl::UnknownError("gone");
  world_.Run(absl::Seconds(10));
  EXPECT_FALSE(world_.files->Exists("data/topic-0/00000000000000000000.log").value());
  EXPECT_FALSE(world_.files->Exists("data/topic-0/00000000000000000000.log.deleted").value());
}

TEST_F(LogWriterUpkeepTest, ADeletionThatWaitedTakesNothingOfWhoHasTheNameNow) {
  world_.config.segment_bytes = 200;
  world_.config.tail_cache_bytes_max = 0;
  auto log = OpenLog(0);
  for (int i = 0; i < 10; ++i) Stage(*log);
  world_.Run();
  log->SetHighWatermark(log->end_offset());
  absl::StatusOr<ReadPlan> reader = log->Read(Offset(0), {log->end_offset(), 10});
  ASSERT_OK(reader);
  log->RaiseLogStart(Offset(9), nullptr);
  world_.RunBriefly();
  log.reset();
  ASSERT_OK(world_.Await([&](LogDir::Done done) {
    world_.dir->DeleteReplica(LogFixture::Partition(0), world_.shard.get(), std::move(done));
  }));
  // Its partition comes back to this broker.
  log = OpenLog(0);
  for (int i = 0; i < 10; ++i) Stage(*log);
  world_.Run();
  EXPECT_FALSE(reader->Execute().ok());
  reader = absl::UnknownError("gone");
  world_.Run(absl::Seconds(10));
  EXPECT_TRUE(world_.files->Exists("data/topic-0/00000000000000000000.log").value());
  EXPECT_EQ(log->log_start_offset(), Offset(0));
}

// A log that begins anew at 0 has a file of the name that one of before had.
class LogBeginsAnewTest : public LogWriterUpkeepTest {
 protected:
  void SetUp() override {
    world_.config.segment_bytes = 200;
    world_.config.tail_cache_bytes_max = 0;
    LogWriterUpkeepTest::SetUp();
    log_ = OpenLog(0);
    for (int i = 0; i < 10; ++i) Stage(*log_);
    world_.Run();
    log_->SetHighWatermark(log_->end_offset());
    ASSERT_GT(log_->SegmentOf(Offset(9)).base, Offset(0));
  }
  void ExpectTheNewLogStays() {
    world_.Run(absl::Minutes(2));
    EXPECT_FALSE(world_.dir->failed());
    EXPECT_EQ(log_->durable_offset(), Offset(1));
    log_.reset();
    world_.Stop();
    LogFixture after(world_.files);
    ASSERT_OK(after.Open());
    ASSERT_OK(after.Begin(6));
    ASSERT_OK_AND_ASSIGN(const auto log, after.OpenLog());
    EXPECT_EQ(log->log_start_offset(), Offset(0));
    ASSERT_EQ(log->end_offset(), Offset(1));
    EXPECT_EQ(ReadAll(*log, Offset(0), Offset(1)),
              MakeStampedBatch(Offset(0), LeaderEpoch(1), "v"));
  }
  std::unique_ptr<Log> log_;
};

TEST_F(LogBeginsAnewTest, ADeletionThatWaitedForAReaderTakesNothingOfIt) {
  absl::StatusOr<ReadPlan> reader = log_->Read(Offset(0), {log_->end_offset(), 10});
  ASSERT_OK(reader);
  log_->RaiseLogStart(Offset(9), nullptr);
  world_.Run(absl::Seconds(1));
  log_->ResetTo(Offset(0));
  world_.Run(absl::Seconds(1));
  Stage(*log_);
  world_.Run();
  EXPECT_FALSE(reader->Execute().ok());
  reader = absl::UnknownError("gone");
  ExpectTheNewLogStays();
}

TEST_F(LogBeginsAnewTest, NorDoesOneOfTheSameRound) {
  log_->RaiseLogStart(Offset(9), nullptr);
  log_->ResetTo(Offset(0));
  Stage(*log_);
  ExpectTheNewLogStays();
}

}  // namespace
}  // namespace millrace::storage
