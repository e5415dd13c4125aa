#include "rsm/entry_codec.h"

#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"

namespace millrace::rsm {
namespace {

using ::testing::ElementsAreArray;
using ::testing::IsEmpty;

std::vector<Record> Sample() {
  return {Record{RecordType(3), 1, Bytes::Copy("key"), Bytes::Copy("payload")},
          Record{RecordType(-2), 0, {}, {}},
          Record{RecordType(300), 7, {}, Bytes::FromString(std::string(1000, 'x'))}};
}

TEST(EntryCodecTest, WhatIsEncodedIsDecoded) {
  ASSERT_OK_AND_ASSIGN(const Bytes payload, EncodeEntry(Sample()));
  ASSERT_OK_AND_ASSIGN(const std::vector<Record> records, DecodeEntry(payload));
  EXPECT_THAT(records, ElementsAreArray(Sample()));
}

TEST(EntryCodecTest, AnEntryMayBeEmpty) {
  ASSERT_OK_AND_ASSIGN(const Bytes payload, EncodeEntry({}));
  ASSERT_OK_AND_ASSIGN(const std::vector<Record> records, DecodeEntry(payload));
  EXPECT_THAT(records, IsEmpty());
}

TEST(EntryCodecTest, TheBytesAreThoseOfTheFormatPage) {
  ASSERT_OK_AND_ASSIGN(
      const Bytes payload,
      EncodeEntry({Record{RecordType(3), 1, Bytes::Copy("k"), Bytes::Copy("hi")}}));
  EXPECT_EQ(absl::BytesToHexString(payload.slice()),
            "01010300010001"
            "6b"
            "02"
            "6869");
}

TEST(EntryCodecTest, EveryTruncationIsRefused) {
  ASSERT_OK_AND_ASSIGN(const Bytes payload, EncodeEntry(Sample()));
  for (size_t size = 0; size < payload.size(); ++size) {
    EXPECT_THAT(DecodeEntry(payload.Sub(0, size)), HasCode(ErrorCode::kCorruptLog)) << size;
  }
}

TEST(EntryCodecTest, BytesAfterTheLastRecordAreRefused) {
  ASSERT_OK_AND_ASSIGN(const Bytes payload, EncodeEntry(Sample()));
  EXPECT_THAT(DecodeEntry(Bytes::FromString(payload.ToString() + "x")),
              IsError(ErrorCode::kCorruptLog, "after the last record"));
}

TEST(EntryCodecTest, AVersionOfTheFutureIsNamed) {
  EXPECT_THAT(DecodeEntry(Bytes::Copy(Slice("\2\0", 2))),
              IsError(ErrorCode::kUnsupportedFormatVersion, "version 2"));
}

TEST(EntryCodecTest, ACountThatTheBytesCannotHoldAllocatesNothing) {
  EXPECT_THAT(DecodeEntry(Bytes::Copy(Slice("\1\xff\xff\x03", 4))),
              HasCode(ErrorCode::kCorruptLog));
}

TEST(EntryCodecTest, S41_AnEntryBeyondTheMaximumIsRefused) {
  const Record big{RecordType(1), 0, {}, Bytes::FromString(std::string(kEntryBytesMax, 'x'))};
  EXPECT_THAT(EncodeEntry({big}), IsError(ErrorCode::kEntryTooLarge, "8388608"));
  const std::vector<Record> many(kEntryRecordsMax + 1);
  EXPECT_THAT(EncodeEntry(many), HasCode(ErrorCode::kEntryTooLarge));
}

TEST(EntryCodecTest, DecodedRecordsShareTheEntrysMemory) {
  std::vector<Record> records;
  const char* begin = nullptr;
  {
    ASSERT_OK_AND_ASSIGN(const Bytes payload, EncodeEntry(Sample()));
    begin = payload.data();
    ASSERT_OK_AND_ASSIGN(records, DecodeEntry(payload));
  }
  EXPECT_GT(records[0].payload.data(), begin);
  EXPECT_EQ(records[0].payload.slice(), "payload");
}

}  // namespace
}  // namespace millrace::rsm
