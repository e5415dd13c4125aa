#include "api/codec/plain_records.h"

#include <string>

#include "base/status_matchers.h"
#include "millrace/v1/log_service.pb.h"
#include "record/batch_builder.h"
#include "record/batch_stamp.h"
#include "record/batch_view.h"
#include "record/record_reader.h"

namespace millrace::api {
namespace {

using ::testing::ElementsAre;

v1::ProducePartition ThreeRecords() {
  v1::ProducePartition partition;
  v1::Record* first = partition.add_records();
  first->set_timestamp_ms(1000);
  first->set_key("k");
  first->set_value("v");
  v1::Header* header = first->add_headers();
  header->set_key("h");
  header->set_value("");
  first->add_headers()->set_key("null");
  partition.add_records()->set_value("");  // empty value, null key
  partition.add_records();                 // both null
  return partition;
}

Bytes RunOf(const v1::ProducePartition& partition) {
  return Bytes::FromString(partition.SerializeAsString());
}

TEST(PlainRecords, PackKeepsNullEmptyHeadersAndTimes) {
  ASSERT_OK_AND_ASSIGN(const Bytes batch, PackPlainRecords(RunOf(ThreeRecords()), 5555));
  ASSERT_OK_AND_ASSIGN(const record::BatchView view, record::BatchView::Parse(batch));
  EXPECT_EQ(view.size(), batch.size());
  ASSERT_OK_AND_ASSIGN(record::RecordReader reader, record::RecordReader::Open(view));
  record::RecordView record;
  ASSERT_TRUE(*reader.Next(&record));
  EXPECT_EQ(record.timestamp_ms, 1000);
  EXPECT_EQ(record.key, Slice("k"));
  EXPECT_THAT(record.headers,
              ElementsAre(record::Header{"h", Slice("")}, record::Header{"null", absl::nullopt}));
  ASSERT_TRUE(*reader.Next(&record));
  EXPECT_EQ(record.timestamp_ms, 5555);
  EXPECT_FALSE(record.key.has_value());
  EXPECT_EQ(record.value, Slice(""));
  ASSERT_TRUE(*reader.Next(&record));
  EXPECT_FALSE(record.value.has_value());
  EXPECT_FALSE(*reader.Next(&record));
}

TEST(PlainRecords, UnpackGivesTheRecordsFromTheOffsetOn) {
  ASSERT_OK_AND_ASSIGN(const Bytes packed, PackPlainRecords(RunOf(ThreeRecords()), 5555));
  std::string stamped = packed.ToString();
  record::StampBaseOffset(stamped.data(), Offset(40));
  const Bytes batch = Bytes::FromString(stamped);
  ASSERT_OK_AND_ASSIGN(const Bytes run, UnpackPlainRecords({batch}, Offset(41), 1 << 20));
  v1::FetchPartitionResult result;
  ASSERT_TRUE(result.ParseFromString(run.ToString()));
  ASSERT_EQ(result.records_size(), 2);
  EXPECT_EQ(result.records(0).offset(), 41);
  EXPECT_EQ(result.records(0).timestamp_ms(), 5555);
  EXPECT_TRUE(result.records(0).has_value());
  EXPECT_FALSE(result.records(1).has_value());

  ASSERT_OK_AND_ASSIGN(const Bytes all, UnpackPlainRecords({batch, batch}, Offset(0), 1));
  ASSERT_TRUE(result.ParseFromString(all.ToString()));
  EXPECT_EQ(result.records_size(), 1) << "stops once the limit is passed, but gives one";
  EXPECT_EQ(result.records(0).headers(0).key(), "h");
  EXPECT_TRUE(result.records(0).headers(0).has_value());
  EXPECT_FALSE(result.records(0).headers(1).has_value());
}

TEST(PlainRecords, HeaderKeysThatAreNotUtf8AreReplaced) {
  record::BatchBuilder builder({});
  const record::Header header{"\xFFk", Slice("v")};
  builder.Add(1, absl::nullopt, Slice("x"), {&header, 1});
  ASSERT_OK_AND_ASSIGN(const Bytes run, UnpackPlainRecords({builder.Build()}, Offset(0), 1 << 20));
  v1::FetchPartitionResult result;
  ASSERT_TRUE(result.ParseFromString(run.ToString()));
  EXPECT_EQ(result.records(0).headers(0).key(), "\xEF\xBF\xBDk");
}

TEST(PlainRecords, ControlBatchesAreNotShown) {
  record::BatchBuilder builder({.is_control = true});
  builder.Add(1, Slice("\0\0\0\1", 4), Slice("x"));
  ASSERT_OK_AND_ASSIGN(const Bytes run, UnpackPlainRecords({builder.Build()}, Offset(0), 1 << 20));
  EXPECT_TRUE(run.empty());
}

TEST(PlainRecords, EmptyAndMalformedRunsAreRefused) {
  EXPECT_THAT(PackPlainRecords("", 1), HasCode(ErrorCode::kInvalidRecord));
  EXPECT_THAT(PackPlainRecords("\x2a\x05xx", 1), HasCode(ErrorCode::kInvalidRequest));
  EXPECT_THAT(PackPlainRecords("\x2a\x02\x1a\x05", 1), HasCode(ErrorCode::kInvalidRequest));
}

}  // namespace
}  // namespace millrace::api
