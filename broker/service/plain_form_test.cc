#include "broker/service/plain_form.h"

#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "api/codec/plain_records.h"
#include "base/status_matchers.h"
#include "record/batch_builder.h"
#include "record/batch_stamp.h"
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

TEST(PlainForm, WhatIsUnpackedInPartsIsWhole) {
  api::FetchPartitionResult packed;
  packed.fetch_offset = Offset(2);
  for (int base = 0; base < 30; base += 10) {
    record::BatchBuilder builder({});
    for (int i = 0; i < 10; ++i) builder.Add(1, absl::nullopt, Slice("0123456789"));
    std::optional<Buffer> memory;
    Bytes batch = builder.Build();
    memory = Buffer::Reclaim(&batch);
    ASSERT_TRUE(memory.has_value());
    record::StampBaseOffset(memory->data(), Offset(base));
    packed.batches.push_back((*std::move(memory)).Freeze());
  }
  std::vector<int64_t> offsets;
  int parts = 0;
  for (std::optional<Offset> next = packed.fetch_offset; next; ++parts) {
    ASSERT_LT(parts, 30);
    packed.fetch_offset = *next;
    api::FetchPartitionResult part;
    next = UnpackSome(packed, 60, &part);
    EXPECT_LE(part.plain_records.size(), 80u);
    EXPECT_FALSE(part.plain_records.empty());
    EXPECT_TRUE(part.batches.empty());
    api::PlainRecordReader reader(part.plain_records);
    record::RecordView record;
    while (reader.Next(&record)) offsets.push_back(record.offset.value());
  }
  EXPECT_GT(parts, 5);
  ASSERT_EQ(offsets.size(), 28u);
  for (size_t i = 0; i < offsets.size(); ++i) EXPECT_EQ(offsets[i], static_cast<int64_t>(i) + 2);
}

TEST(PlainForm, ThePackedBatchTakesOverTheRecordsShareOfTheBudget) {
  MemoryBudget budget(1 << 20);
  const Bytes run = RunOf("value");
  Buffer memory(run.size(), budget.ReserveAlways(static_cast<int64_t>(run.size())));
  std::memcpy(memory.data(), run.data(), run.size());
  api::ProduceRequest request;
  request.partitions.resize(1);
  request.partitions[0].plain_records = std::move(memory).Freeze();
  ASSERT_OK(PackPlain(&request, WallTime{77}));
  EXPECT_EQ(budget.used_bytes(), static_cast<int64_t>(run.size()));
  request.partitions.clear();
  EXPECT_EQ(budget.used_bytes(), 0);
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
