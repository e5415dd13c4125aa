#include "client/connect_time.h"

#include <set>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::client {
namespace {

TEST(ConnectTime, GrowsUpToTheMost) {
  ConnectTime time(3, absl::Minutes(10));
  std::vector<absl::Duration> times = {time.max()};
  while (time.GrowWithin(absl::Minutes(1))) times.push_back(time.max());
  EXPECT_THAT(times,
              testing::ElementsAre(absl::Milliseconds(500), absl::Seconds(1), absl::Seconds(2),
                                   absl::Seconds(4), absl::Seconds(8), absl::Seconds(10)));
  time.Reset();
  EXPECT_EQ(time.max(), absl::Milliseconds(500));
}

TEST(ConnectTime, LeavesTheAnswerItsTime) {
  ConnectTime time(3, absl::Seconds(10));
  EXPECT_FALSE(time.GrowWithin(absl::Milliseconds(1249)));
  EXPECT_TRUE(time.GrowWithin(absl::Milliseconds(1250)));
  EXPECT_EQ(time.max(), absl::Seconds(1));
}

// Each is another channel to each server, while somebody answers.
TEST(ConnectTime, TimesAreFewWhateverIsLeftUntilTheDeadline) {
  std::set<absl::Duration> times;
  ConnectTime time(3, absl::Seconds(60));
  for (int left_ms = 0; left_ms < 20'000; left_ms += 7) {
    while (time.GrowWithin(absl::Milliseconds(left_ms))) times.insert(time.max());
    time.Reset();
  }
  EXPECT_EQ(times.size(), 5u);
}

TEST(ConnectTime, TheOnlyServerHasItAllAtOnce) {
  ConnectTime time(1, absl::Seconds(5));
  EXPECT_EQ(time.max(), absl::Seconds(4));
  EXPECT_FALSE(time.GrowWithin(absl::Seconds(1)));
  EXPECT_EQ(ConnectTime(1, absl::Minutes(1)).max(), absl::Seconds(10));
  EXPECT_EQ(ConnectTime(1, absl::ZeroDuration()).max(), absl::Milliseconds(500));
}

}  // namespace
}  // namespace millrace::client
