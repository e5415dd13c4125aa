#include "record/control_record.h"

#include <string>

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "record/batch_view.h"
#include "record/record_reader.h"

namespace millrace::record {
namespace {

RecordView ControlRecord(absl::optional<Slice> key, absl::optional<Slice> value) {
  RecordView record;
  record.key = key;
  record.value = value;
  return record;
}

TEST(ControlRecordTest, MarkerOfATransactionIsReadBack) {
  for (const bool committed : {false, true}) {
    const Bytes bytes = BuildEndTransactionBatch({.committed = committed, .coordinator_epoch = 12},
                                                 ProducerId(5), ProducerEpoch(3), 1000);
    ASSERT_OK_AND_ASSIGN(const BatchView batch, BatchView::Parse(bytes));
    EXPECT_TRUE(batch.is_control());
    EXPECT_TRUE(batch.is_transactional());
    EXPECT_EQ(batch.producer_id(), ProducerId(5));
    EXPECT_EQ(batch.producer_epoch(), ProducerEpoch(3));
    EXPECT_EQ(batch.base_sequence(), kNoSequence);
    EXPECT_EQ(batch.last_sequence(), kNoSequence);
    ASSERT_OK(ForEachRecord(batch, {}, [&](const RecordView& record) {
      EXPECT_EQ(record.timestamp_ms, 1000);
      ASSIGN_OR_RETURN(const EndTransactionMarker marker, ParseEndTransactionMarker(record));
      EXPECT_EQ(marker.committed, committed);
      EXPECT_EQ(marker.coordinator_epoch, 12);
      return absl::OkStatus();
    }));
  }
}

TEST(ControlRecordTest, HasKafkasBytes) {
  const Bytes bytes = BuildEndTransactionBatch({.committed = true, .coordinator_epoch = 258},
                                               ProducerId(5), ProducerEpoch(3), 1000);
  ASSERT_OK_AND_ASSIGN(const BatchView batch, BatchView::Parse(bytes));
  // Length 16, attributes, timestamp and offset deltas; key of 4 bytes; value of 6; no headers.
  EXPECT_EQ(batch.records(), Slice("\x20\0\0\0"
                                   "\x08\0\0\0\1"
                                   "\x0C\0\0\0\0\1\2"
                                   "\0",
                                   17));
}

TEST(ControlRecordTest, UnknownTypesKeepTheirNumber) {
  ASSERT_OK_AND_ASSIGN(const ControlType type,
                       ControlTypeOf(ControlRecord(Slice("\0\0\0\x63", 4), absl::nullopt)));
  EXPECT_EQ(static_cast<int>(type), 99);
}

TEST(ControlRecordTest, NewerVersionsAreReadByTheirFirstFields) {
  ASSERT_OK_AND_ASSIGN(const EndTransactionMarker marker,
                       ParseEndTransactionMarker(
                           ControlRecord(Slice("\0\1\0\1more", 8), Slice("\0\2\0\0\0\7more", 10))));
  EXPECT_TRUE(marker.committed);
  EXPECT_EQ(marker.coordinator_epoch, 7);
}

TEST(ControlRecordTest, MalformedRecordsAreErrors) {
  const auto corrupt = HasCode(ErrorCode::kCorruptMessage);
  const Slice commit("\0\0\0\1", 4);
  EXPECT_THAT(ControlTypeOf(ControlRecord(absl::nullopt, Slice("x"))), corrupt);
  EXPECT_THAT(ControlTypeOf(ControlRecord(commit.substr(0, 3), Slice("x"))), corrupt);
  EXPECT_THAT(ControlTypeOf(ControlRecord(Slice("\xFF\xFF\0\1", 4), Slice("x"))), corrupt);
  EXPECT_THAT(ParseEndTransactionMarker(ControlRecord(commit, absl::nullopt)), corrupt);
  EXPECT_THAT(ParseEndTransactionMarker(ControlRecord(commit, Slice("\0\0\0\0\0", 5))), corrupt);
  EXPECT_THAT(
      ParseEndTransactionMarker(ControlRecord(Slice("\0\0\0\2", 4), Slice("\0\0\0\0\0\0", 6))),
      IsError(ErrorCode::kCorruptMessage, "ends no transaction"));
}

}  // namespace
}  // namespace millrace::record
