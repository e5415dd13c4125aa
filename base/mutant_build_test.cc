// base/mutant.h as a test build (-DMILLRACE_MUTANTS) sees it.

#include "base/mutant.h"
#include "base/sim/sim_random.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

class MutantBuildTest : public ::testing::Test {
 protected:
  ~MutantBuildTest() override { TestSwitches::Get().Reset(); }
};

TEST_F(MutantBuildTest, OnlyTheChosenMutantLives) {
  EXPECT_FALSE(MUTANT("a"));
  TestSwitches::Get().SetMutant("a");
  EXPECT_TRUE(MUTANT("a"));
  EXPECT_FALSE(MUTANT("b"));
  EXPECT_EQ(TestSwitches::Get().mutants().at("a").reached, 2);
  EXPECT_EQ(TestSwitches::Get().mutants().at("a").taken, 1);
  TestSwitches::Get().SetMutant("");
  EXPECT_FALSE(MUTANT("a"));
}

TEST_F(MutantBuildTest, MaybeDrawsFromTheSimulationsSeed) {
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(Maybe("site"));
  sim::SimRandom random(1);
  TestSwitches::Get().SetMaybe(&random, 4);
  int taken = 0;
  for (int i = 0; i < 1000; ++i) taken += Maybe("site") ? 1 : 0;
  EXPECT_GT(taken, 150);
  EXPECT_LT(taken, 350);
  EXPECT_EQ(TestSwitches::Get().sites().at("site").reached, 1100);
  EXPECT_EQ(TestSwitches::Get().sites().at("site").taken, taken);
  EXPECT_EQ(TestSwitches::Get().sites().count("other"), 0u);
}

}  // namespace
}  // namespace millrace
