#include "controller/disk_speeds.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::controller {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

DirectoryId Dir(int n) { return DirectoryId(Uuid(5, static_cast<uint64_t>(n))); }

// Brokers 1, 2 and 3 with one directory each, of the same number.
class DiskSpeedsTest : public ::testing::Test {
 protected:
  // Every half second for so long; in milliseconds, -1: idle.
  void Run(absl::Duration duration, int first, int second = 2, int third = 2) {
    const MonotonicTime until = now_ + duration;
    while (now_ < until) {
      Report(1, first);
      Report(2, second);
      Report(3, third);
      now_ = now_ + absl::Milliseconds(500);
    }
  }
  void Report(int broker, int milliseconds) {
    DiskSpeeds::Syncs syncs;
    if (milliseconds >= 0) syncs[Dir(broker)] = absl::Milliseconds(milliseconds);
    speeds_.OnReport(NodeId(broker), syncs, now_);
  }
  bool IsSlow(int broker) const { return speeds_.SlowOf(NodeId(broker)).contains(Dir(broker)); }

  DiskSpeeds speeds_{DiskSpeedOptions()};
  MonotonicTime now_ = MonotonicTime::FromNanos(1'000'000'000);
};

TEST_F(DiskSpeedsTest, ADiskMuchSlowerThanItsPeersIsSlowAfterSomeSeconds) {
  Run(absl::Seconds(4), 800);
  EXPECT_FALSE(IsSlow(1));
  Run(absl::Seconds(2), 800);
  EXPECT_THAT(speeds_.SlowOf(NodeId(1)), ElementsAre(Dir(1)));
  EXPECT_FALSE(IsSlow(2));
  EXPECT_FALSE(IsSlow(3));
  EXPECT_THAT(speeds_.Describe(NodeId(1), Dir(1), now_),
              HasSubstr("of broker 1 takes 800 ms, 2 ms in the median of the others"));
}

TEST_F(DiskSpeedsTest, AShortStallIsNotSlowness) {
  for (int i = 0; i < 20; ++i) {
    Run(absl::Seconds(4), 2000);
    Run(absl::Milliseconds(500), 2);
  }
  EXPECT_FALSE(IsSlow(1));
}

TEST_F(DiskSpeedsTest, WhatIsFastInItselfIsNeverSlow) {
  Run(absl::Minutes(1), 499, 0, 0);
  EXPECT_FALSE(IsSlow(1));
}

TEST_F(DiskSpeedsTest, DisksThatAreAllSlowAreOnlyBusy) {
  Run(absl::Minutes(1), 2000, 900, 700);
  EXPECT_FALSE(IsSlow(1) || IsSlow(2) || IsSlow(3));
}

TEST_F(DiskSpeedsTest, TwoSlowOnesOfThreeAreFoundByTheThird) {
  Run(absl::Seconds(10), 2000, 900, 2);
  EXPECT_TRUE(IsSlow(1));
  EXPECT_TRUE(IsSlow(2));
  EXPECT_FALSE(IsSlow(3));
}

TEST_F(DiskSpeedsTest, OfOneDiskAloneNothingIsSaid) {
  Run(absl::Minutes(1), 5000, -1, -1);
  EXPECT_FALSE(IsSlow(1));
}

TEST_F(DiskSpeedsTest, OtherDirectoriesOfTheBrokerAreMeasuresToo) {
  for (int i = 0; i < 20; ++i) {
    speeds_.OnReport(NodeId(1), {{Dir(1), absl::Seconds(1)}, {Dir(9), absl::Milliseconds(3)}},
                     now_);
    now_ = now_ + absl::Milliseconds(500);
  }
  EXPECT_THAT(speeds_.SlowOf(NodeId(1)), ElementsAre(Dir(1)));
}

TEST_F(DiskSpeedsTest, WellAgainWhenFastForAWhileAndTheHoldIsOver) {
  Run(absl::Seconds(6), 800);
  Run(absl::Seconds(25), 2);
  EXPECT_TRUE(IsSlow(1)) << "held for half a minute";
  Run(absl::Seconds(10), 2);
  EXPECT_FALSE(IsSlow(1));
}

TEST_F(DiskSpeedsTest, HalfAsBadIsNotWell) {
  Run(absl::Seconds(6), 800);
  Run(absl::Minutes(2), 260);
  EXPECT_TRUE(IsSlow(1));
}

TEST_F(DiskSpeedsTest, WhoFallsIllAgainSoonIsHeldLonger) {
  Run(absl::Seconds(6), 800);
  Run(absl::Seconds(40), 2);
  ASSERT_FALSE(IsSlow(1));
  Run(absl::Seconds(6), 800);
  ASSERT_TRUE(IsSlow(1));
  Run(absl::Seconds(40), 2);
  EXPECT_TRUE(IsSlow(1)) << "a minute now";
  Run(absl::Seconds(25), 2);
  EXPECT_FALSE(IsSlow(1));
  Run(absl::Minutes(10), 2);
  Run(absl::Seconds(6), 800);
  Run(absl::Seconds(40), 2);
  EXPECT_FALSE(IsSlow(1)) << "that is long ago";
}

TEST_F(DiskSpeedsTest, ASlowDiskThatIsIdleGetsAnotherChanceAfterItsHold) {
  Run(absl::Seconds(6), 800);
  Run(absl::Seconds(25), -1);
  EXPECT_TRUE(IsSlow(1));
  Run(absl::Seconds(15), -1);
  EXPECT_FALSE(IsSlow(1));
}

TEST_F(DiskSpeedsTest, WhatAnotherControllerFoundStaysForAHold) {
  speeds_.SetSlow(NodeId(1), {Dir(1)}, now_);
  Run(absl::Seconds(20), 2);
  EXPECT_TRUE(IsSlow(1));
  Run(absl::Seconds(15), 2);
  EXPECT_FALSE(IsSlow(1));
}

TEST_F(DiskSpeedsTest, ABrokerThatRegistersAnewBeginsAnew) {
  Run(absl::Seconds(6), 800);
  speeds_.Forget(NodeId(1));
  EXPECT_THAT(speeds_.SlowOf(NodeId(1)), IsEmpty());
}

TEST_F(DiskSpeedsTest, NothingIsSlowWhereTheBoundIsZero) {
  DiskSpeedOptions off;
  off.slow_min = absl::ZeroDuration();
  DiskSpeeds speeds(off);
  for (int i = 0; i < 20; ++i) {
    speeds.OnReport(NodeId(1), {{Dir(1), absl::Seconds(9)}}, now_);
    speeds.OnReport(NodeId(2), {{Dir(2), absl::Milliseconds(1)}}, now_);
    now_ = now_ + absl::Milliseconds(500);
  }
  EXPECT_FALSE(speeds.SlowOf(NodeId(1)).contains(Dir(1)));
}

}  // namespace
}  // namespace millrace::controller
