#include "base/sim/seeds.h"

#include "gmock/gmock.h"

namespace millrace::sim {
namespace {

using ::testing::ElementsAre;

class SeedsTest : public ::testing::Test {
 protected:
  SeedsTest() { unsetenv("MILLRACE_SEED"); }
  ~SeedsTest() override { unsetenv("MILLRACE_SEED"); }
};

TEST_F(SeedsTest, ThoseThatFoundBugsComeFirst) {
  EXPECT_THAT(SeedsToRun({3242, 17}, {.first = 5, .count = 3, .step = 8}),
              ElementsAre(3242, 17, 5, 13, 21));
  EXPECT_THAT(SeedsToRun({}, {.count = 2}), ElementsAre(1, 2));
}

TEST_F(SeedsTest, TheOneToBeRepeatedIsRunAlone) {
  setenv("MILLRACE_SEED", "99", 1);
  EXPECT_EQ(OnlySeed(), 99u);
  EXPECT_THAT(SeedsToRun({3242}, {.count = 2}), ElementsAre(99));
}

}  // namespace
}  // namespace millrace::sim
