#include "raft/service/reconnect_backoff.h"

#include <set>

#include "base/sim/sim_random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::raft {
namespace {

TEST(ReconnectBackoffTest, TheFirstAttemptAfterABreakIsMadeAtOnce) {
  sim::SimRandom random(1);
  ReconnectBackoff backoff(&random);
  EXPECT_EQ(backoff.Next(), absl::ZeroDuration());
  EXPECT_GT(backoff.Next(), absl::ZeroDuration());
  backoff.Reset();
  EXPECT_EQ(backoff.Next(), absl::ZeroDuration());
}

TEST(ReconnectBackoffTest, WaitsGrowFrom50To500MillisecondsWithJitter) {
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    sim::SimRandom random(seed);
    ReconnectBackoff backoff(&random);
    EXPECT_EQ(backoff.Next(), absl::ZeroDuration());
    absl::Duration ceiling = absl::Milliseconds(100);
    std::set<absl::Duration> late;
    for (int i = 0; i < 20; ++i) {
      const absl::Duration wait = backoff.Next();
      EXPECT_GE(wait, absl::Milliseconds(50));
      EXPECT_LE(wait, ceiling);
      ceiling = std::min(2 * ceiling, absl::Milliseconds(500));
      if (i < 10) continue;
      EXPECT_GE(wait, absl::Milliseconds(250));
      late.insert(wait);
    }
    EXPECT_GT(late.size(), 3u);
  }
}

}  // namespace
}  // namespace millrace::raft
