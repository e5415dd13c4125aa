#include "base/system_clock.h"

#include "gtest/gtest.h"

namespace millrace {
namespace {

TEST(SystemClockTest, MonotonicTimeNeverFallsAndAdvances) {
  const SystemClock clock;
  const MonotonicTime start = clock.Now();
  MonotonicTime last = start;
  while (last == start) {
    const MonotonicTime now = clock.Now();
    ASSERT_GE(now, last);
    last = now;
  }
}

TEST(SystemClockTest, WallTimeIsMillisecondsOfThisCentury) {
  const int64_t ms = SystemClock().WallNow().ms;
  EXPECT_GT(ms, 1'500'000'000'000);
  EXPECT_LT(ms, 4'102'444'800'000);
}

}  // namespace
}  // namespace millrace
