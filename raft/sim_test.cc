// Thousands of seeds of the simulated cluster: invariants, liveness, and that the runs are worth
// something. A failing seed is printed; RunSeed(seed, true) prints its trace.
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/sim/sample_step.h"
#include "base/sim/seeds.h"
#include "gtest/gtest.h"
#include "raft/testing/sim_scenario.h"

namespace millrace::raft {
namespace {

using testing::RunSeed;
using testing::SimResult;

#ifdef MILLRACE_SIM_SEEDS
constexpr uint64_t kSeeds = MILLRACE_SIM_SEEDS;
#else
constexpr uint64_t kSeeds = 2000;
#endif

TEST(RaftSim, SeedsHoldAllInvariantsAndReachWhatIsWorthReaching) {
  // A seed that finds a bug goes into the braces.
  const std::vector<uint64_t> seeds = sim::SeedsToRun({}, {.count = sim::SampledSeeds(kSeeds)});
  std::map<std::string, int64_t> reached;
  int64_t events = 0;
  int64_t committed = 0;
  int64_t reads = 0;
  for (const uint64_t seed : seeds) {
    const SimResult result = RunSeed(seed);
    ASSERT_EQ(result.violation, "") << "seed " << seed;
    for (const auto& [what, count] : result.reached) reached[what] += count;
    events += result.events;
    committed += result.committed;
    reads += result.reads;
  }
  std::string table;
  for (const auto& [what, count] : reached) {
    table += what + ": " + std::to_string(count) + "\n";
  }
  std::printf("%zu seeds, %lld events, %lld entries committed, %lld reads\n%s", seeds.size(),
              static_cast<long long>(events), static_cast<long long>(committed),
              static_cast<long long>(reads), table.c_str());
  if (sim::OnlySeed().has_value()) return;
  for (const char* what :
       {"a member returned", "candidate", "disk lost", "elected", "leader replaced",
        "leadership transferred", "membership change 0", "membership change 1",
        "membership change 2", "overlapping writes", "snapshot damaged", "snapshot in pieces",
        "snapshot installed", "snapshot installed over a log", "truncation of a durable tail"}) {
    EXPECT_GT(reached[what], 0) << "never reached: " << what;
  }
  EXPECT_GT(committed, static_cast<int64_t>(seeds.size()) * 50);
  EXPECT_GT(reads, static_cast<int64_t>(seeds.size()));
}

TEST(RaftSim, ASeedRunTwiceGivesTheSameTrace) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const SimResult first = RunSeed(seed);
    const SimResult second = RunSeed(seed);
    EXPECT_EQ(first.trace_hash, second.trace_hash) << "seed " << seed;
    EXPECT_EQ(first.events, second.events) << "seed " << seed;
  }
  EXPECT_NE(RunSeed(1).trace_hash, RunSeed(2).trace_hash);
}

}  // namespace
}  // namespace millrace::raft
