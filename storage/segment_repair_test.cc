// S-22: the repair of a segment: what is good stays, and what is not comes from elsewhere and must
// fit.

#include "storage/segment_repair.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/testing/repair_fixture.h"

namespace millrace::storage {
namespace {

using SegmentRepairTest = RepairFixture;

TEST_F(SegmentRepairTest, S22OnlyWhatIsDamagedIsAskedForAndTheFilesAreThenAsBefore) {
  const auto before = Files(*world_.files);
  // In its length, its offset, its leader epoch and its records; the first and the last batch of a
  // segment among them.
  const SegmentSpan first = log_->SegmentOf(Offset(0));
  const int last = static_cast<int>(first.end.value() / 2) - 1;
  for (const auto& [batch, at] : std::vector<std::pair<int, uint64_t>>{
           {1, 70}, {2, 3}, {3, 9}, {2, 14}, {0, 65}, {last, 75}}) {
    SCOPED_TRACE(batch);
    Damage(batch, at);
    EXPECT_THAT(ReadOne(batch), HasCode(ErrorCode::kCorruptLog));
    ASSERT_OK_AND_ASSIGN(const std::shared_ptr<SegmentRepair> repair, Begin(batch));
    ASSERT_OK(MakeWhole(*repair));
    EXPECT_EQ(repair->filled_ranges(), 1);
    EXPECT_LE(repair->filled_bytes(), 2 * static_cast<int64_t>(batches_[1].size()));
    ASSERT_OK(Finish(repair));
    EXPECT_EQ(Files(*world_.files), before);
    EXPECT_EQ(ReadAll(*log_, Offset(0), log_->end_offset()), healthy_);
  }
}

TEST_F(SegmentRepairTest, SeveralHolesOfASegmentAreFilledOneByOne) {
  const auto before = Files(*world_.files);
  Damage(1, 70);
  Damage(5, 70);
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<SegmentRepair> repair, Begin(5));
  ASSERT_OK(MakeWhole(*repair));
  EXPECT_EQ(repair->filled_ranges(), 2);
  ASSERT_OK(Finish(repair));
  EXPECT_EQ(Files(*world_.files), before);
}

TEST_F(SegmentRepairTest, WithoutAnIndexOrWithoutTheFilesEndTheHoleGoesToTheEnd) {
  const auto before = Files(*world_.files);
  Damage(1, 70);
  ASSERT_OK(world_.files->RemoveFile(
      JoinPath("data/topic-0", SegmentFileName(Offset(0), kOffsetIndexSuffix))));
  ASSERT_OK_AND_ASSIGN(std::shared_ptr<SegmentRepair> repair, Begin(1));
  EXPECT_EQ(ToHole(*repair), SegmentRepair::Step::kHole);
  EXPECT_EQ(repair->hole_from(), Offset(2));
  EXPECT_EQ(repair->hole_to(), log_->SegmentOf(Offset(0)).end);
  // In parts.
  ASSERT_OK(repair->Fill(batches_[1]));
  EXPECT_EQ(repair->hole_from(), Offset(4));
  ASSERT_OK(repair->Fill(Healthy(repair->hole_from(), repair->hole_to())));
  EXPECT_EQ(ToHole(*repair), SegmentRepair::Step::kWhole);
  ASSERT_OK(Finish(repair));
  EXPECT_EQ(Files(*world_.files), before);

  ASSERT_OK_AND_ASSIGN(const auto file,
                       world_.files->Open(PathOf(Offset(0)), OpenMode::kReadWrite));
  ASSERT_OK(file->Truncate(batches_[0].size() + 30));
  ASSERT_OK(Mend(2));
  EXPECT_EQ(Files(*world_.files), before);
}

TEST_F(SegmentRepairTest, S22WhatDoesNotFitAHoleIsRefusedAndTheHoleStays) {
  Damage(3, 70);
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<SegmentRepair> repair, Begin(3));
  ASSERT_EQ(ToHole(*repair), SegmentRepair::Step::kHole);
  ASSERT_EQ(repair->hole_from(), Offset(6));
  ASSERT_EQ(repair->hole_to(), Offset(8));
  std::string damaged = batches_[3];
  damaged[70] ^= 1;
  for (const std::string& wrong : {
           damaged,                    // Damaged there too.
           batches_[4],                // Does not abut.
           batches_[2] + batches_[3],  // Begins before.
           batches_[3] + batches_[4],  // Goes beyond.
           batches_[3].substr(0, 40),  // Half a batch.
           // Another history; and one that only its length betrays.
           MakeStampedBatch(Offset(6), LeaderEpoch(2), "value", 2),
           MakeStampedBatch(Offset(6), LeaderEpoch(1), "longer than it was", 2),
       }) {
    EXPECT_THAT(repair->Fill(wrong), HasCode(ErrorCode::kCorruptMessage));
    EXPECT_EQ(repair->hole_from(), Offset(6));
  }
  ASSERT_OK(repair->Fill(batches_[3]));
  ASSERT_EQ(ToHole(*repair), SegmentRepair::Step::kWhole);
  ASSERT_OK(Finish(repair));
  EXPECT_EQ(ReadAll(*log_, Offset(0), log_->end_offset()), healthy_);
}

