#include "record/batch_view.h"

#include <limits>
#include <string>

#include "base/crc32c.h"
#include "base/sim/sim_random.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "record/record_reader.h"
#include "record/testing/sample_records.h"

namespace millrace::record {
namespace {

// Writes a header field and makes the checksum right again, so that only the field is wrong.
template <class T>
std::string With(const Bytes& batch, size_t at, std::type_identity_t<T> value) {
  std::string changed = batch.ToString();
  StoreBig<T>(&changed[at], value);
  StoreBig<uint32_t>(changed.data() + kCrcAt, Crc32c(Slice(changed).substr(kCrcCoversFrom)));
  return changed;
}

// The whole walk, for inputs of which only "no crash, and a status" is known.
absl::Status ReadAll(Slice bytes) {
  ASSIGN_OR_RETURN(const BatchView batch, BatchView::Parse(bytes));
  return ForEachRecord(batch, DecompressionLimits{.bytes_max = 1 << 20},
                       [](const RecordView&) { return absl::OkStatus(); });
}

TEST(BatchViewTest, ShowsEveryHeaderField) {
  const Bytes bytes = BuildSampleBatch(5, {.producer_id = ProducerId(77),
                                           .producer_epoch = ProducerEpoch(5),
                                           .base_sequence = 123,
                                           .is_transactional = true,
                                           .base_offset = Offset(1000),
                                           .leader_epoch = LeaderEpoch(9)});
  ASSERT_OK_AND_ASSIGN(const BatchView batch, BatchView::Parse(bytes));
  EXPECT_EQ(batch.base_offset(), Offset(1000));
  EXPECT_EQ(batch.last_offset(), Offset(1004));
  EXPECT_EQ(batch.next_offset(), Offset(1005));
  EXPECT_EQ(batch.last_offset_delta(), 4);
  EXPECT_EQ(batch.size(), bytes.size());
  EXPECT_EQ(batch.batch_length(), static_cast<int32_t>(bytes.size()) - 12);
  EXPECT_EQ(batch.leader_epoch(), LeaderEpoch(9));
  EXPECT_EQ(batch.magic(), 2);
  EXPECT_EQ(batch.crc(), Crc32c(bytes.slice().substr(21)));
  EXPECT_EQ(batch.attributes(), kTransactionalBit);
  EXPECT_EQ(batch.compression(), Compression::kNone);
  EXPECT_EQ(batch.timestamp_type(), TimestampType::kCreateTime);
  EXPECT_TRUE(batch.is_transactional());
  EXPECT_FALSE(batch.is_control());
  EXPECT_FALSE(batch.has_delete_horizon());
  EXPECT_EQ(batch.base_timestamp_ms(), kSampleTimestampMs);
  EXPECT_EQ(batch.max_timestamp_ms(), kSampleTimestampMs + 28);
  EXPECT_EQ(batch.producer_id(), ProducerId(77));
  EXPECT_EQ(batch.producer_epoch(), ProducerEpoch(5));
  EXPECT_EQ(batch.base_sequence(), 123);
  EXPECT_EQ(batch.last_sequence(), 127);
  EXPECT_EQ(batch.record_count(), 5);
  EXPECT_EQ(batch.records(), bytes.slice().substr(61));
}

TEST(BatchViewTest, TakesOneBatchAndLeavesWhatFollows) {
  const Bytes bytes = BuildSampleBatch(5);
  const std::string two = bytes.ToString() + bytes.ToString();
  ASSERT_OK_AND_ASSIGN(const BatchView first, BatchView::Parse(two));
  EXPECT_EQ(first.size(), bytes.size());
  ASSERT_OK(BatchView::Parse(Slice(two).substr(first.size())));
}

TEST(BatchViewTest, RefusesEveryTruncation) {
  for (const Compression compression : kAllCompressions) {
    const Bytes bytes = BuildSampleBatch(40, {.compression = compression});
    for (size_t size = 0; size < bytes.size(); ++size) {
      // A copy of its own, so that a sanitizer sees a read beyond it.
      const std::string cut(bytes.data(), size);
      EXPECT_THAT(BatchView::Parse(cut), HasCode(ErrorCode::kCorruptMessage)) << size;
    }
  }
}

// S-24: what the checksum does not cover is verified by structure, and what one batch cannot show
// is left to the log: the base offset by contiguity, the leader epoch against the epoch cache.
TEST(BatchViewTest, DetectsEveryBitFlipButThoseOfBaseOffsetAndLeaderEpoch) {
  for (const Compression compression : kAllCompressions) {
    const Bytes bytes = BuildSampleBatch(40, {.compression = compression});
    // Followed by another batch, so that a longer length is not found out by the end of the input.
    const std::string followed = bytes.ToString() + bytes.ToString();
    for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
      std::string flipped = followed;
      flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
      const size_t at = bit / 8;
      // Not the sign of the base offset: negative offsets do not exist. Flipping that of the leader
      // epoch -1 gives the greatest epoch, which only the epoch cache can refuse.
      const bool is_base_offset = at < kBatchLengthAt && bit != 7;
      const bool is_leader_epoch = at >= kLeaderEpochAt && at < kMagicAt;
      const absl::StatusOr<BatchView> parsed = BatchView::Parse(flipped);
      if (is_base_offset) {
        ASSERT_THAT(parsed, IsOk()) << "bit " << bit;
        EXPECT_NE(parsed->base_offset(), Offset(0));
      } else if (is_leader_epoch && parsed.ok()) {
        EXPECT_NE(parsed->leader_epoch(), kNoLeaderEpoch) << "bit " << bit;
      } else {
        EXPECT_FALSE(parsed.ok()) << "bit " << bit << " of " << compression;
      }
    }
  }
}

TEST(BatchViewTest, RefusesImpossibleFieldsUnderAGoodChecksum) {
  const Bytes good = BuildSampleBatch(5);
  const auto corrupt = HasCode(ErrorCode::kCorruptMessage);
  EXPECT_THAT(BatchView::Parse(With<int32_t>(good, kLastOffsetDeltaAt, -1)), corrupt);
  EXPECT_THAT(BatchView::Parse(With<int32_t>(good, kLastOffsetDeltaAt, 3)), corrupt);
  EXPECT_THAT(BatchView::Parse(With<int32_t>(good, kRecordCountAt, -1)), corrupt);
  EXPECT_THAT(BatchView::Parse(With<int32_t>(good, kRecordCountAt, 6)), corrupt);
  EXPECT_THAT(BatchView::Parse(With<int64_t>(good, kBaseOffsetAt, -1)), corrupt);
  EXPECT_THAT(
      BatchView::Parse(With<int64_t>(good, kBaseOffsetAt, std::numeric_limits<int64_t>::max() - 4)),
      corrupt);
  EXPECT_OK(BatchView::Parse(
      With<int64_t>(good, kBaseOffsetAt, std::numeric_limits<int64_t>::max() - 5)));
  EXPECT_THAT(BatchView::Parse(With<int32_t>(good, kLeaderEpochAt, -2)), corrupt);
  EXPECT_THAT(BatchView::Parse(With<int8_t>(good, kMagicAt, 3)), corrupt);
  EXPECT_THAT(BatchView::Parse(With<int8_t>(good, kMagicAt, 1)),
              HasCode(ErrorCode::kUnsupportedVersion));
  EXPECT_THAT(BatchView::Parse(With<int16_t>(good, kAttributesAt, 5)),
              HasCode(ErrorCode::kUnsupportedCompressionType));
  EXPECT_THAT(BatchView::Parse(With<int16_t>(good, kAttributesAt, 0x80)),
              HasCode(ErrorCode::kInvalidRecord));
}

TEST(BatchViewTest, RefusesMoreRecordsThanTheBytesCanHold) {
  const Bytes good = BuildSampleBatch(1);
  const Bytes many(Bytes::FromString(With<int32_t>(good, kLastOffsetDeltaAt, 1 << 30)));
  EXPECT_OK(BatchView::Parse(many));
  EXPECT_THAT(BatchView::Parse(With<int32_t>(many, kRecordCountAt, 1 << 20)),
              IsError(ErrorCode::kCorruptMessage, "too many"));
}

TEST(BatchViewTest, AcceptsABatchThatCompactionEmptied) {
  Bytes header = Bytes::Copy(BuildSampleBatch(5).slice().substr(0, kBatchHeaderSize));
  header = Bytes::FromString(With<int32_t>(header, kBatchLengthAt, kBatchHeaderSize - 12));
  header = Bytes::FromString(With<int16_t>(header, kAttributesAt, 4));
  header = Bytes::FromString(With<int32_t>(header, kRecordCountAt, 0));
  ASSERT_OK_AND_ASSIGN(const BatchView batch, BatchView::Parse(header));
  EXPECT_EQ(batch.next_offset(), Offset(5));
  EXPECT_OK(ReadAll(header));
}

TEST(BatchViewTest, WithVerifiedCrcChecksAllButTheChecksum) {
  const Bytes good = BuildSampleBatch(5);
  std::string wrong = good.ToString();
  wrong[kCrcAt] = static_cast<char>(wrong[kCrcAt] ^ 1);
  EXPECT_THAT(BatchView::Parse(wrong), IsError(ErrorCode::kCorruptMessage, "crc"));
  EXPECT_OK(BatchView::ParseWithVerifiedCrc(wrong));
  EXPECT_FALSE(BatchView::ParseWithVerifiedCrc(Slice(wrong).substr(0, wrong.size() - 1)).ok());
  EXPECT_FALSE(BatchView::ParseWithVerifiedCrc(With<int32_t>(good, kRecordCountAt, 6)).ok());
}

TEST(BatchViewTest, PeekTellsTheSizeFromTwelveBytes) {
  const Bytes good = BuildSampleBatch(5);
  ASSERT_OK_AND_ASSIGN(const size_t size,
                       PeekBatchSize(good.slice().substr(0, kPeekBytes), good.size()));
  EXPECT_EQ(size, good.size());
  EXPECT_THAT(PeekBatchSize(good.slice().substr(0, kPeekBytes - 1), 1000),
              HasCode(ErrorCode::kCorruptMessage));
  EXPECT_THAT(PeekBatchSize(good, good.size() - 1), HasCode(ErrorCode::kMessageTooLarge));
  EXPECT_THAT(PeekBatchSize(With<int32_t>(good, kBatchLengthAt, 48), 1000),
              HasCode(ErrorCode::kCorruptMessage));
  EXPECT_THAT(PeekBatchSize(With<int32_t>(good, kBatchLengthAt, -1), 1000),
              HasCode(ErrorCode::kCorruptMessage));
}

TEST(BatchViewTest, SequencesWrapToZero) {
  EXPECT_EQ(SequenceAfter(0, 0), 0);
  EXPECT_EQ(SequenceAfter(5, 3), 8);
  EXPECT_EQ(SequenceAfter(std::numeric_limits<int32_t>::max(), 0), 2147483647);
  EXPECT_EQ(SequenceAfter(std::numeric_limits<int32_t>::max(), 1), 0);
  EXPECT_EQ(SequenceAfter(std::numeric_limits<int32_t>::max() - 1, 4), 2);
}

// Damage that a checksum was computed over, as a malicious client would send it.
TEST(BatchViewTest, MutationsUnderAGoodChecksumAreAnErrorOrRecordsButNoCrash) {
  sim::SimRandom random(7);
  for (const Compression compression : kAllCompressions) {
    const Bytes good = BuildSampleBatch(40, {.compression = compression});
    int readable = 0;
    for (int round = 0; round < 3000; ++round) {
      std::string mutated = good.ToString();
      const size_t changes = 1 + random.Below(4);
      for (size_t i = 0; i < changes; ++i) {
        const size_t from = round % 3 == 0 ? kCrcCoversFrom : kBatchHeaderSize;
        mutated[from + random.Below(mutated.size() - from)] = static_cast<char>(random.Next());
      }
      if (round % 5 == 0) {
        mutated.resize(kBatchHeaderSize + random.Below(mutated.size() - kBatchHeaderSize));
        StoreBig<int32_t>(mutated.data() + kBatchLengthAt,
                          static_cast<int32_t>(mutated.size()) - 12);
      }
      StoreBig<uint32_t>(mutated.data() + kCrcAt, Crc32c(Slice(mutated).substr(kCrcCoversFrom)));
      readable += ReadAll(mutated).ok() ? 1 : 0;
    }
    EXPECT_LT(readable, 3000) << compression;
  }
}

}  // namespace
}  // namespace millrace::record
