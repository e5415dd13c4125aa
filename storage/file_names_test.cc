#include "storage/file_names.h"

#include "gtest/gtest.h"

namespace millrace::storage {
namespace {

TEST(FileNamesTest, SegmentNamesAreKafkas) {
  EXPECT_EQ(SegmentFileName(Offset(42), kLogSuffix), "00000000000000000042.log");
  EXPECT_EQ(ParseSegmentFileName("00000000000000000042.log", kLogSuffix), Offset(42));
  EXPECT_EQ(SegmentFileName(Offset(INT64_MAX), kTimeIndexSuffix), "09223372036854775807.timeindex");
}

TEST(FileNamesTest, OtherNamesAreNotSegments) {
  for (const char* name : {"42.log", "00000000000000000042.index", "0000000000000000004x.log",
                           "-0000000000000000042.log", "99999999999999999999.log",
                           "00000000000000000042.log.deleted", ""}) {
    EXPECT_EQ(ParseSegmentFileName(name, kLogSuffix), std::nullopt) << name;
  }
}

}  // namespace
}  // namespace millrace::storage
