#include "storage/segment_scan.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/file_names.h"
#include "storage/index_file.h"
#include "storage/testing/log_fixture.h"

namespace millrace::storage {
namespace {

constexpr Offset kBase(100);
constexpr int kCount = 10;

class SegmentScanTest : public testing::Test {
 protected:
  void SetUp() override {
    for (int i = 0; i < kCount; ++i) {
      starts_.push_back(contents_.size());
      contents_ += MakeStampedBatch(kBase + i, LeaderEpoch(1 + i / 4), "value", 1, kTestTime + i,
                                    ProducerId(5), i);
    }
    options_.base_offset = kBase;
    options_.index_interval_bytes = 150;
  }
  SegmentScan Scan(const std::string& contents) {
    EXPECT_OK(ReplaceFile(files_, "log", contents));
    const auto file = files_.Open("log", OpenMode::kRead);
    EXPECT_OK(file);
    absl::StatusOr<SegmentScan> scan = ScanSegment(**file, options_);
    EXPECT_OK(scan);
    return *std::move(scan);
  }

  sim::SimFileSystem files_;
  std::string contents_;
  std::vector<size_t> starts_;
  SegmentScanOptions options_;
};

TEST_F(SegmentScanTest, LearnsAllThatIsDerivedFromTheBatches) {
  EpochCache epochs;
  ProducerState producers;
  options_.epochs = &epochs;
  options_.producers = &producers;
  const SegmentScan scan = Scan(contents_);
  EXPECT_OK(scan.damage);
  EXPECT_EQ(scan.end_offset, kBase + kCount);
  EXPECT_EQ(scan.size, contents_.size());
  EXPECT_EQ(scan.first_timestamp_ms, kTestTime);
  EXPECT_EQ(scan.builder.max_timestamp_ms(), kTestTime + kCount - 1);
  EXPECT_EQ(epochs.entries().size(), 3u);
  EXPECT_EQ(producers.producers().at(ProducerId(5)).batches.back().last_sequence, kCount - 1);
  EXPECT_GE(scan.offset_index.size(), 2 * kOffsetIndexEntrySize);
  EXPECT_GE(scan.time_index.size(), 2 * kTimeIndexEntrySize);
}

TEST_F(SegmentScanTest, HintsAreNotToldAgainWhatTheyCover) {
  EpochCache epochs;
  ProducerState producers;
  options_.epochs = &epochs;
  options_.epochs_from = kBase + 5;
  options_.producers = &producers;
  options_.producers_from = kBase + kCount;
  Scan(contents_);
  EXPECT_EQ(epochs.entries().front(), (EpochEntry{LeaderEpoch(2), kBase + 5}));
  EXPECT_TRUE(producers.empty());
}

TEST_F(SegmentScanTest, RoomAllocatedAheadIsNoDamage) {
  const SegmentScan scan = Scan(contents_ + std::string(5000, '\0'));
  EXPECT_OK(scan.damage);
  EXPECT_EQ(scan.size, contents_.size());
  EXPECT_EQ(scan.file_size, contents_.size() + 5000);
}

TEST_F(SegmentScanTest, WhatFollowsDamageIsNotTaken) {
  std::string damaged = contents_;
  damaged[starts_[4] + 30] = static_cast<char>(damaged[starts_[4] + 30] ^ 1);
  const SegmentScan scan = Scan(damaged);
  EXPECT_THAT(scan.damage, HasCode(ErrorCode::kCorruptMessage));
  EXPECT_EQ(scan.end_offset, kBase + 4);
  EXPECT_EQ(scan.size, starts_[4]);
}

TEST_F(SegmentScanTest, AnEpochThatFallsIsDamage) {
  EpochCache epochs;
  options_.epochs = &epochs;
  const std::string fallen =
      contents_ + MakeStampedBatch(kBase + kCount, LeaderEpoch(2), "value", 1);
  const SegmentScan scan = Scan(fallen);
  EXPECT_THAT(scan.damage, HasCode(ErrorCode::kCorruptLog));
  EXPECT_EQ(scan.end_offset, kBase + kCount);
}

TEST_F(SegmentScanTest, AnEpochOtherThanTheVouchedOneIsDamageBelowTheMarkOnly) {
  EpochCache vouched;
  ASSERT_OK(vouched.Assign(LeaderEpoch(1), kBase));
  options_.vouched = &vouched;
  options_.vouched_to = kBase + 6;
  const SegmentScan scan = Scan(contents_);
  EXPECT_THAT(scan.damage, IsError(ErrorCode::kCorruptLog, "was synced with 1"));
  EXPECT_EQ(scan.end_offset, kBase + 4);
  options_.vouched_to = kBase + 4;
  EXPECT_OK(Scan(contents_).damage);
}

TEST_F(SegmentScanTest, StopsBeforeTheBatchThatIsToGo) {
  options_.stop_at = kBase + 7;
  const SegmentScan scan = Scan(contents_);
  EXPECT_OK(scan.damage);
  EXPECT_EQ(scan.end_offset, kBase + 7);
  EXPECT_EQ(scan.size, starts_[7]);
}

TEST_F(SegmentScanTest, IndexesAreRepairedIfWrongAndElseLeftAlone) {
  ASSERT_OK(files_.CreateDirectory("p"));
  SegmentScan scan = Scan(contents_);
  ASSERT_OK(WriteIndexes(files_, "p", kBase, &scan, true));
  const std::string offsets = JoinPath("p", SegmentFileName(kBase, kOffsetIndexSuffix));
  const std::string times = JoinPath("p", SegmentFileName(kBase, kTimeIndexSuffix));
  EXPECT_EQ(FileContents(files_, offsets), scan.offset_index);
  EXPECT_EQ(FileContents(files_, times), scan.time_index);
  // A finished time index ends with the latest time.
  EXPECT_EQ(LoadTimeIndexEntry(&scan.time_index[scan.time_index.size() - kTimeIndexEntrySize])
                .timestamp_ms,
            kTestTime + kCount - 1);
  int changes = 0;
  files_.SetOnCall([&](const sim::SimCall&) { ++changes; });
  SegmentScan again = Scan(contents_);
  changes = 0;
  ASSERT_OK(WriteIndexes(files_, "p", kBase, &again, false));
  EXPECT_EQ(changes, 0);
  files_.FlipBit(offsets, 9);
  files_.FlipBit(times, 9);
  ASSERT_OK(WriteIndexes(files_, "p", kBase, &again, true));
  EXPECT_GT(changes, 0);
  EXPECT_EQ(FileContents(files_, offsets), scan.offset_index);
  EXPECT_EQ(FileContents(files_, times), scan.time_index);
}

}  // namespace
}  // namespace millrace::storage
