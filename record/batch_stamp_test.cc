#include "record/batch_stamp.h"

#include <string>

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "record/batch_view.h"
#include "record/record_reader.h"
#include "record/testing/sample_records.h"

namespace millrace::record {
namespace {

TEST(BatchStampTest, PlaceInTheLogLeavesTheChecksumAlone) {
  std::string bytes = BuildSampleBatch(5, {.compression = Compression::kZstd}).ToString();
  const uint32_t crc = BatchView::Parse(bytes)->crc();
  StampBaseOffset(bytes.data(), Offset(int64_t{1} << 40));
  StampLeaderEpoch(bytes.data(), LeaderEpoch(17));
  ASSERT_OK_AND_ASSIGN(const BatchView batch, BatchView::Parse(bytes));
  EXPECT_EQ(batch.crc(), crc);
  EXPECT_EQ(batch.base_offset(), Offset(int64_t{1} << 40));
  EXPECT_EQ(batch.last_offset(), Offset((int64_t{1} << 40) + 4));
  EXPECT_EQ(batch.leader_epoch(), LeaderEpoch(17));
}

TEST(BatchStampTest, LogAppendTimeIsTheTimeOfEveryRecordUnderANewChecksum) {
  std::string bytes = BuildSampleBatch(12, {.compression = Compression::kLz4}).ToString();
  const uint32_t crc = BatchView::Parse(bytes)->crc();
  StampLogAppendTime(bytes.data(), bytes.size(), 1800000000000);
  ASSERT_OK_AND_ASSIGN(const BatchView batch, BatchView::Parse(bytes));
  EXPECT_NE(batch.crc(), crc);
  EXPECT_EQ(batch.timestamp_type(), TimestampType::kLogAppendTime);
  EXPECT_EQ(batch.compression(), Compression::kLz4);
  EXPECT_EQ(batch.max_timestamp_ms(), 1800000000000);
  EXPECT_EQ(batch.base_timestamp_ms(), kSampleTimestampMs);
  EXPECT_OK(ForEachRecord(batch, {}, [](const RecordView& record) {
    EXPECT_EQ(record.timestamp_ms, 1800000000000);
    return absl::OkStatus();
  }));
}

TEST(BatchStampTest, AProducersPlaceIsCoveredByANewChecksum) {
  std::string bytes = BuildSampleBatch(7, {.compression = Compression::kZstd}).ToString();
  StampProducer(bytes.data(), bytes.size(), ProducerId(1), ProducerEpoch(2), 3);
  ASSERT_OK_AND_ASSIGN(const BatchView batch, BatchView::Parse(bytes));
  EXPECT_EQ(batch.producer_id(), ProducerId(1));
  EXPECT_EQ(batch.producer_epoch(), ProducerEpoch(2));
  EXPECT_EQ(batch.base_sequence(), 3);
  EXPECT_EQ(batch.last_sequence(), 9);
}

}  // namespace
}  // namespace millrace::record
