// The hunt for deliberate bugs (base/mutant.h): with one of them alive, either seeds of a
// simulation run until a checker finds it, or the tests of the rule that it breaks. Prints a row of
// the table: mutant, seeds needed, what was found.
//
// Each lives in a process of its own, since some end it by a CHECK. Not here: which mutants there
// are, and what a seed is.
//
// Thread: the test's.
#ifndef BASE_TESTING_MUTANT_HUNT_H_
#define BASE_TESTING_MUTANT_HUNT_H_

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "base/mutant.h"
#include "gtest/gtest.h"

namespace millrace {

// What is wrong with the run of a seed; "" for nothing.
using ViolationOf = std::string (*)(uint64_t seed);

namespace mutant_hunt {

inline void PrintRow(const std::string& mutant, const std::string& seeds,
                     const std::string& found_by) {
  std::printf("%-45s %5s  %s\n", mutant.c_str(), seeds.c_str(), found_by.substr(0, 160).c_str());
  std::fflush(stdout);
}

// 1 if a seed shows the mutant.
[[noreturn]] inline void EndWithSeeds(const std::string& mutant, uint64_t seeds_max,
                                      ViolationOf violation_of) {
  TestSwitches::Get().SetMutant(mutant);
  for (uint64_t seed = 1; seed <= seeds_max; ++seed) {
    const std::string violation = violation_of(seed);
    if (violation.empty()) continue;
    PrintRow(mutant, std::to_string(seed), violation);
    std::_Exit(1);
  }
  std::_Exit(0);
}

// 1 if a test of those that `filter` names fails.
[[noreturn]] inline void EndWithTests(const std::string& mutant, const std::string& filter) {
  TestSwitches::Get().SetMutant(mutant);
  ::testing::GTEST_FLAG(filter) = filter;
  const int outcome = RUN_ALL_TESTS();
  const ::testing::UnitTest& all = *::testing::UnitTest::GetInstance();
  for (int i = 0; i < all.total_test_suite_count(); ++i) {
    const ::testing::TestSuite& suite = *all.GetTestSuite(i);
    for (int j = 0; j < suite.total_test_count(); ++j) {
      const ::testing::TestInfo& test = *suite.GetTestInfo(j);
      if (!test.should_run() || !test.result()->Failed()) continue;
      PrintRow(mutant, "", std::string(suite.name()) + "." + test.name());
      std::_Exit(1);
    }
  }
  std::_Exit(outcome);
}

inline bool IsFound(const std::string& mutant, int status) {
  const bool by_check = (status & 0x7f) != 0;
  if (by_check) PrintRow(mutant, "", "a CHECK of the program");
  return status != 0;
}

}  // namespace mutant_hunt

// One of the seeds from 1 on finds the mutant.
inline void ExpectFoundBySeeds(const std::string& mutant, uint64_t seeds_max,
                               ViolationOf violation_of) {
  const auto found = [&](int status) { return mutant_hunt::IsFound(mutant, status); };
  EXPECT_EXIT(mutant_hunt::EndWithSeeds(mutant, seeds_max, violation_of), found, "")
      << mutant << " survives " << seeds_max << " seeds";
}

// One of the tests of this binary that `filter` names (as --gtest_filter) finds it. They must not
// be those that hunt.
inline void ExpectFoundByTests(const std::string& mutant, const std::string& filter) {
  const auto found = [&](int status) { return mutant_hunt::IsFound(mutant, status); };
  EXPECT_EXIT(mutant_hunt::EndWithTests(mutant, filter), found, "")
      << mutant << " survives the tests";
}

// With no mutant alive nothing is found, and each site of the table exists and is reached.
template <size_t n>
void ExpectNothingIsFoundWithoutMutants(const char* const (&mutants)[n], uint64_t seeds,
                                        ViolationOf violation_of) {
  TestSwitches::Get().SetMutant("");
  for (uint64_t seed = 1; seed <= seeds; ++seed) {
    EXPECT_EQ(violation_of(seed), "") << "seed " << seed;
  }
  for (const char* mutant : mutants) {
    EXPECT_GT(TestSwitches::Get().mutants().count(mutant), 0u) << mutant;
  }
}

// For INSTANTIATE_TEST_SUITE_P.
inline std::string MutantTestName(const ::testing::TestParamInfo<const char*>& info) {
  std::string name = info.param;
  for (char& c : name) {
    if (c == '.' || c == '-') c = '_';
  }
  return name;
}

}  // namespace millrace

#endif  // BASE_TESTING_MUTANT_HUNT_H_
