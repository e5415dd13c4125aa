#include "record/record_reader.h"

#include <string>
#include <utility>

#include "base/coding.h"
#include "base/crc32c.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "record/testing/sample_records.h"

namespace millrace::record {
namespace {

// A batch of `count` records, of which `records` is claimed to be the encoding.
std::string BatchOf(int32_t count, Slice records) {
  std::string bytes(BuildSampleBatch(1).slice().substr(0, kBatchHeaderSize));
  bytes += std::string(records);
  StoreBig<int32_t>(bytes.data() + kBatchLengthAt, static_cast<int32_t>(bytes.size()) - 12);
  StoreBig<int32_t>(bytes.data() + kLastOffsetDeltaAt, count - 1);
  StoreBig<int32_t>(bytes.data() + kRecordCountAt, count);
  StoreBig<uint32_t>(bytes.data() + kCrcAt, Crc32c(Slice(bytes).substr(kCrcCoversFrom)));
  return bytes;
}

// A record with this body; its length is right.
std::string RecordOf(Slice body) {
  std::string record;
  AppendSignedVarint32(static_cast<int32_t>(body.size()), &record);
  return record + std::string(body);
}

absl::Status Walk(Slice bytes) {
  ASSIGN_OR_RETURN(const BatchView batch, BatchView::Parse(bytes));
  return ForEachRecord(batch, {}, [](const RecordView&) { return absl::OkStatus(); });
}

// Attributes, timestamp delta 0, offset delta 0, null key, null value, no headers.
constexpr Slice kSmallest("\0\0\0\1\1\0", 6);

TEST(RecordReaderTest, SlicesPointIntoTheBatchWithoutCompression) {
  const Bytes bytes = BuildSampleBatch(9);
  ASSERT_OK_AND_ASSIGN(const BatchView batch, BatchView::Parse(bytes));
  ASSERT_OK_AND_ASSIGN(RecordReader reader, RecordReader::Open(batch));
  RecordView record;
  for (int i = 0; i < 9; ++i) {
    ASSERT_OK_AND_ASSIGN(const bool more, reader.Next(&record));
    ASSERT_TRUE(more);
    if (!record.value.has_value()) continue;
    EXPECT_GE(record.value->data(), bytes.data());
    EXPECT_LE(record.value->data() + record.value->size(), bytes.data() + bytes.size());
  }
  EXPECT_TRUE(reader.decompressed().empty());
}

TEST(RecordReaderTest, SlicesLiveAsLongAsTheDecompressedBytes) {
  const Bytes bytes = BuildSampleBatch(60, {.compression = Compression::kZstd});
  Bytes memory;
  absl::optional<Slice> last;
  {
    ASSERT_OK_AND_ASSIGN(const BatchView batch, BatchView::Parse(bytes));
    ASSERT_OK_AND_ASSIGN(RecordReader opened, RecordReader::Open(batch));
    RecordReader reader = std::move(opened);
    memory = reader.decompressed();
    RecordView record;
    while (reader.Next(&record).value_or(false)) last = record.value;
  }
  EXPECT_EQ(OwnedOrNull(last), MakeSampleRecord(59).value);
}

TEST(RecordReaderTest, OneDecompressorServesManyBatches) {
  Decompressor decompressor;
  for (const Compression compression : kAllCompressions) {
    const Bytes bytes = BuildSampleBatch(60, {.compression = compression});
    ASSERT_OK_AND_ASSIGN(const BatchView batch, BatchView::Parse(bytes));
    ASSERT_OK_AND_ASSIGN(RecordReader reader, RecordReader::Open(batch, decompressor));
    RecordView record;
    int count = 0;
    size_t encoded_bytes = 0;
    while (reader.Next(&record).value_or(false)) {
      EXPECT_EQ(Owned(record), MakeSampleRecord(count)) << count;
      encoded_bytes += record.encoded_bytes;
      ++count;
    }
    EXPECT_EQ(count, 60);
    EXPECT_EQ(encoded_bytes, BuildSampleBatch(60).size() - kBatchHeaderSize);
  }
}

TEST(RecordReaderTest, EndStaysTheEnd) {
  const Bytes bytes = BuildSampleBatch(1);
  ASSERT_OK_AND_ASSIGN(RecordReader reader, RecordReader::Open(*BatchView::Parse(bytes)));
  RecordView record;
  EXPECT_TRUE(reader.Next(&record).value());
  EXPECT_FALSE(reader.Next(&record).value());
  EXPECT_FALSE(reader.Next(&record).value());
}

TEST(RecordReaderTest, AnErrorIsFollowedByTheEnd) {
  const std::string bytes = BatchOf(2, RecordOf(Slice("\0\0\0\1\1\2", 6)) + RecordOf(kSmallest));
  ASSERT_OK_AND_ASSIGN(RecordReader reader, RecordReader::Open(*BatchView::Parse(bytes)));
  RecordView record;
  EXPECT_THAT(reader.Next(&record), HasCode(ErrorCode::kCorruptMessage));
  ASSERT_OK_AND_ASSIGN(const bool more, reader.Next(&record));
  EXPECT_FALSE(more);
}

TEST(RecordReaderTest, SmallestRecordIsRead) {
  EXPECT_OK(Walk(BatchOf(1, RecordOf(kSmallest))));
  EXPECT_EQ(RecordOf(kSmallest).size(), kRecordBytesMin);
}

TEST(RecordReaderTest, RecordsLeftByCompactionKeepTheirOffsets) {
  // Offset deltas 1 and 3 of a batch that had five records.
  std::string bytes =
      BatchOf(2, RecordOf(Slice("\0\0\2\1\1\0", 6)) + RecordOf(Slice("\0\0\6\1\1\0", 6)));
  StoreBig<int32_t>(bytes.data() + kLastOffsetDeltaAt, 4);
  StoreBig<int64_t>(bytes.data() + kBaseOffsetAt, 100);
  StoreBig<uint32_t>(bytes.data() + kCrcAt, Crc32c(Slice(bytes).substr(kCrcCoversFrom)));
  std::string offsets;
  EXPECT_OK(ForEachRecord(*BatchView::Parse(bytes), {}, [&](const RecordView& record) {
    absl::StrAppend(&offsets, record.offset.value(), " ");
    return absl::OkStatus();
  }));
  EXPECT_EQ(offsets, "101 103 ");
}

TEST(RecordReaderTest, NamesWhatIsMalformed) {
  const auto malformed = [](Slice what) {
    return IsError(ErrorCode::kCorruptMessage, std::string(what));
  };
  const auto one = [](Slice body) { return BatchOf(1, RecordOf(body)); };
  // A length that goes on, is negative, too small, or larger than what follows.
  EXPECT_THAT(Walk(BatchOf(1, Slice("\xFF\xFF\xFF\xFF\xFF\x0F\0", 7))), malformed("its length"));
  EXPECT_THAT(Walk(BatchOf(1, Slice("\x01\0\0\0\1\1\0", 7))), malformed("its length is -1"));
  EXPECT_THAT(Walk(BatchOf(1, Slice("\x0A\0\0\0\1\1\0", 7))), malformed("its length is 5"));
  EXPECT_THAT(Walk(BatchOf(1, Slice("\x0E\0\0\0\1\1\0", 7))), malformed("its length is 7"));
  // A timestamp of eleven bytes; an offset of six.
  EXPECT_THAT(Walk(one(Slice("\0\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\1\0\1\1\0", 16))),
              malformed("its timestamp"));
  EXPECT_THAT(Walk(one(Slice("\0\0\xFF\xFF\xFF\xFF\xFF\1\1\1\0", 11))), malformed("its offset"));
  // Offsets that repeat, or lie outside the batch.
  EXPECT_THAT(Walk(BatchOf(2, RecordOf(kSmallest) + RecordOf(kSmallest))),
              malformed("its offset delta is 0"));
  EXPECT_THAT(Walk(one(Slice("\0\0\2\1\1\0", 6))), malformed("its offset delta is 1"));
  EXPECT_THAT(Walk(one(Slice("\0\0\1\1\1\0", 6))), malformed("its offset delta is -1"));
  // A key, a value longer than the record; a length of -2.
  EXPECT_THAT(Walk(one(Slice("\0\0\0\x10\1\0", 6))), malformed("its key"));
  EXPECT_THAT(Walk(one(Slice("\0\0\0\3\1\0", 6))), malformed("its key"));
  EXPECT_THAT(Walk(one(Slice("\0\0\0\1\x10\0", 6))), malformed("its value"));
  // Headers: a negative count, more than fit, a null key, a value cut off.
  EXPECT_THAT(Walk(one(Slice("\0\0\0\1\1\1", 6))), malformed("-1 headers"));
  EXPECT_THAT(Walk(one(Slice("\0\0\0\1\1\xFE\xFF\xFF\xFF\x0F", 10))), malformed("headers in 0"));
  EXPECT_THAT(Walk(one(Slice("\0\0\0\1\1\2\1\1", 8))), malformed("the key of its header 0"));
  EXPECT_THAT(Walk(one(Slice("\0\0\0\1\1\2\0\x10", 8))), malformed("the value of its header 0"));
  // Bytes left over, in the record and in the batch.
  EXPECT_THAT(Walk(one(Slice("\0\0\0\1\1\0x", 7))), malformed("1 bytes are left within"));
  EXPECT_THAT(Walk(BatchOf(1, RecordOf(kSmallest) + "xyz")), malformed("3 bytes are left after"));
}

TEST(RecordReaderTest, TheVisitorsErrorEndsTheWalk) {
  const Bytes bytes = BuildSampleBatch(5);
  int visited = 0;
  EXPECT_THAT(ForEachRecord(*BatchView::Parse(bytes), {},
                            [&](const RecordView&) {
                              ++visited;
                              return MakeError(ErrorCode::kCancelled, "enough");
                            }),
              HasCode(ErrorCode::kCancelled));
  EXPECT_EQ(visited, 1);
}

TEST(RecordReaderTest, DecompressionIsBounded) {
  const Bytes bytes = BuildSampleBatch(1000, {.compression = Compression::kGzip});
  EXPECT_THAT(RecordReader::Open(*BatchView::Parse(bytes), {.bytes_max = 1000}),
              HasCode(ErrorCode::kMessageTooLarge));
}

}  // namespace
}  // namespace millrace::record
