// Deliberate bugs in the founding, each found by its simulation. Built with MILLRACE_MUTANTS.
// Prints the table: mutant, seeds needed, what was found.
#include <cstdint>
#include <cstdio>
#include <string>

#include "base/mutant.h"
#include "gtest/gtest.h"
#include "raft/host/testing/founding_sim.h"

namespace millrace::raft {
namespace {

using testing::FoundingSimResult;
using testing::RunFoundingSeed;

constexpr uint64_t kSeedsMax = 60'000;

constexpr const char* kMutants[] = {
    "founding.directory-ignored",    "founding.join-own-cluster",    "founding.majority-promised",
    "founding.old-answer-counts",    "founding.own-cluster-id",      "founding.promise-forgotten",
    "founding.stale-promise-counts", "founding.told-before-durable", "founding.without-the-silent",
};

class FoundingMutantTest : public ::testing::TestWithParam<const char*> {
 protected:
  void TearDown() override { TestSwitches::Get().SetMutant(""); }
};

TEST_P(FoundingMutantTest, IsFound) {
  const std::string mutant = GetParam();
  TestSwitches::Get().SetMutant(mutant);
  for (uint64_t seed = 1; seed <= kSeedsMax; ++seed) {
    const FoundingSimResult result = RunFoundingSeed(seed);
    if (result.violation.empty()) continue;
    std::printf("%-32s %6llu  %s\n", mutant.c_str(), static_cast<unsigned long long>(seed),
                result.violation.c_str());
    return;
  }
  FAIL() << mutant << " survives " << kSeedsMax << " seeds";
}

std::string NameOf(const ::testing::TestParamInfo<const char*>& info) {
  std::string name = info.param;
  for (char& c : name) {
    if (c == '.' || c == '-') c = '_';
  }
  return name;
}
INSTANTIATE_TEST_SUITE_P(Founding, FoundingMutantTest, ::testing::ValuesIn(kMutants), NameOf);

TEST(FoundingMutants, NoneAliveNothingIsFound) {
  TestSwitches::Get().SetMutant("");
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    EXPECT_EQ(RunFoundingSeed(seed).violation, "") << "seed " << seed;
  }
  // Each site of the table exists, and is reached.
  for (const char* mutant : kMutants) {
    EXPECT_GT(TestSwitches::Get().mutants().count(mutant), 0u) << mutant;
  }
}

}  // namespace
}  // namespace millrace::raft
