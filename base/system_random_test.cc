#include "base/system_random.h"

#include <bit>
#include <set>

#include "gtest/gtest.h"

namespace millrace {
namespace {

TEST(SystemRandomTest, TwoSourcesDiffer) {
  std::set<uint64_t> seen;
  for (int i = 0; i < 100; ++i) {
    SystemRandom random;
    for (int j = 0; j < 10; ++j) seen.insert(random.Next());
  }
  EXPECT_EQ(seen.size(), 1000u);
}

TEST(SystemRandomTest, HalfOfTheBitsAreSet) {
  SystemRandom random;
  int64_t ones = 0;
  for (int i = 0; i < 10'000; ++i) ones += std::popcount(random.Next());
  // Ten standard deviations on either side.
  EXPECT_NEAR(static_cast<double>(ones), 320'000, 4000);
}

}  // namespace
}  // namespace millrace
