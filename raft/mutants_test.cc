// Deliberate bugs, each found by the simulation. Built with MILLRACE_MUTANTS; each mutant lives in
// a process of its own, since some end it by a CHECK. Prints the table: mutant, seeds needed, who
// found it.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "base/mutant.h"
#include "gtest/gtest.h"
#include "raft/testing/sim_scenario.h"

namespace millrace::raft {
namespace {

using testing::RunSeed;
using testing::SimResult;

#ifdef MILLRACE_SIM_SEEDS
constexpr uint64_t kSeedsMax = MILLRACE_SIM_SEEDS;
#else
constexpr uint64_t kSeedsMax = 20000;
#endif

constexpr const char* kMutants[] = {
    "raft.ack-before-persist",
    "raft.ack-whole-log",
    "raft.always-truncate",
    "raft.apply-not-durable",
    "raft.change-before-own-term",
    "raft.commit-beyond-match",
    "raft.commit-old-term",
    "raft.directory-ignored",
    "raft.install-without-voters",
    "raft.learner-counts",
    "raft.majority-is-half",
    "raft.no-check-quorum",
    "raft.no-pre-vote",
    "raft.no-previous-check",
    "raft.no-stickiness",
    "raft.own-match-not-durable",
    "raft.own-vote-not-durable",
    "raft.persisted-ignores-truncation",
    "raft.read-before-no-op",
    "raft.read-without-round",
    "raft.removed-leader-counts",
    "raft.removed-leader-stays",
    "raft.two-changes-at-once",
    "raft.vote-before-persist",
    "raft.vote-not-kept",
    "raft.vote-not-written",
    "raft.vote-twice",
    "raft.vote-without-log-check",
};

// Ends the process: 1 if the mutant was found, 0 if it survived.
[[noreturn]] void Hunt(const std::string& mutant) {
  TestSwitches::Get().SetMutant(mutant);
  for (uint64_t seed = 1; seed <= kSeedsMax; ++seed) {
    const SimResult result = RunSeed(seed);
    if (result.violation.empty()) continue;
    std::printf("%-36s %5llu  %s\n", mutant.c_str(), static_cast<unsigned long long>(seed),
                result.violation.c_str());
    std::fflush(stdout);
    std::exit(1);
  }
  std::exit(0);
}

class MutantTest : public ::testing::TestWithParam<const char*> {};

TEST_P(MutantTest, IsFound) {
  const std::string mutant = GetParam();
  const auto found = [&mutant](int status) {
    const bool by_check = (status & 0x7f) != 0;
    if (by_check) std::printf("%-36s        a CHECK of the core\n", mutant.c_str());
    return status != 0;
  };
  EXPECT_EXIT(Hunt(mutant), found, "") << mutant << " survives " << kSeedsMax << " seeds";
}

std::string NameOf(const ::testing::TestParamInfo<const char*>& info) {
  std::string name = info.param;
  for (char& c : name) {
    if (c == '.' || c == '-') c = '_';
  }
  return name;
}
INSTANTIATE_TEST_SUITE_P(Raft, MutantTest, ::testing::ValuesIn(kMutants), NameOf);

TEST(Mutants, NoneAliveNothingIsFound) {
  TestSwitches::Get().SetMutant("");
  for (uint64_t seed = 1; seed <= 30; ++seed) EXPECT_EQ(RunSeed(seed).violation, "");
  // Each site of the table exists, and is reached.
  for (const char* mutant : kMutants) {
    EXPECT_GT(TestSwitches::Get().mutants().count(mutant), 0u) << mutant;
  }
}

}  // namespace
}  // namespace millrace::raft
