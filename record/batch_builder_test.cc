#include "record/batch_builder.h"

#include <limits>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "record/batch_view.h"
#include "record/record_reader.h"
#include "record/testing/sample_records.h"

namespace millrace::record {
namespace {

std::vector<SampleRecord> RecordsOf(Slice bytes) {
  std::vector<SampleRecord> records;
  const absl::StatusOr<BatchView> batch = BatchView::Parse(bytes);
  EXPECT_OK(batch);
  if (!batch.ok()) return records;
  EXPECT_OK(ForEachRecord(*batch, {}, [&](const RecordView& record) {
    EXPECT_EQ(record.offset, batch->base_offset() + static_cast<int64_t>(records.size()));
    records.push_back(Owned(record));
    return absl::OkStatus();
  }));
  return records;
}

// The example of docs/formats/record_batch.md, byte for byte. Batches of earlier versions of this
// program must stay as they are: a change here is a change of the format.
constexpr char kGolden[] =
    "0000000000000000"  // base offset
    "0000004c"          // length
    "ffffffff"          // leader epoch
    "02"                // magic
    "42a47087"          // crc
    "0000"              // attributes
    "00000001"          // last offset delta
    "0000018bcfe56800"  // base timestamp
    "0000018bcfe56801"  // max timestamp
    "ffffffffffffffff"  // producer id
    "ffff"              // producer epoch
    "ffffffff"          // base sequence
    "00000002"          // record count
    "22"                // record 0: length 17
    "00"                // attributes
    "00"                // timestamp delta
    "00"                // offset delta
    "066b6579"          // key "key"
    "0a76616c7565"      // value "value"
    "02"                // one header
    "026801"            // "h", null
    "10"                // record 1: length 8
    "00"                // attributes
    "02"                // timestamp delta 1
    "02"                // offset delta 1
    "01"                // key null
    "046869"            // value "hi"
    "00";               // no headers

TEST(BatchBuilderTest, WritesTheDocumentedBytes) {
  BatchBuilder builder({});
  builder.Add(1700000000000, "key", "value", {Header{"h", absl::nullopt}});
  builder.Add(1700000000001, absl::nullopt, "hi");
  EXPECT_EQ(absl::BytesToHexString(builder.Build().slice()), kGolden);
}

TEST(BatchBuilderTest, EveryCodecGivesTheRecordsBack) {
  for (const Compression compression : kAllCompressions) {
    for (const int count : {20, 1000, 20000}) {
      const Bytes bytes = BuildSampleBatch(count, {.compression = compression});
      EXPECT_EQ(BatchView::Parse(bytes)->compression(), compression);
      EXPECT_EQ(RecordsOf(bytes), SampleRecords(count)) << compression;
    }
  }
}

TEST(BatchBuilderTest, IsUsedAgainWithItsOptions) {
  BatchBuilder builder({.compression = Compression::kLz4, .base_offset = Offset(7)});
  for (int round = 0; round < 3; ++round) {
    EXPECT_TRUE(builder.empty());
    EXPECT_EQ(builder.estimated_bytes(), kBatchHeaderSize);
    for (const SampleRecord& record : SampleRecords(30)) AddSample(record, &builder);
    EXPECT_EQ(builder.count(), 30);
    const Bytes bytes = builder.Build();
    EXPECT_EQ(BatchView::Parse(bytes)->base_offset(), Offset(7));
    EXPECT_EQ(RecordsOf(bytes), SampleRecords(30));
  }
}

TEST(BatchBuilderTest, ClearForgetsRecords) {
  BatchBuilder builder({});
  builder.Add(99, "lost", "lost");
  builder.Clear();
  AddSample(MakeSampleRecord(0), &builder);
  EXPECT_EQ(RecordsOf(builder.Build()), SampleRecords(1));
}

TEST(BatchBuilderTest, EstimateIsExactWithoutCompressionAndABoundWith) {
  for (const Compression compression : kAllCompressions) {
    BatchBuilder builder({.compression = compression});
    size_t bound = kBatchHeaderSize;
    for (const SampleRecord& record : SampleRecords(100)) {
      std::vector<Header> headers;
      for (const auto& [key, value] : record.headers) {
        headers.push_back(Header{key, BorrowedOrNull(value)});
      }
      bound += BatchBuilder::RecordBytesMax(BorrowedOrNull(record.key),
                                            BorrowedOrNull(record.value), headers);
      AddSample(record, &builder);
      EXPECT_LE(builder.estimated_bytes(), bound);
    }
    const size_t estimate = builder.estimated_bytes();
    const size_t size = builder.Build().size();
    if (compression == Compression::kNone) {
      EXPECT_EQ(size, estimate);
    } else {
      EXPECT_LT(size, estimate);
    }
  }
}

TEST(BatchBuilderTest, IncompressibleRecordsAreStoredPlain) {
  for (const Compression compression : kAllCompressions) {
    BatchBuilder builder({.compression = compression});
    builder.Add(1, "k", "v");
    const Bytes bytes = builder.Build();
    EXPECT_EQ(BatchView::Parse(bytes)->compression(), Compression::kNone) << compression;
    EXPECT_EQ(bytes.size(), kBatchHeaderSize + 9);
  }
}

// Beyond what readers decompress for so few bytes; within it, at the very bound, it is compressed.
TEST(BatchBuilderTest, WhatReadersWouldNotDecompressIsStoredPlain) {
  const DecompressionLimits limits;
  const auto build = [](size_t records_bytes) {
    constexpr size_t kOverhead = 16;
    const std::string value(records_bytes - kOverhead, 'a');
    BatchBuilder builder({.compression = Compression::kZstd});
    builder.Add(1, absl::nullopt, Slice(value));
    const size_t more = kBatchHeaderSize + records_bytes - builder.estimated_bytes();
    EXPECT_LT(more, kOverhead);
    builder.Clear();
    const std::string exact(value.size() + more, 'a');
    builder.Add(1, absl::nullopt, Slice(exact));
    EXPECT_EQ(builder.estimated_bytes(), kBatchHeaderSize + records_bytes);
    const Bytes bytes = builder.Build();
    const std::vector<SampleRecord> records = RecordsOf(bytes);
    EXPECT_EQ(records.size(), 1u);
    if (records.size() == 1) EXPECT_TRUE(records[0].value == exact);
    return BatchView::Parse(bytes)->compression();
  };
  EXPECT_EQ(build(limits.ratio_free_bytes), Compression::kZstd);
  EXPECT_EQ(build(limits.ratio_free_bytes + 1), Compression::kNone);
}

TEST(BatchBuilderTest, NoCodecMakesBatchesBeyondTheLimitOfReaders) {
  const std::string value(DecompressionLimits().bytes_max, 'a');
  for (const Compression compression : {Compression::kGzip, Compression::kLz4}) {
    BatchBuilder builder({.compression = compression});
    builder.Add(1, absl::nullopt, Slice(value));
    const Bytes bytes = builder.Build();
    EXPECT_EQ(BatchView::Parse(bytes)->compression(), Compression::kNone) << compression;
    EXPECT_TRUE(RecordsOf(bytes).at(0).value == value);
  }
}

TEST(BatchBuilderTest, ProducerIsKnownOnlyAtTheEnd) {
  BatchBuilder builder({});
  builder.Add(1, "k", "v");
  builder.SetProducer(ProducerId(5), ProducerEpoch(6), 7);
  const Bytes bytes = builder.Build();
  ASSERT_OK_AND_ASSIGN(const BatchView batch, BatchView::Parse(bytes));
  EXPECT_EQ(batch.producer_id(), ProducerId(5));
  EXPECT_EQ(batch.producer_epoch(), ProducerEpoch(6));
  EXPECT_EQ(batch.base_sequence(), 7);
}

TEST(BatchBuilderTest, ExtremeTimestampsComeBack) {
  constexpr int64_t kLeast = std::numeric_limits<int64_t>::min();
  constexpr int64_t kGreatest = std::numeric_limits<int64_t>::max();
  BatchBuilder builder({});
  for (const int64_t timestamp : {kLeast, kGreatest, int64_t{0}, kNoTimestamp, kLeast}) {
    builder.Add(timestamp, absl::nullopt, absl::nullopt);
  }
  const Bytes bytes = builder.Build();
  EXPECT_EQ(BatchView::Parse(bytes)->max_timestamp_ms(), kGreatest);
  std::vector<int64_t> timestamps;
  for (const SampleRecord& record : RecordsOf(bytes)) timestamps.push_back(record.timestamp_ms);
  EXPECT_THAT(timestamps, testing::ElementsAre(kLeast, kGreatest, 0, kNoTimestamp, kLeast));
}

TEST(BatchBuilderTest, LargestTimestampMayBeNegative) {
  BatchBuilder builder({});
  builder.Add(-50, absl::nullopt, absl::nullopt);
  builder.Add(-70, absl::nullopt, absl::nullopt);
  const Bytes bytes = builder.Build();
  EXPECT_EQ(BatchView::Parse(bytes)->base_timestamp_ms(), -50);
  EXPECT_EQ(BatchView::Parse(bytes)->max_timestamp_ms(), -50);
}

TEST(BatchBuilderTest, OneRecordLargerThanAnyBufferFits) {
  BatchBuilder builder({});
  const std::string large(3 << 20, 'x');
  builder.Add(1, large, large);
  const std::vector<SampleRecord> records = RecordsOf(builder.Build());
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].key, large);
  EXPECT_EQ(records[0].value, large);
}

