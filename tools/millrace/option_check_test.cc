#include "tools/millrace/option_check.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::tools {
namespace {

// What a check says of a value; empty: nothing is wrong.
std::string Said(const CLI::Validator& check, std::string value) { return check(value); }

TEST(WholeNumber, NamesTheValueAndTheRange) {
  EXPECT_EQ(Said(WholeNumber(1), "1"), "");
  EXPECT_EQ(Said(WholeNumber(1), "9223372036854775807"), "");
  EXPECT_EQ(Said(WholeNumber(1), "0"), "'0' is not a whole number from 1");
  EXPECT_EQ(Said(WholeNumber(0, 10), "11"), "'11' is not a whole number from 0 to 10");
  for (const char* text : {"many", "", "1.5", "-1", "1e3", "9223372036854775808"}) {
    EXPECT_NE(Said(WholeNumber(0), text), "") << text;
  }
}

TEST(Number, MayHaveAFraction) {
  EXPECT_EQ(Said(NumberAboveZero(), "0.5"), "");
  EXPECT_EQ(Said(NumberAboveZero(), "0"), "'0' is not a number above 0");
  EXPECT_EQ(Said(NumberFromZero(), "0"), "");
  EXPECT_EQ(Said(NumberFromZero(), "-1"), "'-1' is not a number from 0");
  EXPECT_NE(Said(NumberFromZero(), "inf"), "");
  EXPECT_NE(Said(NumberFromZero(), "soon"), "");
}

TEST(OneOf, NamesAllThatIsAllowedAndTheNearest) {
  EXPECT_EQ(Said(OneOf({"table", "json"}), "json"), "");
  EXPECT_EQ(Said(OneOf({"table", "json"}), "jsno"),
            "'jsno' is none of: table, json; did you mean 'json'?");
  EXPECT_EQ(Said(OneOf({"all", "leader"}), "sometimes"), "'sometimes' is none of: all, leader");
}

}  // namespace
}  // namespace millrace::tools
