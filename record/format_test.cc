#include "record/format.h"

#include "base/status_matchers.h"
#include "gmock/gmock.h"

namespace millrace::record {
namespace {

TEST(FormatTest, FieldsAbut) {
  EXPECT_EQ(kBatchLengthAt, kBaseOffsetAt + 8);
  EXPECT_EQ(kLeaderEpochAt, kBatchLengthAt + 4);
  EXPECT_EQ(kMagicAt, kLeaderEpochAt + 4);
  EXPECT_EQ(kCrcAt, kMagicAt + 1);
  EXPECT_EQ(kAttributesAt, kCrcAt + 4);
  EXPECT_EQ(kLastOffsetDeltaAt, kAttributesAt + 2);
  EXPECT_EQ(kBaseTimestampAt, kLastOffsetDeltaAt + 4);
  EXPECT_EQ(kMaxTimestampAt, kBaseTimestampAt + 8);
  EXPECT_EQ(kProducerIdAt, kMaxTimestampAt + 8);
  EXPECT_EQ(kProducerEpochAt, kProducerIdAt + 8);
  EXPECT_EQ(kBaseSequenceAt, kProducerEpochAt + 2);
  EXPECT_EQ(kRecordCountAt, kBaseSequenceAt + 4);
  EXPECT_EQ(kBatchHeaderSize, kRecordCountAt + 4);
}

TEST(FormatTest, NamesOfCompressionsAreReadBack) {
  for (const Compression compression : kAllCompressions) {
    ASSERT_OK_AND_ASSIGN(const Compression back, ParseCompression(CompressionName(compression)));
    EXPECT_EQ(back, compression);
  }
  EXPECT_THAT(ParseCompression("brotli"),
              IsError(ErrorCode::kUnsupportedCompressionType, "\"brotli\""));
  EXPECT_EQ(CompressionName(static_cast<Compression>(7)), "unknown");
}

TEST(FormatTest, NamesOfTimestampTypesAreReadBack) {
  for (const TimestampType type : {TimestampType::kCreateTime, TimestampType::kLogAppendTime}) {
    ASSERT_OK_AND_ASSIGN(const TimestampType back, ParseTimestampType(TimestampTypeName(type)));
    EXPECT_EQ(back, type);
  }
  EXPECT_THAT(ParseTimestampType("Now"), IsError(ErrorCode::kInvalidConfig, "\"Now\""));
}

}  // namespace
}  // namespace millrace::record
