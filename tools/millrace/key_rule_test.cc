#include "tools/millrace/key_rule.h"

#include "base/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::tools {
namespace {

TEST(KeyRule, WithoutARuleKeysAreNull) {
  const auto split = KeyRule::Make("", "").value().Apply("a:b").value();
  EXPECT_FALSE(split.key.has_value());
  EXPECT_EQ(split.value, "a:b");
}

TEST(KeyRule, ASeparatorIsPartOfNeither) {
  const KeyRule rule = KeyRule::Make(":", "").value();
  const auto split = rule.Apply("a:b:c").value();
  EXPECT_EQ(split.key, "a");
  EXPECT_EQ(split.value, "b:c");
  EXPECT_EQ(CodeOf(rule.Apply("abc").status()), ErrorCode::kInvalidRecord);
}

TEST(KeyRule, ARegexLooksAtEachLineAndKeepsTheValueWhole) {
  const KeyRule rule = KeyRule::Make("", "^Package: (.*)$").value();
  const auto split = rule.Apply("Version: 1\nPackage: bash\nSize: 2").value();
  EXPECT_EQ(split.key, "bash");
  EXPECT_EQ(split.value, "Version: 1\nPackage: bash\nSize: 2");
  EXPECT_FALSE(rule.Apply("Version: 1").value().key.has_value());
}

TEST(KeyRule, RefusesWhatContradictsOrCannotBeParsed) {
  EXPECT_EQ(CodeOf(KeyRule::Make(":", "x").status()), ErrorCode::kInvalidRequest);
  EXPECT_EQ(CodeOf(KeyRule::Make("", "(").status()), ErrorCode::kInvalidRequest);
}

}  // namespace
}  // namespace millrace::tools