TEST(BatchBuilderTest, ABatchWithoutRecordsSpansOffsets) {
  const BatchBuilder builder({.base_offset = Offset(7), .leader_epoch = LeaderEpoch(3)});
  const Bytes bytes = builder.BuildEmpty(Offset(20));
  ASSERT_OK_AND_ASSIGN(const BatchView batch, BatchView::Parse(bytes));
  EXPECT_EQ(batch.base_offset(), Offset(7));
  EXPECT_EQ(batch.next_offset(), Offset(20));
  EXPECT_EQ(batch.leader_epoch(), LeaderEpoch(3));
  EXPECT_EQ(batch.record_count(), 0);
  EXPECT_EQ(batch.max_timestamp_ms(), kNoTimestamp);
  EXPECT_EQ(batch.size(), bytes.size());
  EXPECT_TRUE(RecordsOf(bytes).empty());
}

TEST(BatchBuilderTest, AttributesFollowTheOptions) {
  BatchBuilder builder({.timestamp_type = TimestampType::kLogAppendTime,
                        .is_transactional = true,
                        .is_control = true});
  builder.Add(5, absl::nullopt, absl::nullopt);
  builder.Add(9, absl::nullopt, absl::nullopt);
  const Bytes bytes = builder.Build();
  EXPECT_EQ(BatchView::Parse(bytes)->attributes(), 0x38);
  for (const SampleRecord& record : RecordsOf(bytes)) EXPECT_EQ(record.timestamp_ms, 9);
}

}  // namespace
}  // namespace millrace::record
