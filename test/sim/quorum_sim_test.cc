// Thousands of seeds of a simulated quorum: safety, liveness, linearizable histories, and that the
// runs are worth something. A failing seed is printed; MILLRACE_SEED repeats it.
#include <cstdint>
#include <cstdio>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/sim/seeds.h"
#include "gtest/gtest.h"
#include "test/sim/quorum_scenario.h"

namespace millrace::sim {
namespace {

// Two processes of the test share them: tests shard by case. MILLRACE_QUORUM_SEEDS runs more.
constexpr uint64_t kSeedsInCi = 5000;
constexpr uint64_t kParts = 8;

class QuorumSim : public ::testing::TestWithParam<uint64_t> {
 protected:
  QuorumSim() {
    if (!OnlySeed().has_value()) quiet_.emplace(LogLevel::kError);
  }
  std::optional<LogCapture> quiet_;
};

TEST_P(QuorumSim, SeedsHoldAllThatWasPromisedAndReachWhatIsWorthReaching) {
  if (OnlySeed().has_value() && *OnlySeed() % kParts != GetParam()) return;
  const uint64_t count = SeedSetting("MILLRACE_QUORUM_SEEDS").value_or(kSeedsInCi) / kParts;
  // A seed that finds a bug goes into the braces, in one of the parts.
  const std::vector<uint64_t> seeds =
      SeedsToRun({}, {.first = GetParam() + kParts, .count = count, .step = kParts});
  std::map<std::string, int64_t> reached;
  int64_t runs = 0;
  int64_t answered = 0;
  int64_t committed = 0;
  int64_t inconclusive = 0;
  uint64_t events = 0;
  for (const uint64_t seed : seeds) {
    const QuorumRun run = RunQuorumSeed(seed);
    ASSERT_EQ(run.violation, "") << "MILLRACE_SEED=" << seed << "\n" << run.history;
    for (const auto& [what, count] : run.reached) reached[what] += count;
    ++runs;
    answered += run.answered;
    committed += run.committed;
    events += run.events;
    inconclusive += run.inconclusive ? 1 : 0;
  }
  std::printf("%lld seeds, %llu events, %lld entries, %lld answers, %lld inconclusive histories\n",
              static_cast<long long>(runs), static_cast<unsigned long long>(events),
              static_cast<long long>(committed), static_cast<long long>(answered),
              static_cast<long long>(inconclusive));
  for (const auto& [what, count] : reached) {
    std::printf("  %s: %lld\n", what.c_str(), static_cast<long long>(count));
  }
  if (runs < 500) return;
  for (const char* what : {"candidate",
                           "clock jumped",
                           "cut of one direction",
                           "damage refused",
                           "disk lost",
                           "disk of a leader hangs",
                           "elected",
                           "isolated",
                           "kill",
                           "leader removed",
                           "leadership transferred",
                           "log failed",
                           "lost directory replaced",
                           "membership change 0",
                           "membership change 1",
                           "membership change 2",
                           "newest snapshot damaged",
                           "outcome learned by asking again",
                           "outcome unknown",
                           "power loss",
                           "power loss in a start",
                           "power loss of all",
                           "power lost in a call",
                           "read confirmed",
                           "read refused",
                           "replacement: learner",
                           "replacement: promotion",
                           "replacement: removal",
                           "snapshot damaged on its way",
                           "snapshot in pieces",
                           "snapshot installed",
                           "torn tail cut",
                           "truncation of an acknowledged tail",
                           "vote split",
                           "voters changed at a follower"}) {
    EXPECT_GT(reached[what], 0) << "never reached: " << what;
  }
  EXPECT_GT(answered, runs * 50);
  // Some searches are too long; most must not be.
  EXPECT_LE(inconclusive, runs / 50);
}
INSTANTIATE_TEST_SUITE_P(Part, QuorumSim, ::testing::Range(uint64_t{0}, kParts));

TEST(QuorumSimTrace, ASeedRunTwiceGivesTheSameTrace) {
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    const QuorumRun first = RunQuorumSeed(seed);
    const QuorumRun second = RunQuorumSeed(seed);
    EXPECT_EQ(first.trace_hash, second.trace_hash) << "seed " << seed;
    EXPECT_EQ(first.events, second.events) << "seed " << seed;
  }
  EXPECT_NE(RunQuorumSeed(1).trace_hash, RunQuorumSeed(2).trace_hash);
}

}  // namespace
}  // namespace millrace::sim
