#include "base/error_code.h"

#include <set>
#include <sstream>
#include <string>

#include "gtest/gtest.h"

namespace millrace {
namespace {

TEST(ErrorCodeTest, NumbersRiseAndNamesAreUnique) {
  std::set<std::string> names;
  int32_t last = -1;
  for (ErrorCode code : AllErrorCodes()) {
    EXPECT_GT(static_cast<int32_t>(code), last);
    last = static_cast<int32_t>(code);
    EXPECT_TRUE(names.insert(std::string(ErrorCodeName(code))).second) << code;
  }
  EXPECT_GT(names.size(), 40u);
}

TEST(ErrorCodeTest, OnlyNoneIsOk) {
  for (ErrorCode code : AllErrorCodes()) {
    EXPECT_EQ(CanonicalCode(code) == absl::StatusCode::kOk, code == ErrorCode::kNone) << code;
  }
  EXPECT_FALSE(IsRetriable(ErrorCode::kNone));
}

TEST(ErrorCodeTest, NewerNumberIsAnUnknownErrorThatIsNotRetried) {
  const ErrorCode newer = static_cast<ErrorCode>(9999);
  EXPECT_EQ(ErrorCodeName(newer), "UNKNOWN_CODE");
  EXPECT_EQ(CanonicalCode(newer), absl::StatusCode::kUnknown);
  EXPECT_FALSE(IsRetriable(newer));
}

TEST(ErrorCodeTest, NumbersNeverChange) {
  EXPECT_EQ(static_cast<int>(ErrorCode::kUnknownTopicOrPartition), 4);
  EXPECT_EQ(static_cast<int>(ErrorCode::kCorruptLog), 25);
  EXPECT_EQ(static_cast<int>(ErrorCode::kInvalidConfig), 35);
  EXPECT_EQ(static_cast<int>(ErrorCode::kDirectoryLocked), 52);
  EXPECT_EQ(static_cast<int>(ErrorCode::kCancelled), 63);
}

TEST(ErrorCodeTest, WhatMayPassIsRetriableWhatMayHaveHappenedIsNot) {
  EXPECT_TRUE(IsRetriable(ErrorCode::kNotLeaderOrFollower));
  EXPECT_TRUE(IsRetriable(ErrorCode::kStorageFull));
  EXPECT_FALSE(IsRetriable(ErrorCode::kOutcomeUnknown));
  EXPECT_FALSE(IsRetriable(ErrorCode::kInvalidTopicName));
}

TEST(ErrorCodeTest, PrintsItsName) {
  std::ostringstream out;
  out << ErrorCode::kOffsetOutOfRange;
  EXPECT_EQ(out.str(), "OFFSET_OUT_OF_RANGE");
}

}  // namespace
}  // namespace millrace
