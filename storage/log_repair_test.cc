// S-22: what a log makes of a repair: what was found before a cut is void, and a crash leaves the
// damaged segment or the whole one.

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/testing/repair_fixture.h"

namespace millrace::storage {
namespace {

using LogRepairTest = RepairFixture;

TEST_F(LogRepairTest, AnActiveSegmentIsSealedAndThenRepaired) {
  const Offset end = log_->end_offset();
  const SegmentSpan active = log_->SegmentOf(end);
  ASSERT_LT(active.base, end);
  Damage(kBatches - 1, 70);
  ASSERT_OK(Mend(kBatches - 1));
  EXPECT_EQ(ReadAll(*log_, Offset(0), end), healthy_);
  EXPECT_EQ(log_->SegmentOf(active.base).end, end);
  ASSERT_OK(log_->StageAsLeader(MakeBatch("more"), LeaderEpoch(9), world_.Now()));
  world_.RunBriefly();
  EXPECT_EQ(log_->SegmentOf(end).base, end);
}

TEST_F(LogRepairTest, WhatIsNotWrittenYetCannotBeRepairedYet) {
  ASSERT_OK(log_->StageAsLeader(MakeBatch("more"), LeaderEpoch(9), world_.Now()));
  EXPECT_THAT(Begin(kBatches), HasCode(ErrorCode::kOffsetNotAvailable));
  world_.RunBriefly();
  EXPECT_OK(Begin(kBatches));
  EXPECT_THAT(Begin(kBatches + 3), HasCode(ErrorCode::kOffsetOutOfRange));
}

TEST_F(LogRepairTest, S22WhatWasFoundBeforeATruncationIsVoid) {
  Damage(1, 70);
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<SegmentRepair> early, Begin(1));
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<SegmentRepair> late, Begin(1));
  ASSERT_OK(MakeWhole(*late));
  log_->TruncateBelowHighWatermark(Offset(2 * kBatches - 2));
  EXPECT_THAT(early->Continue(1 << 20), HasCode(ErrorCode::kOffsetNotAvailable));
  EXPECT_THAT(Finish(late), HasCode(ErrorCode::kOffsetNotAvailable));
  EXPECT_THAT(ReadOne(1), HasCode(ErrorCode::kCorruptLog));
}

TEST_F(LogRepairTest, S22WhatIsDeletedMeanwhileNeedsNoRepair) {
  Damage(1, 70);
  ASSERT_OK_AND_ASSIGN(std::shared_ptr<SegmentRepair> repair, Begin(1));
  const Offset next = log_->SegmentOf(Offset(0)).end;
  log_->RaiseLogStart(next, nullptr);
  world_.Run(absl::Seconds(3));
  // The reference keeps the file.
  ASSERT_OK(MakeWhole(*repair));
  EXPECT_THAT(Finish(repair), HasCode(ErrorCode::kOffsetNotAvailable));
  repair->Abandon();
  repair.reset();
  world_.Run(absl::Seconds(3));
  EXPECT_FALSE(world_.files->Exists(PathOf(Offset(0))).value());
  EXPECT_FALSE(HasCopies());
  EXPECT_THAT(Begin(1), HasCode(ErrorCode::kOffsetOutOfRange));
}

TEST_F(LogRepairTest, AReplicaThatIsDeletedMeanwhileGoesWhole) {
  Damage(1, 70);
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<SegmentRepair> repair, Begin(1));
  ASSERT_EQ(ToHole(*repair), SegmentRepair::Step::kHole);
  log_.reset();
  ASSERT_OK(world_.Await([&](LogDir::Done done) {
    world_.dir->DeleteReplica(world_.Partition(), world_.shard.get(), std::move(done));
  }));
  world_.Run(absl::Seconds(3));
  EXPECT_THAT(repair->Fill(batches_[1]), HasCode(ErrorCode::kOffsetNotAvailable));
  EXPECT_FALSE(world_.files->Exists("data/topic-0").value());
  EXPECT_OK(world_.OpenLog(1));
}

