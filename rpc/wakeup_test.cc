#include "rpc/wakeup.h"

#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::rpc {
namespace {

TEST(Wakeup, SignalBeforeTheWaitIsRememberedOnce) {
  Wakeup wakeup;
  wakeup.Signal();
  wakeup.Signal();
  EXPECT_TRUE(wakeup.WaitFor(absl::ZeroDuration()));
  EXPECT_FALSE(wakeup.WaitFor(absl::ZeroDuration()));
}

TEST(Wakeup, SignalFromAnotherThreadEndsAnEndlessWait) {
  Wakeup wakeup;
  std::thread other([&] { wakeup.Signal(); });
  EXPECT_TRUE(wakeup.WaitFor(absl::InfiniteDuration()));
  other.join();
}

TEST(Wakeup, NegativeTimeoutDoesNotWait) {
  Wakeup wakeup;
  EXPECT_FALSE(wakeup.WaitFor(-absl::InfiniteDuration()));
}

}  // namespace
}  // namespace millrace::rpc
