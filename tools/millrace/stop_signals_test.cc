#include "tools/millrace/stop_signals.h"

#include <unistd.h>

#include <csignal>

#include "gtest/gtest.h"

namespace millrace::tools {
namespace {

TEST(StopSignals, OneIsNotedWakesWhoWaitsAndTheNextEndsTheProcess) {
  CatchStopSignals();
  EXPECT_FALSE(StopRequested());
  std::raise(SIGINT);
  EXPECT_TRUE(StopRequested());
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  // Nothing can ever be read from it.
  AwaitReadable(ends[0]);
  ::close(ends[0]);
  ::close(ends[1]);
  EXPECT_EXIT(std::raise(SIGINT), testing::KilledBySignal(SIGINT), "");
}

}  // namespace
}  // namespace millrace::tools
