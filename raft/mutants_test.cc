// Deliberate bugs, each found by the simulation. Built with MILLRACE_MUTANTS; each mutant lives in
// a process of its own, since some end it by a CHECK. Prints the table: mutant, seeds needed, who
// found it.
#include <cstdint>
#include <string>

#include "base/testing/mutant_hunt.h"
#include "gtest/gtest.h"
#include "raft/testing/sim_scenario.h"

namespace millrace::raft {
namespace {

using testing::RunSeed;

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

std::string ViolationOfSeed(uint64_t seed) { return RunSeed(seed).violation; }

class MutantTest : public ::testing::TestWithParam<const char*> {};

TEST_P(MutantTest, IsFound) { ExpectFoundBySeeds(GetParam(), kSeedsMax, &ViolationOfSeed); }
INSTANTIATE_TEST_SUITE_P(Raft, MutantTest, ::testing::ValuesIn(kMutants), MutantTestName);

TEST(Mutants, NoneAliveNothingIsFound) {
  ExpectNothingIsFoundWithoutMutants(kMutants, 30, &ViolationOfSeed);
}

}  // namespace
}  // namespace millrace::raft
