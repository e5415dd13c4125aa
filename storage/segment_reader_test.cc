#include "storage/segment_reader.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/segment_scan.h"
#include "storage/testing/log_fixture.h"

namespace millrace::storage {
namespace {

constexpr Offset kBase(100);
constexpr int kCount = 20;

// A sealed segment of batches with two records each, ten milliseconds apart.
class SegmentReaderTest : public testing::Test {
 protected:
  void SetUp() override {
    identity_->directory = "p";
    identity_->name = "topic-0";
    ASSERT_OK(files_.CreateDirectory("p"));
    for (int i = 0; i < kCount; ++i) {
      starts_.push_back(contents_.size());
      contents_ +=
          MakeStampedBatch(kBase + 2 * i, LeaderEpoch(1 + i / 10), "value", 2, kTestTime + 10 * i);
    }
    starts_.push_back(contents_.size());
    Write(kLogSuffix, contents_);
    ASSERT_OK_AND_ASSIGN(const auto file, files_.Open(segment_.Path(kLogSuffix), OpenMode::kRead));
    SegmentScanOptions options;
    options.base_offset = kBase;
    options.index_interval_bytes = 200;
    ASSERT_OK_AND_ASSIGN(SegmentScan scan, ScanSegment(*file, options));
    ASSERT_OK(WriteIndexes(files_, "p", kBase, &scan, true));
  }
  void Write(absl::string_view suffix, const std::string& contents) {
    ASSERT_OK(ReplaceFile(files_, segment_.Path(suffix), contents));
  }
  absl::StatusOr<std::string> Read(int batch, size_t bytes_max = 1 << 20,
                                   Offset up_to = kBase + 2 * kCount) {
    SegmentRange range;
    range.from = kBase + 2 * batch;
    range.limits = {up_to, bytes_max, true};
    range.epochs = {{LeaderEpoch(1), kBase}, {LeaderEpoch(2), kBase + kCount}};
    absl::StatusOr<ReadResult> result = ReadSegment(files_, segment_, range);
    if (!result.ok()) return result.status();
    std::string all;
    for (const Bytes& piece : result->pieces) all += piece.ToString();
    return all;
  }
  absl::StatusOr<std::optional<TimestampAndOffset>> Find(int64_t ms) {
    return FindTimestamp(files_, segment_, kTestTime + ms, kBase, kBase + 2 * kCount);
  }

