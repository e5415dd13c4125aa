#include "client/fetched_records.h"

#include "absl/strings/str_cat.h"
#include "base/status_matchers.h"
#include "record/batch_builder.h"
#include "record/control_record.h"

namespace millrace::client {
namespace {

std::string Batch(int64_t base, int records) {
  record::BatchBuilder builder({.base_offset = Offset(base), .leader_epoch = LeaderEpoch(3)});
  for (int i = 0; i < records; ++i) {
    const std::string value = absl::StrCat(base + i);
    builder.Add(100 + i, absl::nullopt, Slice(value));
  }
  return builder.Build().ToString();
}

// All values from `position` on, as "offset=value".
std::vector<std::string> Read(FetchedRecords* records, Offset* position) {
  std::vector<std::string> seen;
  record::RecordView record;
  while (true) {
    const absl::StatusOr<bool> more = records->Next(position, &record);
    if (!more.ok()) seen.push_back(std::string(ErrorCodeName(CodeOf(more.status()))));
    if (!more.ok() || !*more) return seen;
    seen.push_back(absl::StrCat(record.offset.value(), "=", *record.value));
  }
}

TEST(FetchedRecords, BeginsAtThePositionInsideABatch) {
  FetchedRecords records(Bytes::FromString(Batch(10, 3) + Batch(13, 1)), /*check_crcs=*/true);
  Offset position(12);
  EXPECT_THAT(Read(&records, &position), testing::ElementsAre("12=12", "13=13"));
  EXPECT_EQ(position, Offset(14));
}

TEST(FetchedRecords, ControlBatchesMoveThePositionOnly) {
  const std::string control =
      record::BuildEndTransactionBatch({.committed = true}, ProducerId(1), ProducerEpoch(0), 1)
          .ToString();
  FetchedRecords records(Bytes::FromString(control), /*check_crcs=*/true);
  Offset position(0);
  EXPECT_THAT(Read(&records, &position), testing::IsEmpty());
  EXPECT_EQ(position, Offset(1));
}

TEST(FetchedRecords, ADamagedBatchIsAnErrorAndThePositionStaysBeforeIt) {
  std::string bytes = Batch(0, 2) + Batch(2, 2);
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  FetchedRecords records(Bytes::FromString(bytes), /*check_crcs=*/true);
  Offset position(0);
  EXPECT_THAT(Read(&records, &position), testing::ElementsAre("0=0", "1=1", "CORRUPT_MESSAGE"));
  EXPECT_EQ(position, Offset(2));
}

TEST(FetchedRecords, ChecksumsAreNotVerifiedIfNotAskedFor) {
  std::string bytes = Batch(0, 1);
  bytes[record::kCrcAt] = static_cast<char>(bytes[record::kCrcAt] ^ 1);
  FetchedRecords records(Bytes::FromString(bytes), /*check_crcs=*/false);
  Offset position(0);
  EXPECT_THAT(Read(&records, &position), testing::ElementsAre("0=0"));
}

TEST(FetchedRecords, RecordsCarryEpochTimeKeyAndHeaders) {
  record::BatchBuilder builder({.leader_epoch = LeaderEpoch(3)});
  const std::vector<record::Header> headers = {{"h", Slice("1")}, {"n", absl::nullopt}};
  builder.Add(77, Slice("key"), absl::nullopt, headers);
  FetchedRecords records(builder.Build(), /*check_crcs=*/true);
  Offset position(0);
  record::RecordView view;
  ASSERT_OK_AND_ASSIGN(const bool more, records.Next(&position, &view));
  ASSERT_TRUE(more);
  EXPECT_EQ(records.leader_epoch(), LeaderEpoch(3));
  Record record;
  FetchedRecords::Copy(view, &record);
  EXPECT_EQ(record, (Record{.key = "key",
                            .value = std::nullopt,
                            .timestamp_ms = 77,
                            .headers = {{"h", "1"}, {"n", std::nullopt}}}));
}

}  // namespace
}  // namespace millrace::client
