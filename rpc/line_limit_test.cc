#include "rpc/line_limit.h"

#include "absl/strings/str_cat.h"
#include "base/sim/sim_clock.h"
#include "gmock/gmock.h"

namespace millrace::rpc {
namespace {

using ::testing::Optional;

class LineLimitTest : public ::testing::Test {
 protected:
  std::optional<int64_t> Pass(const std::string& key) { return limit_.Pass(key, clock_.Now()); }

  sim::SimClock clock_;
  LineLimit limit_;
};

TEST_F(LineLimitTest, OneOfAKeyPassesInTheIntervalAndSaysHowManyDidNot) {
  EXPECT_THAT(Pass("a"), Optional(0));
  EXPECT_EQ(Pass("a"), std::nullopt);
  clock_.Advance(LineLimit::kInterval - absl::Milliseconds(1));
  EXPECT_EQ(Pass("a"), std::nullopt);
  EXPECT_THAT(Pass("b"), Optional(0));
  clock_.Advance(absl::Milliseconds(1));
  EXPECT_THAT(Pass("a"), Optional(2));
  EXPECT_EQ(Pass("a"), std::nullopt);
}

TEST_F(LineLimitTest, MoreKeysThanAreKeptInMindShareOne) {
  const auto passing = [this](const std::string& of) {
    size_t count = 0;
    for (int i = 0; i < 1000; ++i) count += Pass(absl::StrCat(of, i)).has_value() ? 1 : 0;
    return count;
  };
  EXPECT_EQ(passing("a"), LineLimit::kKeptMax + 1);
  // Later they are forgotten, and what was left out is not.
  clock_.Advance(LineLimit::kInterval);
  EXPECT_EQ(passing("b"), LineLimit::kKeptMax + 1);
  clock_.Advance(LineLimit::kInterval / 2);
  EXPECT_EQ(Pass("c"), std::nullopt);
}

}  // namespace
}  // namespace millrace::rpc
