#include "storage/recovery_progress.h"

#include "base/log.h"
#include "base/sim/sim_clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::storage {
namespace {

class RecoveryProgressTest : public testing::Test {
 protected:
  MonotonicTime world_;
  sim::SimClock clock_{&world_};
  LogCapture captured_;
};

TEST_F(RecoveryProgressTest, ALongRecoverySpeaksEveryTenSecondsAndAtItsEnd) {
  RecoveryProgress progress(&clock_, "/data", 3);
  for (int i = 0; i < 25; ++i) {
    world_ = world_ + absl::Seconds(1);
    progress.SegmentDone(100);
  }
  progress.ReplicaDone();
  progress.Finish();
  const std::vector<std::string> lines = captured_.lines();
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_THAT(lines[0], testing::AllOf(testing::HasSubstr("recovering log directory"),
                                       testing::HasSubstr("replicas=3"),
                                       testing::HasSubstr("bytes_done=1000"),
                                       testing::HasSubstr("seconds=10")));
  EXPECT_THAT(lines[1], testing::HasSubstr("seconds=20"));
  EXPECT_THAT(lines[2], testing::AllOf(testing::HasSubstr("log directory recovered"),
                                       testing::HasSubstr("seconds=25")));
}

TEST_F(RecoveryProgressTest, AShortRecoveryIsSilent) {
  RecoveryProgress progress(&clock_, "/data", 1000);
  for (int i = 0; i < 1000; ++i) {
    progress.SegmentDone(1 << 20);
    progress.ReplicaDone();
  }
  world_ = world_ + absl::Seconds(9);
  progress.Finish();
  EXPECT_TRUE(captured_.lines().empty());
}

}  // namespace
}  // namespace millrace::storage
