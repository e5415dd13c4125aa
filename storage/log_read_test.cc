// Reads of a Log: what comes from memory, what from disk, and what must not come at all.

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/log.h"
#include "storage/testing/log_fixture.h"

namespace millrace::storage {
namespace {

class LogReadTest : public testing::Test {
 protected:
  void SetUp() override {
    world_.config.segment_bytes = 400;
    world_.config.index_interval_bytes = 100;
    world_.config.tail_cache_bytes_max = 200;
    ASSERT_OK(world_.Open());
    ASSERT_OK(world_.Begin(5));
    ASSERT_OK_AND_ASSIGN(log_, world_.OpenLog());
    for (int i = 0; i < 20; ++i) Stage(i);
    world_.Run();
  }
  void Stage(int i) {
    ASSERT_OK(log_->StageAsLeader(MakeBatch("v", 1, kTestTime + i % 7), LeaderEpoch(1 + i / 10),
                                  world_.Now()));
  }
  absl::StatusOr<ReadResult> Read(Offset from, const ReadLimits& limits) {
    absl::StatusOr<ReadPlan> plan = log_->Read(from, limits);
    if (!plan.ok()) return plan.status();
    return plan->Execute();
  }

  LogFixture world_;
  std::unique_ptr<Log> log_;
};

TEST_F(LogReadTest, TheTailComesFromMemoryAndTheRestAsAPlan) {
  EXPECT_TRUE(log_->Read(Offset(19), {Offset(20)})->ready());
  ASSERT_OK_AND_ASSIGN(ReadPlan cold, log_->Read(Offset(0), {Offset(20)}));
  EXPECT_FALSE(cold.ready());
  ASSERT_OK_AND_ASSIGN(const ReadResult result, cold.Execute());
  EXPECT_GT(result.next_offset, Offset(0));
  EXPECT_LT(result.next_offset, Offset(20)) << "a plan stops at the end of its segment";
}

TEST_F(LogReadTest, WhatIsNotWrittenYetIsReadFromMemory) {
  for (int i = 20; i < 40; ++i) Stage(i);
  ASSERT_OK_AND_ASSIGN(ReadPlan plan, log_->Read(Offset(20), {Offset(40)}));
  ASSERT_TRUE(plan.ready());
  EXPECT_EQ(plan.TakeResult().next_offset, Offset(40));
}

TEST_F(LogReadTest, ABatchLargerThanTheLimitComesOnlyIfAskedFor) {
  for (const Offset from : {Offset(0), Offset(19)}) {
    const auto first = Read(from, {Offset(20), 1, true});
    ASSERT_OK(first);
    EXPECT_EQ(first->next_offset, from + 1);
    const auto none = Read(from, {Offset(20), 1, false});
    ASSERT_OK(none);
    EXPECT_EQ(none->next_offset, from);
    EXPECT_TRUE(none->pieces.empty());
  }
}

TEST_F(LogReadTest, NothingBeyondTheLimitComesFromMemoryOrDisk) {
  EXPECT_EQ(Read(Offset(0), {Offset(1)})->next_offset, Offset(1));
  Stage(20);
  Stage(21);
  EXPECT_EQ(Read(Offset(20), {Offset(21)})->next_offset, Offset(21));
  EXPECT_EQ(Read(Offset(5), {Offset(5)})->bytes, 0u);
}

TEST_F(LogReadTest, DamageOnDiskIsCorruptLogAndNothingOfTheBatchComes) {
  const std::string path = "data/topic-0/00000000000000000000.log";
  world_.files->FlipBit(path, 8 * 40);
  EXPECT_THAT(Read(Offset(0), {Offset(20)}), HasCode(ErrorCode::kCorruptLog));
  world_.files->FlipBit(path, 8 * 40);
  EXPECT_OK(Read(Offset(0), {Offset(20)}));
  // The leader epoch is under no checksum, and is checked against the cache.
  world_.files->FlipBit(path, 8 * 15 + 3);
  EXPECT_THAT(Read(Offset(0), {Offset(20)}), IsError(ErrorCode::kCorruptLog, "leader epoch"));
}

TEST_F(LogReadTest, AReadThatATruncationOvertookSaysSoAndGivesNothing) {
  ASSERT_OK_AND_ASSIGN(ReadPlan before, log_->Read(Offset(0), {Offset(20)}));
  ASSERT_OK_AND_ASSIGN(TimestampPlan lookup, log_->OffsetForTimestamp(kTestTime, Offset(20)));
  log_->TruncateTo(Offset(2), Offset(0));
  EXPECT_THAT(before.Execute(), HasCode(ErrorCode::kOffsetNotAvailable));
  EXPECT_THAT(lookup.Execute(), HasCode(ErrorCode::kOffsetNotAvailable));
  world_.Run();
  EXPECT_EQ(Read(Offset(0), {Offset(20)})->next_offset, Offset(2));
}

TEST_F(LogReadTest, TheFirstOfTheLatestRecordsIsFoundAcrossSegments) {
  ASSERT_OK_AND_ASSIGN(TimestampPlan all, log_->OffsetOfMaxTimestamp(Offset(20)));
  EXPECT_EQ(all.Execute()->value().offset, Offset(6));
  ASSERT_OK_AND_ASSIGN(TimestampPlan part, log_->OffsetOfMaxTimestamp(Offset(4)));
  EXPECT_EQ(part.Execute()->value().offset, Offset(3));
  ASSERT_OK_AND_ASSIGN(TimestampPlan none, log_->OffsetOfMaxTimestamp(Offset(0)));
  EXPECT_FALSE(none.Execute()->has_value());
}

TEST_F(LogReadTest, DeletedOffsetsAreOutOfRange) {
  log_->SetHighWatermark(Offset(20));
  log_->RaiseLogStart(Offset(3), nullptr);
  EXPECT_THAT(Read(Offset(2), {Offset(20)}), HasCode(ErrorCode::kOffsetOutOfRange));
  EXPECT_OK(Read(Offset(3), {Offset(20)}));
  EXPECT_THAT(Read(Offset(21), {Offset(20)}), HasCode(ErrorCode::kOffsetOutOfRange));
}

TEST_F(LogReadTest, AClosedLogIsNotRead) {
  ASSERT_OK(world_.Close(*log_));
  EXPECT_THAT(Read(Offset(0), {Offset(20)}), HasCode(ErrorCode::kShuttingDown));
}

}  // namespace
}  // namespace millrace::storage
