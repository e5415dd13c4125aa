#include "base/check.h"

#include "absl/status/statusor.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

TEST(CheckTest, PassingCheckEvaluatesItsConditionOnceAndItsMessageNever) {
  int conditions = 0;
  int messages = 0;
  CHECK(++conditions == 1) << ++messages;
  EXPECT_EQ(conditions, 1);
  EXPECT_EQ(messages, 0);
}

TEST(CheckTest, IsOneStatementInAnIfWithoutBraces) {
  bool other = false;
  if (false)
    CHECK(false) << "not reached";
  else
    other = true;
  EXPECT_TRUE(other);
}

TEST(CheckDeathTest, FailureNamesConditionPlaceAndMessage) {
  EXPECT_DEATH(CHECK(1 > 2) << "offset " << 7,
               "check_test.cc:[0-9]+: CHECK failed: 1 > 2 offset 7");
}

TEST(CheckDeathTest, ComparisonsPrintBothValues) {
  const int three = 3;
  EXPECT_DEATH(CHECK_EQ(three, 4) << "why", "\\(3 vs\\. 4\\) why");
  EXPECT_DEATH(CHECK_NE(three, 3), "3 vs\\. 3");
  EXPECT_DEATH(CHECK_LT(three, 3), "3 vs\\. 3");
  EXPECT_DEATH(CHECK_LE(three, 2), "3 vs\\. 2");
  EXPECT_DEATH(CHECK_GT(three, 3), "3 vs\\. 3");
  EXPECT_DEATH(CHECK_GE(three, 4), "3 vs\\. 4");
}

TEST(CheckDeathTest, CheckOkPrintsTheStatus) {
  CHECK_OK(absl::OkStatus());
  CHECK_OK(absl::StatusOr<int>(3));
  EXPECT_DEATH(CHECK_OK(absl::InternalError("broken disk")), "broken disk");
  EXPECT_DEATH(CHECK_OK(absl::StatusOr<int>(absl::InternalError("no value"))), "no value");
}

}  // namespace
}  // namespace millrace
