#include "base/byte_throttle.h"

#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

MonotonicTime At(int64_t ms) { return MonotonicTime() + absl::Milliseconds(ms); }

TEST(ByteThrottleTest, WithoutARateNothingIsCounted) {
  ByteThrottle throttle;
  EXPECT_FALSE(throttle.is_limited());
  throttle.Spend(1'000'000, At(0));
  throttle.SetRate(1000, At(0));
  EXPECT_EQ(throttle.Available(At(0)), 0) << "neither saved up nor owed";
}

TEST(ByteThrottleTest, WhatIsSpentOverTimeIsTheRate) {
  ByteThrottle throttle;
  throttle.SetRate(10'000, At(0));
  int64_t spent = 0;
  MonotonicTime now = At(0);
  while (now < At(60'000)) {
    for (int64_t left = throttle.Available(now); left > 0; left = throttle.Available(now)) {
      const int64_t batch = 700;
      throttle.Spend(batch, now);
      spent += batch;
    }
    EXPECT_GT(throttle.full_at(), now);
    now = throttle.full_at();
  }
  EXPECT_LE(spent, 60 * 10'000 + 1000 + 700);
  EXPECT_GE(spent, 60 * 10'000 - 2000);
}

TEST(ByteThrottleTest, SavesUpATenthOfASecondAtMost) {
  ByteThrottle throttle;
  throttle.SetRate(10'000, At(0));
  EXPECT_EQ(throttle.Available(At(50)), 500);
  EXPECT_EQ(throttle.Available(At(100'000)), 1000);
}

TEST(ByteThrottleTest, ABatchThatIsLargerThanAllIsPaidAfterwards) {
  ByteThrottle throttle;
  throttle.SetRate(1000, At(0));
  EXPECT_EQ(throttle.Available(At(100)), 100);
  throttle.Spend(5100, At(100));
  EXPECT_LT(throttle.Available(At(5095)), 0);
  EXPECT_GT(throttle.Available(At(5105)), 0);
}

TEST(ByteThrottleTest, FullIsWhenAsMuchAsCanBeIsThere) {
  ByteThrottle throttle;
  throttle.SetRate(1'000'000, At(0));
  EXPECT_EQ(throttle.Available(throttle.full_at()), 100'000);
  throttle.SetRate(3, At(100));
  EXPECT_EQ(throttle.Available(At(100)), 1) << "one byte at least can be saved up";
  throttle.Spend(10, At(100));
  EXPECT_EQ(throttle.Available(throttle.full_at()), 1);
}

TEST(ByteThrottleTest, ADebtIsPaidAtTheNewRate) {
  ByteThrottle throttle;
  throttle.SetRate(1000, At(0));
  throttle.Spend(100'000, At(0));
  throttle.SetRate(1'000'000, At(0));
  EXPECT_LE(throttle.full_at(), At(201));
  throttle.SetRate(0, At(0));
  EXPECT_FALSE(throttle.is_limited());
  throttle.SetRate(1000, At(0));
  EXPECT_EQ(throttle.Available(At(0)), 0);
}

TEST(ByteThrottleTest, WhatWasNotNeededIsGivenBack) {
  ByteThrottle throttle;
  throttle.SetRate(1000, At(0));
  throttle.Spend(100, At(100));
  throttle.Spend(-60, At(100));
  EXPECT_EQ(throttle.Available(At(100)), 60);
  throttle.Spend(-1000, At(100));
  EXPECT_EQ(throttle.Available(At(100)), 100) << "not more than can be saved up";
}

}  // namespace
}  // namespace millrace