  sim::SimFileSystem files_;
  std::shared_ptr<LogFilesIdentity> identity_ = std::make_shared<LogFilesIdentity>();
  Segment segment_{identity_, kBase};
  std::string contents_;
  std::vector<size_t> starts_;
};

TEST_F(SegmentReaderTest, GivesExactlyTheBatchesFromEveryOffset) {
  for (size_t i = 0; i < kCount; ++i) {
    EXPECT_EQ(Read(static_cast<int>(i)).value(), contents_.substr(starts_[i]));
    EXPECT_EQ(Read(static_cast<int>(i), 1).value(),
              contents_.substr(starts_[i], starts_[i + 1] - starts_[i]));
  }
  EXPECT_EQ(Read(3, 1 << 20, kBase + 11).value(),
            contents_.substr(starts_[3], starts_[5] - starts_[3]));
}

TEST_F(SegmentReaderTest, AWrongOrMissingIndexCostsTimeOnly) {
  const std::string index = FileContents(files_, segment_.Path(kOffsetIndexSuffix));
  for (size_t bit = 0; bit < index.size() * 8; ++bit) {
    files_.FlipBit(segment_.Path(kOffsetIndexSuffix), bit);
    for (const int from : {0, 7, 19}) {
      EXPECT_EQ(Read(from).value(), contents_.substr(starts_[static_cast<size_t>(from)])) << bit;
    }
    files_.FlipBit(segment_.Path(kOffsetIndexSuffix), bit);
  }
  ASSERT_OK(files_.RemoveFile(segment_.Path(kOffsetIndexSuffix)));
  EXPECT_EQ(Read(12).value(), contents_.substr(starts_[12]));
}

TEST_F(SegmentReaderTest, DamageIsNeverServed) {
  for (size_t at = starts_[7]; at < starts_[8]; ++at) {
    std::string damaged = contents_;
    damaged[at] = static_cast<char>(damaged[at] ^ 4);
    Write(kLogSuffix, damaged);
    EXPECT_THAT(Read(7), HasCode(ErrorCode::kCorruptLog)) << at - starts_[7];
    EXPECT_THAT(Read(6, 1).value(), contents_.substr(starts_[6], starts_[7] - starts_[6]));
    // What stands before it is given, and no more.
    EXPECT_THAT(Read(2).value(), contents_.substr(starts_[2], starts_[7] - starts_[2]));
  }
}

// The index names the batch before: its checksum is wrong, but where it ends is known.
TEST_F(SegmentReaderTest, DamageBeforeWhatIsAskedForIsNotInTheWay) {
  int served = 0;
  for (int damaged_batch = 1; damaged_batch + 1 < kCount; ++damaged_batch) {
    const auto batch = static_cast<size_t>(damaged_batch);
    for (size_t at = starts_[batch]; at < starts_[batch + 1]; ++at) {
      std::string damaged = contents_;
      damaged[at] = static_cast<char>(damaged[at] ^ 4);
      Write(kLogSuffix, damaged);
      EXPECT_THAT(Read(damaged_batch, 1), HasCode(ErrorCode::kCorruptLog));
      const absl::StatusOr<std::string> next = Read(damaged_batch + 1);
      // Never anything else, wherever the damage is: its size may be what is damaged.
      if (next.ok()) EXPECT_EQ(*next, contents_.substr(starts_[batch + 1]));
      if (at + 1 == starts_[batch + 1]) served += next.ok() ? 1 : 0;
    }
  }
  // Of those that have an entry of their own: it is one of two or three.
  EXPECT_GE(served, kCount / 3);
}

TEST_F(SegmentReaderTest, AFileThatEndsTooEarlyIsDamage) {
  Write(kLogSuffix, contents_.substr(0, starts_[15] + 3));
  EXPECT_THAT(Read(15), IsError(ErrorCode::kCorruptLog, "the file ends before offset"));
  EXPECT_THAT(Read(16), HasCode(ErrorCode::kCorruptLog));
}

TEST_F(SegmentReaderTest, BatchesOfAnotherPlaceAreDamage) {
  // Well-formed, and not what this segment's name promises.
  Write(kLogSuffix, MakeStampedBatch(kBase + 2, LeaderEpoch(1), "value", 2));
  EXPECT_THAT(Read(1), IsError(ErrorCode::kCorruptLog, "stand where others belong"));
}

TEST_F(SegmentReaderTest, FindsTheFirstRecordOfATimeWhateverTheIndexSays) {
  const auto all_found = [&] {
    for (int i = 0; i < kCount; ++i) {
      for (const int early : {0, 9}) {
        const auto found = Find(10 * i - early);
        EXPECT_OK(found);
        EXPECT_EQ(found->value().offset, kBase + 2 * i);
      }
    }
    EXPECT_FALSE(Find(10 * kCount).value().has_value());
  };
  all_found();
  const std::string times = FileContents(files_, segment_.Path(kTimeIndexSuffix));
  for (size_t bit = 0; bit < times.size() * 8; bit += 5) {
    files_.FlipBit(segment_.Path(kTimeIndexSuffix), bit);
    all_found();
    files_.FlipBit(segment_.Path(kTimeIndexSuffix), bit);
  }
  ASSERT_OK(files_.RemoveFile(segment_.Path(kTimeIndexSuffix)));
  all_found();
}

TEST_F(SegmentReaderTest, ALookupDoesNotPassDamage) {
  files_.FlipBit(segment_.Path(kLogSuffix), (starts_[3] + 40) * 8);
  ASSERT_OK(files_.RemoveFile(segment_.Path(kTimeIndexSuffix)));
  EXPECT_OK(Find(20));
  EXPECT_THAT(Find(50), HasCode(ErrorCode::kCorruptLog));
}

TEST_F(SegmentReaderTest, TheLatestTimeIsBelievedOnlyIfItsBatchBearsItOut) {
  EXPECT_EQ(VerifiedMaxTimestamp(files_, segment_).value(), kTestTime + 10 * (kCount - 1));
  const std::string times = FileContents(files_, segment_.Path(kTimeIndexSuffix));
  for (size_t bit = (times.size() - 12) * 8; bit < times.size() * 8; ++bit) {
    files_.FlipBit(segment_.Path(kTimeIndexSuffix), bit);
    EXPECT_EQ(VerifiedMaxTimestamp(files_, segment_).value(), std::nullopt) << bit;
    files_.FlipBit(segment_.Path(kTimeIndexSuffix), bit);
  }
}

TEST_F(SegmentReaderTest, TheLatestRecordWithinARange) {
  const auto latest = FindLatestTimestamp(files_, segment_, kBase, kBase + 9);
  ASSERT_OK(latest);
  EXPECT_EQ(latest->value().offset, kBase + 8);
  EXPECT_EQ(latest->value().timestamp_ms, kTestTime + 40);
}

TEST_F(SegmentReaderTest, AFailedReadIsNoDamage) {
  files_.SetFaults([](const sim::SimCall& call) -> std::optional<sim::SimFault> {
    if (call.kind != sim::SimCall::Kind::kRead) return std::nullopt;
    return sim::SimFault::kIoError;
  });
  EXPECT_THAT(Read(0), HasCode(ErrorCode::kStorageError));
  files_.ClearFaults();
}

}  // namespace
}  // namespace millrace::storage