TEST_F(LogRepairTest, S22ACrashLeavesTheDamagedSegmentOrTheWholeOne) {
  world_.files->SyncAll();
  Damage(1, 70);
  const SegmentSpan span = log_->SegmentOf(Offset(0));
  int images = 0;
  int whole = 0;
  const auto check = [&](const std::shared_ptr<sim::SimFileSystem>& files) {
    LogFixture after(files);
    after.config = world_.config;
    ASSERT_OK(after.Open());
    ASSERT_OK(after.Begin(2));
    ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Log> log, after.OpenLog());
    ASSERT_EQ(log->end_offset(), Offset(2 * kBatches));
    EXPECT_EQ(log->SegmentOf(Offset(0)).end, span.end);
    ASSERT_OK_AND_ASSIGN(ReadPlan plan, log->Read(Offset(2), {span.end, 1, true}));
    const absl::StatusOr<ReadResult> read = plan.Execute();
    ++images;
    if (read.ok()) {
      ++whole;
      EXPECT_EQ(ReadAll(*log, Offset(0), log->end_offset()), healthy_);
    } else {
      EXPECT_THAT(read, HasCode(ErrorCode::kCorruptLog));
    }
    for (const auto& [name, contents] : Files(*files)) {
      EXPECT_FALSE(absl::EndsWith(name, ".tmp")) << name;
    }
  };
  world_.files->SetOnCall([&](const sim::SimCall& call) {
    for (const sim::CrashMode mode :
         {sim::CrashMode::kKeepAll, sim::CrashMode::kLoseAll, sim::CrashMode::kTorn}) {
      sim::SimRandom random(call.number);
      SCOPED_TRACE(call.ToString());
      check(world_.files->CrashImage(mode, random));
    }
  });
  ASSERT_OK(Mend(1));
  world_.files->SetOnCall(nullptr);
  sim::SimRandom random(1);
  const int before = whole;
  check(world_.files->CrashImage(sim::CrashMode::kLoseAll, random));
  EXPECT_EQ(whole, before + 1) << "what was said to be durable is not";
  EXPECT_GT(images, 10);
}

// The file in its place has an empty batch where records were deleted.
TEST_F(LogRepairTest, S22WhatIsDeletedIsSoDurablyBeforeARepairLeavesItOut) {
  world_.files->SyncAll();
  Damage(1, 70);
  log_->RaiseLogStart(Offset(4), nullptr);
  ASSERT_OK_AND_ASSIGN(std::shared_ptr<SegmentRepair> repair, Begin(1));
  ASSERT_OK(MakeWhole(*repair));
  int before = 0;
  int after = 0;
  world_.files->SetOnCall([&](const sim::SimCall& call) {
    for (const sim::CrashMode mode :
         {sim::CrashMode::kKeepAll, sim::CrashMode::kLoseAll, sim::CrashMode::kTorn}) {
      SCOPED_TRACE(call.ToString());
      sim::SimRandom random(call.number);
      const auto image =
          std::shared_ptr<sim::SimFileSystem>(world_.files->CrashImage(mode, random));
      LogFixture restarted(image);
      restarted.config = world_.config;
      ASSERT_OK(restarted.Open());
      ASSERT_OK(restarted.Begin(2));
      ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Log> log, restarted.OpenLog());
      ASSERT_EQ(log->end_offset(), Offset(2 * kBatches));
      if (log->log_start_offset() == Offset(4)) {
        ++after;
        continue;
      }
      ++before;
      ASSERT_EQ(log->log_start_offset(), Offset(0));
      ASSERT_OK_AND_ASSIGN(ReadPlan plan, log->Read(Offset(2), {log->end_offset(), 1, true}));
      EXPECT_THAT(plan.Execute(), HasCode(ErrorCode::kCorruptLog));
    }
  });
  ASSERT_OK(Finish(std::move(repair)));
  world_.files->SetOnCall(nullptr);
  EXPECT_GT(before, 0);
  EXPECT_GT(after, 0);
  ExpectToRecover(Offset(4));
}

}  // namespace
}  // namespace millrace::storage
