#include "rpc/connection_limits.h"

#include "gtest/gtest.h"

namespace millrace::rpc {
namespace {

using Verdict = ConnectionLimits::Verdict;

const MonotonicTime kStart = MonotonicTime::FromNanos(1'000'000'000'000);

TEST(ConnectionLimits, RefusesAboveTheTotal) {
  ConnectionLimits limits({.connections_max = 2});
  EXPECT_EQ(limits.Admit("a", kStart), Verdict::kAdmitted);
  EXPECT_EQ(limits.Admit("b", kStart), Verdict::kAdmitted);
  EXPECT_EQ(limits.Admit("c", kStart), Verdict::kTooMany);
  limits.Closed("a");
  EXPECT_EQ(limits.Admit("c", kStart), Verdict::kAdmitted);
  EXPECT_EQ(limits.open_connections(), 2);
}

TEST(ConnectionLimits, RefusesAboveTheLimitPerAddress) {
  ConnectionLimits limits({.connections_per_address_max = 1});
  EXPECT_EQ(limits.Admit("a", kStart), Verdict::kAdmitted);
  EXPECT_EQ(limits.Admit("a", kStart), Verdict::kTooManyOfAddress);
  EXPECT_EQ(limits.Admit("b", kStart), Verdict::kAdmitted);
  limits.Closed("a");
  EXPECT_EQ(limits.Admit("a", kStart), Verdict::kAdmitted);
}

TEST(ConnectionLimits, WhatIsExemptIsCountedAndNeverRefusedNorSpendsACreation) {
  ConnectionLimits limits(
      {.connections_max = 2, .connections_per_address_max = 1, .creations_per_second_max = 2});
  EXPECT_EQ(limits.Admit("a", kStart), Verdict::kAdmitted);
  for (int i = 0; i < 3; ++i) limits.AdmitExempt("a");
  EXPECT_EQ(limits.open_connections(), 4);
  EXPECT_LE(limits.NextCreation(kStart), kStart);
  EXPECT_EQ(limits.Admit("b", kStart), Verdict::kTooMany);
  for (int i = 0; i < 3; ++i) limits.Closed("a");
  EXPECT_EQ(limits.Admit("b", kStart), Verdict::kAdmitted);
}

TEST(ConnectionLimits, NoRateMeansNoWaiting) {
  ConnectionLimits limits({});
  for (int i = 0; i < 10'000; ++i) {
    EXPECT_LE(limits.NextCreation(kStart), kStart);
    limits.Admit("a", kStart);
  }
}

TEST(ConnectionLimits, RateAllowsABurstOfOneSecondAndThenDelays) {
  ConnectionLimits limits({.creations_per_second_max = 10});
  for (int i = 0; i < 10; ++i) {
    EXPECT_LE(limits.NextCreation(kStart), kStart);
    limits.Admit("a", kStart);
  }
  const MonotonicTime next = limits.NextCreation(kStart);
  EXPECT_GT(next, kStart + absl::Milliseconds(99));
  EXPECT_LT(next, kStart + absl::Milliseconds(101));
  // He who waits until then is let in.
  EXPECT_LE(limits.NextCreation(next), next);
}

TEST(ConnectionLimits, OverAnyTimeNoMoreThanTheRateAndOneBurst) {
  ConnectionLimits limits({.creations_per_second_max = 7});
  MonotonicTime now = kStart;
  int admitted = 0;
  while (now < kStart + absl::Seconds(10)) {
    if (limits.NextCreation(now) <= now) {
      limits.Admit("a", now);
      ++admitted;
    }
    now = now + absl::Milliseconds(1);
  }
  EXPECT_LE(admitted, 77);
  EXPECT_GE(admitted, 76);
}

TEST(ConnectionLimits, FractionalRateStillLetsOneIn) {
  ConnectionLimits limits({.creations_per_second_max = 0.5});
  EXPECT_LE(limits.NextCreation(kStart), kStart);
  limits.Admit("a", kStart);
  EXPECT_GT(limits.NextCreation(kStart), kStart + absl::Milliseconds(1990));
  EXPECT_LE(limits.NextCreation(kStart + absl::Milliseconds(2001)),
            kStart + absl::Milliseconds(2001));
}

}  // namespace
}  // namespace millrace::rpc