TEST_F(SegmentRepairTest, ASegmentThatIsWholeNeedsNothing) {
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<SegmentRepair> repair, Begin(1));
  ASSERT_OK(MakeWhole(*repair));
  EXPECT_EQ(repair->filled_ranges(), 0);
  EXPECT_TRUE(HasCopies());
  repair->Abandon();
  EXPECT_FALSE(HasCopies());
}

// Nobody has to have it any more.
TEST_F(SegmentRepairTest, WhatWasDeletedIsReplacedWithNothing) {
  log_->RaiseLogStart(Offset(5), nullptr);
  world_.Run();
  Damage(0, 70);
  ReadLimits limits{log_->end_offset(), 1, true};
  limits.from_files = true;
  EXPECT_THAT(log_->Read(Offset(0), limits), HasCode(ErrorCode::kOffsetOutOfRange));
  limits.deleted_too = true;
  ASSERT_OK_AND_ASSIGN(ReadPlan plan, log_->Read(Offset(0), limits));
  EXPECT_THAT(plan.Execute(), HasCode(ErrorCode::kCorruptLog));
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<SegmentRepair> repair, Begin(0));
  ASSERT_EQ(ToHole(*repair), SegmentRepair::Step::kWhole);
  EXPECT_EQ(repair->filled_ranges(), 1);
  ASSERT_OK(Finish(repair));
  EXPECT_OK(log_->Read(Offset(0), limits)->Execute());
  EXPECT_EQ(ReadAll(*log_, Offset(4 + 1), log_->end_offset()), Healthy(Offset(4), Offset(40)));
  ExpectToRecover(Offset(5));
}

// The epochs of the segment before may be all that a start knows without reading.
TEST_F(SegmentRepairTest, WhatStandsForDeletedRecordsHasNoEarlierEpochThanWhatWasBeforeThem) {
  const Offset base = log_->SegmentOf(Offset(0)).end;
  const int first = static_cast<int>(base.value() / 2);
  log_->RaiseLogStart(base + 5, nullptr);
  world_.Run(absl::Seconds(3));
  Damage(first, 70);
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<SegmentRepair> repair, Begin(first));
  ASSERT_EQ(ToHole(*repair), SegmentRepair::Step::kWhole);
  ASSERT_OK(Finish(repair));
  ReadLimits limits{log_->end_offset(), 1, true};
  limits.from_files = limits.deleted_too = true;
  ASSERT_OK_AND_ASSIGN(ReadPlan plan, log_->Read(base, limits));
  ASSERT_OK_AND_ASSIGN(const ReadResult read, plan.Execute());
  ASSERT_OK_AND_ASSIGN(const record::BatchView batch,
                       record::BatchView::Parse(read.pieces.front().slice()));
  EXPECT_EQ(batch.record_count(), 0);
  EXPECT_EQ(batch.leader_epoch(), LeaderEpoch(1 + (first + 1) / 7));
  ExpectToRecover(base + 5);
}

TEST_F(SegmentRepairTest, TheBatchInWhichTheLogBeginsIsAskedForAndNoneBefore) {
  log_->RaiseLogStart(Offset(5), nullptr);
  world_.Run();
  // Without an index nothing says where the next good one is.
  ASSERT_OK(world_.files->RemoveFile(
      JoinPath("data/topic-0", SegmentFileName(Offset(0), kOffsetIndexSuffix))));
  Damage(1, 70);
  Damage(2, 70);
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<SegmentRepair> repair, Begin(2));
  ASSERT_EQ(ToHole(*repair), SegmentRepair::Step::kHole);
  EXPECT_EQ(repair->hole_from(), Offset(2));
  EXPECT_EQ(repair->wanted_from(), Offset(5));
  // Live ones must not be left out.
  EXPECT_THAT(repair->Fill(batches_[3]), HasCode(ErrorCode::kCorruptMessage));
  EXPECT_EQ(repair->hole_from(), Offset(2));
  ASSERT_OK(repair->Fill(batches_[2]));
  EXPECT_EQ(repair->wanted_from(), Offset(6));
  ASSERT_OK(repair->Fill(Healthy(Offset(6), repair->hole_to())));
  ASSERT_EQ(ToHole(*repair), SegmentRepair::Step::kWhole);
  ASSERT_OK(Finish(repair));
  EXPECT_EQ(ReadAll(*log_, Offset(4 + 1), log_->end_offset()), Healthy(Offset(4), Offset(40)));
  ExpectToRecover(Offset(5));
}

TEST_F(SegmentRepairTest, AFullDiskKeepsTheDamagedSegment) {
  Damage(1, 70);
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<SegmentRepair> repair, Begin(1));
  world_.files->SetCapacity(world_.files->used_bytes());
  EXPECT_THAT(MakeWhole(*repair), HasCode(ErrorCode::kStorageFull));
  repair->Abandon();
  world_.files->SetCapacity(1 << 20);
  EXPECT_FALSE(HasCopies());
  EXPECT_OK(Mend(1));
}

}  // namespace
}  // namespace millrace::storage
