// Batches that clients which are not ours wrote: python-kafka (testdata/make_fixtures.py) and
// Kafka's own Java client (testdata/JavaKafkaFixtures.java).
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "record/batch_stamp.h"
#include "record/batch_view.h"
#include "record/control_record.h"
#include "record/produce_checks.h"
#include "record/record_reader.h"
#include "record/testing/foreign_fixtures.h"
#include "record/testing/sample_records.h"

namespace millrace::record {
namespace {

Slice Fixture(absl::string_view name) {
  const Slice bytes = ForeignFixture(name);
  EXPECT_FALSE(bytes.empty()) << name;
  return bytes;
}

// The records are the samples, and the header says what those imply.
void ExpectSamples(const BatchView& batch, int count) {
  EXPECT_EQ(batch.base_offset(), Offset(0));
  EXPECT_EQ(batch.last_offset(), Offset(count - 1));
  EXPECT_EQ(batch.magic(), 2);
  EXPECT_EQ(batch.timestamp_type(), TimestampType::kCreateTime);
  EXPECT_FALSE(batch.is_control());
  EXPECT_FALSE(batch.has_delete_horizon());
  EXPECT_EQ(batch.base_timestamp_ms(), kSampleTimestampMs);
  EXPECT_EQ(batch.record_count(), count);
  std::vector<SampleRecord> records;
  int64_t max_timestamp_ms = 0;
  EXPECT_OK(ForEachRecord(batch, {}, [&](const RecordView& record) {
    EXPECT_EQ(record.offset, Offset(static_cast<int64_t>(records.size())));
    max_timestamp_ms = std::max(max_timestamp_ms, record.timestamp_ms);
    records.push_back(Owned(record));
    return absl::OkStatus();
  }));
  EXPECT_EQ(records, SampleRecords(count));
  EXPECT_EQ(batch.max_timestamp_ms(), max_timestamp_ms);
}

TEST(ForeignBatchesTest, EveryCodecOfPythonKafkaIsRead) {
  for (const Compression compression : kAllCompressions) {
    for (const int count : {50, 1500}) {
      if (compression == Compression::kNone && count > 50) continue;
      SCOPED_TRACE(absl::StrCat(CompressionName(compression), " ", count));
      const Slice bytes =
          Fixture(absl::StrCat("python_kafka_", CompressionName(compression), "_", count));
      ASSERT_OK_AND_ASSIGN(const BatchView batch, ParseProducedBatch(bytes, {.deep = true}));
      EXPECT_EQ(batch.compression(), compression);
      EXPECT_EQ(batch.producer_id(), kNoProducerId);
      EXPECT_EQ(batch.producer_epoch(), kNoProducerEpoch);
      EXPECT_EQ(batch.base_sequence(), kNoSequence);
      EXPECT_FALSE(batch.is_transactional());
      ExpectSamples(batch, count);
    }
  }
}

TEST(ForeignBatchesTest, RawSnappyIsRead) {
  const Slice bytes = Fixture("python_kafka_raw_snappy_50");
  ASSERT_OK_AND_ASSIGN(const BatchView batch, ParseProducedBatch(bytes, {.deep = true}));
  EXPECT_EQ(batch.compression(), Compression::kSnappy);
  ExpectSamples(batch, 50);
}

TEST(ForeignBatchesTest, IdempotentProducerIsRead) {
  const Slice bytes = Fixture("python_kafka_idempotent");
  ASSERT_OK_AND_ASSIGN(const BatchView batch, ParseProducedBatch(bytes, {.deep = true}));
  EXPECT_EQ(batch.producer_id(), ProducerId(4711));
  EXPECT_EQ(batch.producer_epoch(), ProducerEpoch(3));
  EXPECT_EQ(batch.base_sequence(), 2147483646);
  EXPECT_EQ(batch.last_sequence(), 0) << "sequences wrap";
  ExpectSamples(batch, 3);
}

TEST(ForeignBatchesTest, TransactionalProducerIsRead) {
  const Slice bytes = Fixture("python_kafka_transactional");
  ASSERT_OK_AND_ASSIGN(const BatchView batch, ParseProducedBatch(bytes, {.deep = true}));
  EXPECT_TRUE(batch.is_transactional());
  EXPECT_EQ(batch.compression(), Compression::kLz4);
  EXPECT_EQ(batch.producer_id(), ProducerId(int64_t{1} << 40));
  EXPECT_EQ(batch.producer_epoch(), ProducerEpoch(32767));
  EXPECT_EQ(batch.base_sequence(), 99);
  ExpectSamples(batch, 50);
}

TEST(ForeignBatchesTest, StampedBatchIsRead) {
  const Slice bytes = Fixture("python_kafka_log_append_time");
  ASSERT_OK_AND_ASSIGN(const BatchView batch, BatchView::Parse(bytes));
  EXPECT_EQ(batch.base_offset(), Offset(int64_t{1} << 33));
  EXPECT_EQ(batch.leader_epoch(), LeaderEpoch(42));
  EXPECT_EQ(batch.timestamp_type(), TimestampType::kLogAppendTime);
  EXPECT_EQ(batch.max_timestamp_ms(), 1800000000000);
  int count = 0;
  EXPECT_OK(ForEachRecord(batch, {}, [&](const RecordView& record) {
    EXPECT_EQ(record.offset, Offset((int64_t{1} << 33) + count));
    EXPECT_EQ(record.timestamp_ms, 1800000000000);
    ++count;
    return absl::OkStatus();
  }));
  EXPECT_EQ(count, 5);
}

// Without compression there is one way to encode a record, so ours and theirs are the same bytes.
TEST(ForeignBatchesTest, OurBuilderWritesTheSameBytes) {
  EXPECT_EQ(BuildSampleBatch(50, {.leader_epoch = LeaderEpoch(0)}).slice(),
            Fixture("python_kafka_none_50"));
}

TEST(ForeignBatchesTest, EveryCodecOfTheJavaClientIsRead) {
  for (const Compression compression : kAllCompressions) {
    for (const int count : {50, 1500}) {
      if (compression == Compression::kNone && count > 50) continue;
      SCOPED_TRACE(absl::StrCat(CompressionName(compression), " ", count));
      const Slice bytes =
          Fixture(absl::StrCat("java_kafka_", CompressionName(compression), "_", count));
      ASSERT_OK_AND_ASSIGN(const BatchView batch, ParseProducedBatch(bytes, {.deep = true}));
      EXPECT_EQ(batch.compression(), compression);
      EXPECT_EQ(batch.leader_epoch(), kNoLeaderEpoch);
      EXPECT_EQ(batch.producer_id(), ProducerId(4711));
      EXPECT_EQ(batch.producer_epoch(), ProducerEpoch(3));
      EXPECT_EQ(batch.base_sequence(), 99);
      EXPECT_FALSE(batch.is_transactional());
      ExpectSamples(batch, count);
    }
  }
}

TEST(ForeignBatchesTest, OurBuilderWritesTheBytesOfTheJavaClient) {
  EXPECT_EQ(BuildSampleBatch(50, {.producer_id = ProducerId(4711),
                                  .producer_epoch = ProducerEpoch(3),
                                  .base_sequence = 99})
                .slice(),
            Fixture("java_kafka_none_50"));
}

TEST(ForeignBatchesTest, OurMarkerOfATransactionIsTheJavaBrokers) {
  std::string marker =
      BuildEndTransactionBatch({.committed = true, .coordinator_epoch = 12}, ProducerId(4711),
                               ProducerEpoch(3), kSampleTimestampMs)
          .ToString();
  StampBaseOffset(marker.data(), Offset(7));
  StampLeaderEpoch(marker.data(), LeaderEpoch(5));
  EXPECT_EQ(Slice(marker), Fixture("java_kafka_commit_marker"));
}

}  // namespace
}  // namespace millrace::record
