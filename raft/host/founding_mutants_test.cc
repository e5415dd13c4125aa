// Deliberate bugs in the founding, each found by its simulation. Built with MILLRACE_MUTANTS.
// Prints the table: mutant, seeds needed, what was found.
#include <cstdint>
#include <string>

#include "base/testing/mutant_hunt.h"
#include "gtest/gtest.h"
#include "raft/host/testing/founding_sim.h"

namespace millrace::raft {
namespace {

using testing::RunFoundingSeed;

constexpr uint64_t kSeedsMax = 60'000;

constexpr const char* kMutants[] = {
    "founding.directory-ignored",    "founding.join-own-cluster",    "founding.majority-promised",
    "founding.old-answer-counts",    "founding.own-cluster-id",      "founding.promise-forgotten",
    "founding.stale-promise-counts", "founding.told-before-durable", "founding.without-the-silent",
};

std::string ViolationOfSeed(uint64_t seed) { return RunFoundingSeed(seed).violation; }

class FoundingMutantTest : public ::testing::TestWithParam<const char*> {};

TEST_P(FoundingMutantTest, IsFound) { ExpectFoundBySeeds(GetParam(), kSeedsMax, &ViolationOfSeed); }
INSTANTIATE_TEST_SUITE_P(Founding, FoundingMutantTest, ::testing::ValuesIn(kMutants),
                         MutantTestName);

TEST(FoundingMutants, NoneAliveNothingIsFound) {
  ExpectNothingIsFoundWithoutMutants(kMutants, 200, &ViolationOfSeed);
}

}  // namespace
}  // namespace millrace::raft
