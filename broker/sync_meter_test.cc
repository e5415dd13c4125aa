#include "broker/sync_meter.h"

#include "gtest/gtest.h"

namespace millrace::broker {
namespace {

class SyncMeterTest : public ::testing::Test {
 protected:
  // In milliseconds; -1: nothing is known.
  int64_t Sample(absl::Duration after = absl::Milliseconds(500)) {
    now_ = now_ + after;
    const std::optional<absl::Duration> latency = meter_.Sample(times_, now_);
    return latency.has_value() ? absl::ToInt64Milliseconds(*latency) : -1;
  }
  void Sync(int milliseconds, int count = 1) {
    times_.measured += count;
    times_.total += count * absl::Milliseconds(milliseconds);
  }

  SyncMeter meter_;
  storage::SyncTimes times_;
  MonotonicTime now_ = MonotonicTime::FromNanos(1'000'000'000);
};

TEST_F(SyncMeterTest, IsTheMeanOfTheLastSeconds) {
  Sync(900);
  EXPECT_EQ(Sample(), -1) << "before the first look";
  Sync(10, 3);
  Sync(50);
  EXPECT_EQ(Sample(), 20);
  Sync(20, 4);
  EXPECT_EQ(Sample(), 20);
  Sync(100, 2);
  EXPECT_EQ(Sample(), 36);
}

TEST_F(SyncMeterTest, WhatIsLongAgoDoesNotCount) {
  Sample();
  Sync(500, 10);
  EXPECT_EQ(Sample(), 500);
  for (int i = 0; i < 7; ++i) {
    Sync(2, 2);
    Sample();
  }
  EXPECT_EQ(Sample(), 2);
}

TEST_F(SyncMeterTest, AnIdleDirectoryIsNotKnown) {
  Sample();
  Sync(5);
  EXPECT_EQ(Sample(), 5);
  EXPECT_EQ(Sample(absl::Seconds(2)), 5);
  EXPECT_EQ(Sample(absl::Seconds(4)), -1);
}

TEST_F(SyncMeterTest, ASyncThatDoesNotEndCountsAsItGoes) {
  Sample();
  Sync(5, 4);
  times_.began = now_ + absl::Milliseconds(499);
  EXPECT_EQ(Sample(), 5) << "no longer than the others yet";
  EXPECT_GE(Sample(absl::Seconds(1)), 200);
  EXPECT_GE(Sample(absl::Seconds(5)), 6000);
}

}  // namespace
}  // namespace millrace::broker
