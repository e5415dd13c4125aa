#include "broker/service/plain_form.h"

#include <string>

#include "api/codec/plain_records.h"
#include "base/status_matchers.h"
#include "record/batch_builder.h"
#include "record/batch_view.h"

namespace millrace::broker {
namespace {

Bytes RunOf(Slice value) {
  record::RecordView record;
  record.value = value;
  std::string run;
  api::AppendPlainRecord(api::kProduceRecordsField, record, &run);
  return Bytes::FromString(run);
}

TEST(PlainForm, RecordsBecomeOneBatch) {
  api::ProduceRequest request;
  request.partitions.resize(2);
  request.partitions[0].plain_records = RunOf("v");
  ASSERT_OK(PackPlain(&request, WallTime{77}));
  ASSERT_OK_AND_ASSIGN(const record::BatchView batch,
                       record::BatchView::Parse(request.partitions[0].batches));
  EXPECT_EQ(batch.record_count(), 1);
  EXPECT_EQ(batch.max_timestamp_ms(), 77);
  EXPECT_TRUE(request.partitions[0].plain_records.empty());
  EXPECT_TRUE(request.partitions[1].batches.empty());
}

TEST(PlainForm, BothFormsAtOnceAndMalformedRecordsAreRefused) {
  api::ProduceRequest request;
  request.partitions.resize(1);
  request.partitions[0].plain_records = RunOf("v");
  request.partitions[0].batches = Bytes::Copy("x");
  EXPECT_THAT(PackPlain(&request, WallTime{1}), HasCode(ErrorCode::kInvalidRequest));
  request.partitions[0].batches = Bytes();
  request.partitions[0].plain_records = Bytes::Copy("\x2a\x02\x1a\x09");
  EXPECT_THAT(PackPlain(&request, WallTime{1}), HasCode(ErrorCode::kInvalidRequest));
}

TEST(PlainForm, BatchesBecomeRecordsFromTheOffsetAskedFor) {
  record::BatchBuilder builder({});
  builder.Add(1, absl::nullopt, Slice("a"));
  builder.Add(1, absl::nullopt, Slice("b"));
  api::FetchPartitionResult result;
  result.fetch_offset = Offset(1);
  result.batches = {builder.Build()};
  Unpack(&result, 1000);
  EXPECT_TRUE(result.batches.empty());
  api::PlainRecordReader reader(result.plain_records);
  record::RecordView record;
  ASSERT_TRUE(reader.Next(&record));
  EXPECT_EQ(record.value, Slice("b"));
  EXPECT_FALSE(reader.Next(&record));
}

TEST(PlainForm, UnreadableBatchesBecomeThePartitionsError) {
  api::FetchPartitionResult result;
  result.batches = {Bytes::Copy("no batch at all")};
  Unpack(&result, 1000);
  EXPECT_EQ(result.outcome.code, ErrorCode::kCorruptMessage);
  EXPECT_TRUE(result.batches.empty());
}

}  // namespace
}  // namespace millrace::broker
