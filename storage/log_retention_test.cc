#include <set>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/testing/log_fixture.h"

namespace millrace::storage {
namespace {

class LogRetentionTest : public testing::Test {
 protected:
  LogRetentionTest() {
    world_.config.segment_bytes = 500;
    world_.config.retention_ms = -1;
  }
  void Start() {
    ASSERT_OK(world_.Open());
    ASSERT_OK(world_.Begin(5));
    ASSERT_OK_AND_ASSIGN(log_, world_.OpenLog());
  }
  void Fill(int count, int64_t timestamp = kTestTime) {
    for (int i = 0; i < count; ++i) {
      ASSERT_OK(
          log_->StageAsLeader(MakeBatch("value", 1, timestamp + i), LeaderEpoch(1), world_.Now()));
    }
    world_.RunBriefly();
    log_->SetHighWatermark(log_->end_offset());
  }
  int FilesLike(const std::string& part) {
    int count = 0;
    const auto entries = world_.files->ListDirectory("data/topic-0");
    EXPECT_OK(entries);
    for (const DirectoryEntry& entry : entries.value()) {
      if (entry.name.find(part) != std::string::npos) ++count;
    }
    return count;
  }

  LogFixture world_;
  std::unique_ptr<Log> log_;
};

TEST_F(LogRetentionTest, BySizeDeletesWholeClosedSegmentsOnly) {
  world_.config.retention_bytes = 1000;
  Start();
  Fill(40);
  const int segments = FilesLike(".log");
  ASSERT_GT(segments, 4);
  EXPECT_GT(log_->Housekeep(world_.Now()), 0);
  EXPECT_GE(log_->size_bytes(), 1000);
  EXPECT_LT(log_->size_bytes(), 1500);
  EXPECT_GT(log_->log_start_offset(), Offset(0));
  world_.RunBriefly();
  EXPECT_GT(FilesLike(".deleted"), 0);
  world_.Run(absl::Seconds(2));
  EXPECT_EQ(FilesLike(".deleted"), 0);
  EXPECT_LT(FilesLike(".log"), segments);
  EXPECT_FALSE(ReadAll(*log_, log_->log_start_offset(), log_->end_offset()).empty());
}

TEST_F(LogRetentionTest, WhatWasDeletedGoesFromTheDiskOnceItsSegmentIsClosed) {
  world_.config.segment_ms = 1000;
  Start();
  Fill(3);
  log_->RaiseLogStart(log_->end_offset(), nullptr);
  world_.Run(absl::Seconds(2));
  EXPECT_EQ(FilesLike("00000000000000000000.log"), 1) << "it is appended to";
  EXPECT_EQ(log_->Housekeep(world_.Now()), 0);
  world_.Run(absl::Seconds(2));
  EXPECT_EQ(FilesLike("00000000000000000000.log"), 0);
  Fill(1);
  EXPECT_EQ(log_->log_start_offset(), Offset(3));
  EXPECT_FALSE(ReadAll(*log_, Offset(3), Offset(4)).empty());
}

TEST_F(LogRetentionTest, NeverPassesTheHighWatermark) {
  world_.config.retention_bytes = 0;
  Start();
  Fill(40);
  log_->SetHighWatermark(Offset(0));
  EXPECT_EQ(log_->Housekeep(world_.Now()), 0);
}

TEST_F(LogRetentionTest, ByTimeUsesTheLatestTimestampOfASegment) {
  world_.config.retention_ms = 3600 * 1000;
  Start();
  Fill(20, world_.Now().ms - 2 * 3600 * 1000);
  Fill(20, world_.Now().ms);
  log_->Housekeep(world_.Now());
  EXPECT_GT(log_->log_start_offset(), Offset(0));
  EXPECT_LE(log_->log_start_offset(), Offset(20));
}

TEST_F(LogRetentionTest, RecordsThatTellNoTimeAreNotOldBecauseOfAStart) {
  world_.config.retention_ms = 3600 * 1000;
  Start();
  for (int i = 0; i < 20; ++i) Fill(1, record::kNoTimestamp);
  ASSERT_GT(FilesLike(".log"), 3);
  log_.reset();
  world_.Stop();
  LogFixture again(world_.files);
  again.config = world_.config;
  ASSERT_OK(again.Open());
  ASSERT_OK(again.Begin(6));
  ASSERT_OK_AND_ASSIGN(std::unique_ptr<Log> log, again.OpenLog());
  ASSERT_EQ(log->end_offset(), Offset(20));
  log->SetHighWatermark(log->end_offset());
  EXPECT_EQ(log->Housekeep(again.Now()), 0);
  EXPECT_EQ(log->log_start_offset(), Offset(0));
  // How old they are is not known, but they grow older.
  again.Run(absl::Minutes(59));
  EXPECT_EQ(log->Housekeep(again.Now()), 0);
  again.Run(absl::Minutes(2));
  EXPECT_GT(log->Housekeep(again.Now()), 0);
}

TEST_F(LogRetentionTest, AnOldActiveSegmentIsRolledAndThenGoes) {
  world_.config.retention_ms = 3600 * 1000;
  world_.config.segment_ms = 3600 * 1000;
  Start();
  Fill(2, world_.Now().ms);
  EXPECT_EQ(log_->Housekeep(world_.Now()), 0);
  world_.Run(absl::Hours(2));
  EXPECT_EQ(log_->Housekeep(world_.Now()), 1);
  EXPECT_EQ(log_->log_start_offset(), Offset(2));
  world_.Run(absl::Seconds(5));
  EXPECT_EQ(FilesLike(".log"), 1);
}

TEST_F(LogRetentionTest, AnActiveSegmentOfWhichAllIsExpiredGoesBeforeItIsOld) {
  world_.config.retention_ms = 3600 * 1000;
  world_.config.segment_ms = 7 * 24 * 3600 * 1000;
  Start();
  Fill(40, world_.Now().ms);
  ASSERT_GT(FilesLike(".log"), 4);
  world_.Run(absl::Minutes(59));
  EXPECT_EQ(log_->Housekeep(world_.Now()), 0);
  world_.Run(absl::Minutes(2));
  EXPECT_GT(log_->Housekeep(world_.Now()), 4);
  EXPECT_EQ(log_->log_start_offset(), Offset(40));
  EXPECT_EQ(log_->end_offset(), Offset(40));
  EXPECT_EQ(log_->size_bytes(), 0);
  world_.Run(absl::Seconds(5));
  EXPECT_EQ(FilesLike(".log"), 1) << "what is appended to next";
  // An empty log has nothing that could expire, and is no file more with every check.
  world_.Run(absl::Hours(2));
  EXPECT_EQ(log_->Housekeep(world_.Now()), 0);
  Fill(1, world_.Now().ms);
  EXPECT_FALSE(ReadAll(*log_, Offset(40), Offset(41)).empty());
}

TEST_F(LogRetentionTest, OneRecordThatIsNotExpiredKeepsTheActiveSegment) {
  world_.config.retention_ms = 3600 * 1000;
  Start();
  Fill(1, world_.Now().ms - 2 * 3600 * 1000);
  Fill(1, world_.Now().ms);
  EXPECT_EQ(log_->Housekeep(world_.Now()), 0);
  EXPECT_EQ(log_->log_start_offset(), Offset(0));
}

TEST_F(LogRetentionTest, AnExpiredActiveSegmentStaysWhileItIsNotCommitted) {
  world_.config.retention_ms = 3600 * 1000;
  Start();
  Fill(2, world_.Now().ms - 2 * 3600 * 1000);
  log_->SetHighWatermark(Offset(1));
  EXPECT_EQ(log_->Housekeep(world_.Now()), 0);
  EXPECT_EQ(log_->log_start_offset(), Offset(0));
  log_->SetHighWatermark(Offset(2));
  EXPECT_EQ(log_->Housekeep(world_.Now()), 1);
  EXPECT_EQ(log_->log_start_offset(), Offset(2));
}

TEST_F(LogRetentionTest, AnExpiredActiveSegmentThatIsGoneStaysGoneAfterAPowerLoss) {
  world_.config.retention_ms = 3600 * 1000;
  Start();
  Fill(2, world_.Now().ms - 2 * 3600 * 1000);
  EXPECT_EQ(log_->Housekeep(world_.Now()), 1);
  world_.RunBriefly();
  ASSERT_EQ(log_->durable_log_start(), Offset(2));
  sim::SimRandom random(1);
  LogFixture again(std::shared_ptr<sim::SimFileSystem>(
      world_.files->CrashImage(sim::CrashMode::kLoseAll, random)));
  ASSERT_OK(again.Open());
  ASSERT_EQ(again.dir->opened().replicas.size(), 1u);
  EXPECT_EQ(again.dir->opened().replicas[0].log_start_offset, Offset(2));
  log_.reset();
}

// Two logs of the same age are not closed at once, and neither later than without jitter.
TEST_F(LogRetentionTest, JitterTakesADifferentPartOffTheAgeOfEachSegment) {
  constexpr int64_t kHours = 100;
  world_.config.segment_ms = kHours * 3600 * 1000;
  world_.config.segment_jitter_ms = world_.config.segment_ms;
  Start();
  std::set<int64_t> ages;
  for (int i = 0; i < 10; ++i) {
    Fill(1);
    const int before = FilesLike(".log");
    int64_t age = 0;
    while (FilesLike(".log") == before) {
      ASSERT_LE(++age, kHours + 1) << "not closed";
      world_.Run(absl::Hours(1));
      log_->Housekeep(world_.Now());
      world_.RunBriefly();
    }
    ages.insert(age);
  }
  EXPECT_GT(ages.size(), 4u);
}

TEST_F(LogRetentionTest, DeletionWaitsForTheLastReader) {
  world_.config.retention_bytes = 0;
  Start();
  Fill(20);
  log_->Housekeep(world_.Now());
  log_.reset();
  world_.Stop();
  LogFixture again(world_.files);
  again.config = world_.config;
  ASSERT_OK(again.Open());
  ASSERT_OK(again.Begin(6));
  ASSERT_OK_AND_ASSIGN(std::unique_ptr<Log> log, again.OpenLog());
  log->SetHighWatermark(log->end_offset());
  ASSERT_OK_AND_ASSIGN(ReadPlan plan, log->Read(log->log_start_offset(), {log->end_offset()}));
  ASSERT_FALSE(plan.ready());
  log->RaiseLogStart(log->end_offset(), nullptr);
  log->Housekeep(again.Now());
  again.Run(absl::Seconds(10));
  EXPECT_OK(plan.Execute());
}

TEST_F(LogRetentionTest, RaisedLogStartIsDurableWhenItIsSaid) {
  Start();
  Fill(20);
  absl::Status told = absl::UnknownError("not told");
  log_->RaiseLogStart(Offset(7), [&](absl::Status status) { told = status; });
  EXPECT_EQ(log_->log_start_offset(), Offset(7));
  world_.RunBriefly();
  ASSERT_OK(told);
  sim::SimRandom random(1);
  LogFixture again(std::shared_ptr<sim::SimFileSystem>(
      world_.files->CrashImage(sim::CrashMode::kLoseAll, random)));
  ASSERT_OK(again.Open());
  ASSERT_EQ(again.dir->opened().replicas.size(), 1u);
  EXPECT_EQ(again.dir->opened().replicas[0].log_start_offset, Offset(7));
  log_.reset();
}

}  // namespace
}  // namespace millrace::storage
