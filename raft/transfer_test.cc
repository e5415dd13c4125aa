#include "raft/transfer.h"

#include "gtest/gtest.h"
#include "raft/testing/test_node.h"

namespace millrace::raft {
namespace {

using testing::V;

TEST(Transfer, TheTargetIsToldWhenItHasTheWholeLog) {
  Transfer transfer;
  EXPECT_FALSE(transfer.TakeTimeoutNow(LogIndex(5), LogIndex(5)));
  transfer.Begin(V(2), MonotonicTime::FromNanos(100));
  EXPECT_FALSE(transfer.TakeTimeoutNow(LogIndex(4), LogIndex(5)));
  EXPECT_TRUE(transfer.TakeTimeoutNow(LogIndex(5), LogIndex(5)));
  EXPECT_FALSE(transfer.TakeTimeoutNow(LogIndex(5), LogIndex(5)));
  transfer.OnHeartbeatDue();
  EXPECT_TRUE(transfer.TakeTimeoutNow(LogIndex(5), LogIndex(5)));
}

TEST(Transfer, IsGivenUpAtItsDeadline) {
  Transfer transfer;
  transfer.Begin(V(2), MonotonicTime::FromNanos(100));
  transfer.Tick(MonotonicTime::FromNanos(99));
  EXPECT_TRUE(transfer.active());
  transfer.Tick(MonotonicTime::FromNanos(100));
  EXPECT_FALSE(transfer.active());
  EXPECT_EQ(transfer.deadline(), MonotonicTime::Never());
}

}  // namespace
}  // namespace millrace::raft
