// Thousands of seeds of S-18: nodes that come late, crash and lose disks while they found a
// cluster. A failing seed is printed; RunFoundingSeed(seed, true) prints its trace.
#include "raft/host/testing/founding_sim.h"

#include <cstdint>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "base/sim/sample_step.h"
#include "base/sim/seeds.h"
#include "gtest/gtest.h"

namespace millrace::raft {
namespace {

using testing::FoundingSimResult;
using testing::RunFoundingSeed;

constexpr uint64_t kSeeds = 20'000;

TEST(FoundingSim, S18SeedsNeverFoundTwoClustersAndAlwaysFoundOne) {
  std::map<std::string, int64_t> reached;
  int64_t events = 0;
  // A seed that finds a bug goes into the braces.
  const std::vector<uint64_t> seeds = sim::SeedsToRun({}, {.count = sim::SampledSeeds(kSeeds)});
  for (const uint64_t seed : seeds) {
    const FoundingSimResult result = RunFoundingSeed(seed);
    ASSERT_EQ(result.violation, "") << "seed " << seed;
    for (const auto& [what, count] : result.reached) reached[what] += count;
    events += result.events;
  }
  std::string table;
  for (const auto& [what, count] : reached) table += what + ": " + std::to_string(count) + "\n";
  std::printf("%zu seeds, %lld events\n%s", seeds.size(), static_cast<long long>(events),
              table.c_str());
  if (sim::OnlySeed().has_value()) return;
  for (const char* what :
       {"crash after a write, before it was known", "crash before a write",
        "directory put away and back", "founded", "joined", "promise replaced", "waits: wrong list",
        "wiped in phase 0", "wiped in phase 1", "wiped in phase 2"}) {
    EXPECT_GT(reached[what], 0) << "never reached: " << what;
  }
}

TEST(FoundingSim, ASeedRunTwiceGivesTheSameTrace) {
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    const FoundingSimResult first = RunFoundingSeed(seed);
    const FoundingSimResult second = RunFoundingSeed(seed);
    EXPECT_EQ(first.trace_hash, second.trace_hash) << "seed " << seed;
    EXPECT_EQ(first.events, second.events) << "seed " << seed;
  }
  EXPECT_NE(RunFoundingSeed(1).trace_hash, RunFoundingSeed(2).trace_hash);
}

}  // namespace
}  // namespace millrace::raft
