#include "record/produce_checks.h"

#include <string>

#include "base/crc32c.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "record/batch_builder.h"
#include "record/control_record.h"
#include "record/testing/sample_records.h"

namespace millrace::record {
namespace {

constexpr ProduceChecks kCheap = {};
constexpr ProduceChecks kDeep = {.deep = true};

// Writes a header field and makes the checksum right again.
template <class T>
std::string With(Slice batch, size_t at, std::type_identity_t<T> value) {
  std::string changed(batch);
  StoreBig<T>(&changed[at], value);
  StoreBig<uint32_t>(changed.data() + kCrcAt, Crc32c(Slice(changed).substr(kCrcCoversFrom)));
  return changed;
}

TEST(ProduceChecksTest, BatchesOfAProducerPass) {
  for (const Compression compression : kAllCompressions) {
    const Bytes bytes = BuildSampleBatch(50, {.compression = compression,
                                              .producer_id = ProducerId(1),
                                              .producer_epoch = ProducerEpoch(0),
                                              .base_sequence = 0});
    EXPECT_OK(ParseProducedBatch(bytes, kCheap));
    EXPECT_OK(ParseProducedBatch(bytes, kDeep));
  }
}

TEST(ProduceChecksTest, NothingMayFollowTheBatch) {
  const Bytes bytes = BuildSampleBatch(5);
  EXPECT_THAT(ParseProducedBatch(bytes.ToString() + "x", kCheap),
              HasCode(ErrorCode::kInvalidRecord));
}

TEST(ProduceChecksTest, SizeIsBoundedBeforeTheChecksumIsComputed) {
  std::string bytes = BuildSampleBatch(5).ToString();
  bytes.back() ^= 1;
  EXPECT_THAT(ParseProducedBatch(bytes, {.batch_bytes_max = bytes.size() - 1}),
              HasCode(ErrorCode::kMessageTooLarge));
  EXPECT_THAT(ParseProducedBatch(bytes, {.batch_bytes_max = bytes.size()}),
              IsError(ErrorCode::kCorruptMessage, "crc"));
  const Bytes good = BuildSampleBatch(5);
  EXPECT_THAT(CheckProducedBatch(*BatchView::Parse(good), {.batch_bytes_max = 100}),
              IsError(ErrorCode::kMessageTooLarge, "max.message.bytes"));
}

TEST(ProduceChecksTest, RecordsMustFillTheOffsets) {
  const Bytes good = BuildSampleBatch(5);
  EXPECT_THAT(ParseProducedBatch(With<int32_t>(good, kLastOffsetDeltaAt, 5), kCheap),
              IsError(ErrorCode::kInvalidRecord, "record_count"));
  EXPECT_THAT(ParseProducedBatch(With<int32_t>(good, kRecordCountAt, 0), kCheap),
              IsError(ErrorCode::kInvalidRecord, "record_count"));
}

TEST(ProduceChecksTest, WhatOnlyBrokersWriteIsRefused) {
  const Bytes good = BuildSampleBatch(5);
  const Bytes control = BuildEndTransactionBatch({}, ProducerId(1), ProducerEpoch(0), 1);
  EXPECT_THAT(ParseProducedBatch(control, kCheap), IsError(ErrorCode::kInvalidRecord, "control"));
  EXPECT_THAT(ParseProducedBatch(With<int16_t>(good, kAttributesAt, kDeleteHorizonBit), kCheap),
              IsError(ErrorCode::kInvalidRecord, "delete_horizon"));
  EXPECT_THAT(ParseProducedBatch(With<int16_t>(good, kAttributesAt, kTimestampTypeBit), kCheap),
              HasCode(ErrorCode::kInvalidTimestamp));
}

TEST(ProduceChecksTest, ProducerFieldsMustFitTogether) {
  const Bytes good = BuildSampleBatch(
      5, {.producer_id = ProducerId(1), .producer_epoch = ProducerEpoch(0), .base_sequence = 0});
  EXPECT_THAT(ParseProducedBatch(With<int64_t>(good, kProducerIdAt, -2), kCheap),
              IsError(ErrorCode::kInvalidRecord, "producer_id"));
  EXPECT_THAT(ParseProducedBatch(With<int16_t>(good, kProducerEpochAt, -1), kCheap),
              IsError(ErrorCode::kInvalidRecord, "producer_epoch"));
  EXPECT_THAT(ParseProducedBatch(With<int32_t>(good, kBaseSequenceAt, -1), kCheap),
              IsError(ErrorCode::kInvalidRecord, "base_sequence"));
  EXPECT_THAT(ParseProducedBatch(
                  With<int16_t>(BuildSampleBatch(5), kAttributesAt, kTransactionalBit), kCheap),
              IsError(ErrorCode::kInvalidRecord, "producer_id"));
}

TEST(ProduceChecksTest, OnlyTheDeepChecksSeeDamagedRecords) {
  const std::string bytes = With<int8_t>(BuildSampleBatch(5), kBatchHeaderSize, 5);
  EXPECT_OK(ParseProducedBatch(bytes, kCheap));
  EXPECT_THAT(ParseProducedBatch(bytes, kDeep), HasCode(ErrorCode::kCorruptMessage));
}

TEST(ProduceChecksTest, OffsetDeltasMustCountUp) {
  BatchBuilder builder({});
  builder.Add(1, "a", "b");
  builder.Add(1, "a", "b");
  const Bytes good = builder.Build();
  // The second record's offset delta: after its length, attributes and timestamp delta.
  const size_t second = kBatchHeaderSize + (good.size() - kBatchHeaderSize) / 2;
  ASSERT_EQ(good.slice()[second + 3], 2);
  EXPECT_THAT(ParseProducedBatch(With<int8_t>(good, second + 3, 0), kDeep),
              IsError(ErrorCode::kCorruptMessage, "offset delta"));
  EXPECT_THAT(ParseProducedBatch(With<int8_t>(good, second + 3, 4), kDeep),
              IsError(ErrorCode::kCorruptMessage, "offset delta"));
}

TEST(ProduceChecksTest, MaxTimestampMustBeARecords) {
  const Bytes good = BuildSampleBatch(5);
  const std::string wrong = With<int64_t>(good, kMaxTimestampAt, kSampleTimestampMs + 29);
  EXPECT_OK(ParseProducedBatch(wrong, kCheap));
  EXPECT_THAT(ParseProducedBatch(wrong, kDeep), HasCode(ErrorCode::kInvalidTimestamp));
}

TEST(ProduceChecksTest, CompactedTopicsNeedKeys) {
  BatchBuilder builder({});
  builder.Add(1, "key", absl::nullopt);
  EXPECT_OK(ParseProducedBatch(builder.Build(), {.keys_required = true}));
  builder.Add(1, "key", "value");
  builder.Add(1, absl::nullopt, "value");
  EXPECT_THAT(ParseProducedBatch(builder.Build(), {.keys_required = true}),
              IsError(ErrorCode::kInvalidRecord, "has no key"));
}

TEST(ProduceChecksTest, BombsAreRefusedDeeply) {
  BatchBuilder builder({.compression = Compression::kZstd});
  const std::string zeros(1 << 20, '\0');
  builder.Add(1, "key", zeros);
  const Bytes bytes = builder.Build();
  ASSERT_LT(bytes.size(), 1000u);
  EXPECT_OK(ParseProducedBatch(bytes, kDeep));
  EXPECT_THAT(ParseProducedBatch(bytes, {.deep = true, .limits = {.bytes_max = 1 << 20}}),
              HasCode(ErrorCode::kMessageTooLarge));
}

}  // namespace
}  // namespace millrace::record
