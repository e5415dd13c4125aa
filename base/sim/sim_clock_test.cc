#include "base/sim/sim_clock.h"

#include "gtest/gtest.h"

namespace millrace::sim {
namespace {

TEST(SimClockTest, StandsStillUnlessAdvanced) {
  SimClock clock;
  const MonotonicTime start = clock.Now();
  const WallTime wall = clock.WallNow();
  EXPECT_EQ(clock.Now(), start);
  clock.Advance(absl::Seconds(2));
  EXPECT_EQ(clock.Now() - start, absl::Seconds(2));
  EXPECT_EQ(clock.WallNow().ms - wall.ms, 2000);
}

TEST(SimClockTest, FollowsItsWorldFromItsOwnOrigin) {
  MonotonicTime world = MonotonicTime::FromNanos(1'000);
  const SimClock clock(&world, MonotonicTime::FromNanos(77));
  EXPECT_EQ(clock.Now().nanos(), 77);
  world = world + absl::Nanoseconds(5);
  EXPECT_EQ(clock.Now().nanos(), 82);
  EXPECT_EQ(clock.ToWorld(MonotonicTime::FromNanos(87)).nanos(), 1'010);
}

TEST(SimClockTest, WallJumpsLeaveMonotonicTimeAlone) {
  SimClock clock;
  clock.Advance(absl::Hours(1));
  const WallTime before = clock.WallNow();
  clock.JumpWall(-absl::Minutes(10));
  EXPECT_EQ(before.ms - clock.WallNow().ms, 600'000);
  EXPECT_EQ(clock.Now() - MonotonicTime(), absl::Hours(1));
}

TEST(SimClockTest, DriftAppliesFromNowOn) {
  MonotonicTime world;
  SimClock clock(&world);
  world = world + absl::Seconds(100);
  clock.SetDrift(1000);
  EXPECT_EQ(clock.Now() - MonotonicTime(), absl::Seconds(100));
  world = world + absl::Seconds(10);
  EXPECT_EQ(clock.Now() - MonotonicTime(), absl::Milliseconds(110'010));
}

TEST(SimClockTest, TimerIsNeverEarlyByADriftingClock) {
  for (double drift : {-500.0, -33.3, 0.0, 12.7, 500.0}) {
    MonotonicTime world;
    SimClock clock(&world, MonotonicTime::FromNanos(12'345));
    clock.SetDrift(drift);
    for (int64_t nanos = 12'345; nanos < 3'000'000'000; nanos = nanos * 3 + 1) {
      const MonotonicTime local = MonotonicTime::FromNanos(nanos);
      const MonotonicTime when = clock.ToWorld(local);
      EXPECT_GE(clock.ToLocal(when), local);
      EXPECT_LE(clock.ToLocal(when) - local, absl::Nanoseconds(5));
    }
  }
}

TEST(SimClockTest, NeverStaysNever) {
  MonotonicTime world;
  const SimClock clock(&world);
  EXPECT_EQ(clock.ToWorld(MonotonicTime::Never()), MonotonicTime::Never());
  EXPECT_EQ(clock.ToLocal(MonotonicTime::Never()), MonotonicTime::Never());
}

}  // namespace
}  // namespace millrace::sim
