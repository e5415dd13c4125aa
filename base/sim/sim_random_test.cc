#include "base/sim/sim_random.h"

#include <set>

#include "gtest/gtest.h"

namespace millrace::sim {
namespace {

TEST(SimRandomTest, SameSeedSameNumbersForEver) {
  SimRandom random(42);
  // Fixed once: if these change, every recorded seed has lost its meaning.
  EXPECT_EQ(random.Next(), 1546998764402558742u);
  EXPECT_EQ(random.Next(), 6990951692964543102u);
}

TEST(SimRandomTest, ForksDependOnSeedAndNameOnly) {
  SimRandom one(7);
  SimRandom two(7);
  for (int i = 0; i < 100; ++i) one.Next();
  EXPECT_EQ(one.Fork("disk").Next(), two.Fork("disk").Next());
  EXPECT_NE(one.Fork("disk").Next(), one.Fork("network").Next());
  EXPECT_NE(SimRandom(8).Fork("disk").Next(), one.Fork("disk").Next());
}

TEST(SimRandomTest, BelowReachesAllAndOnlyWhatIsBelow) {
  SimRandom random(1);
  std::set<uint64_t> seen;
  for (int i = 0; i < 1000; ++i) seen.insert(random.Below(7));
  EXPECT_EQ(seen.size(), 7u);
  EXPECT_EQ(*seen.rbegin(), 6u);
}

TEST(SimRandomTest, BetweenIncludesBothEnds) {
  SimRandom random(1);
  std::set<int64_t> seen;
  for (int i = 0; i < 1000; ++i) seen.insert(Between(random, -2, 2));
  EXPECT_EQ(seen, (std::set<int64_t>{-2, -1, 0, 1, 2}));
  EXPECT_EQ(Between(random, absl::Seconds(3), absl::Seconds(3)), absl::Seconds(3));
}

TEST(SimRandomTest, OneInNIsTrueAboutOnceInN) {
  SimRandom random(1);
  int hits = 0;
  for (int i = 0; i < 10'000; ++i) hits += OneIn(random, 10) ? 1 : 0;
  EXPECT_GT(hits, 850);
  EXPECT_LT(hits, 1150);
}

}  // namespace
}  // namespace millrace::sim
