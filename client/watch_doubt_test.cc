#include "client/watch_doubt.h"

#include "gtest/gtest.h"

namespace millrace::client {
namespace {

constexpr MonotonicTime kStart = MonotonicTime::FromNanos(1'000'000'000'000);

TEST(WatchDoubt, IsConfirmedOnceIfNothingIsPushedInTime) {
  WatchDoubt doubt(absl::Seconds(1));
  EXPECT_EQ(doubt.deadline(), MonotonicTime::Never());
  doubt.Raise(kStart);
  EXPECT_EQ(doubt.deadline(), kStart + absl::Seconds(1));
  EXPECT_FALSE(doubt.TakeConfirmed(kStart + absl::Milliseconds(999)));
  EXPECT_TRUE(doubt.TakeConfirmed(kStart + absl::Seconds(1)));
  EXPECT_FALSE(doubt.TakeConfirmed(kStart + absl::Seconds(9)));
  EXPECT_EQ(doubt.deadline(), MonotonicTime::Never());
}

TEST(WatchDoubt, FurtherReasonsDoNotPutItOffAndAPushEndsIt) {
  WatchDoubt doubt(absl::Seconds(1));
  doubt.Raise(kStart);
  doubt.Raise(kStart + absl::Milliseconds(900));
  EXPECT_EQ(doubt.deadline(), kStart + absl::Seconds(1));
  doubt.End();
  EXPECT_FALSE(doubt.TakeConfirmed(kStart + absl::Seconds(2)));
}

}  // namespace
}  // namespace millrace::client
