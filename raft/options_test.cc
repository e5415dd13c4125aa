#include "raft/options.h"

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::raft {
namespace {

TEST(Options, TheDefaultsAreValid) { EXPECT_OK(Options().Validate()); }

TEST(Options, ATimeoutWithoutJitterIsRefusedByName) {
  Options options;
  options.election_timeout_max = options.election_timeout_min;
  EXPECT_THAT(options.Validate(), IsError(ErrorCode::kInvalidConfig, "election_timeout"));
}

TEST(Options, AHeartbeatThatMayNotBeLostTwiceIsRefused) {
  Options options;
  options.heartbeat_interval = options.election_timeout_min / 2;
  EXPECT_THAT(options.Validate(), IsError(ErrorCode::kInvalidConfig, "heartbeat_interval"));
}

TEST(Options, ALogThatCouldBeFullForEverIsRefused) {
  Options options;
  options.log_bytes_max = options.uncommitted_bytes_max;
  EXPECT_THAT(options.Validate(), IsError(ErrorCode::kInvalidConfig, "log_bytes_max"));
}

TEST(Options, ABoundOfNothingIsRefused) {
  Options options;
  options.window_messages_max = 0;
  EXPECT_THAT(options.Validate(), IsError(ErrorCode::kInvalidConfig, "window_messages_max"));
}

}  // namespace
}  // namespace millrace::raft
