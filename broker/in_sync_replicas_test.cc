#include "broker/in_sync_replicas.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::broker {
namespace {

constexpr NodeId kA{1}, kB{2}, kC{3};

TEST(InSyncReplicas, PositionIsTheSmallestOverTheMaximalSet_S15) {
  InSyncReplicas isr(kA);
  isr.Reset({kA, kB});
  isr.SetPosition(kA, {Offset(30), Offset(20)});
  EXPECT_EQ(isr.MinPosition(true), std::nullopt) << "B has not said where it is";
  isr.SetPosition(kB, {Offset(25), Offset(25)});
  EXPECT_EQ(isr.MinPosition(true), Offset(20));
  EXPECT_EQ(isr.MinPosition(false), Offset(25));
  isr.SetProposed(metadata::BrokerList{kA, kB, kC});
  EXPECT_EQ(isr.MinPosition(true), std::nullopt);
  isr.SetPosition(kC, {Offset(10), Offset(10)});
  EXPECT_EQ(isr.MinPosition(true), Offset(10)) << "the proposed member counts for positions";
  EXPECT_TRUE(isr.HasMin(2));
  EXPECT_FALSE(isr.HasMin(3)) << "but not for min.insync.replicas";
}

TEST(InSyncReplicas, ANewEpochForgetsWhatFollowersSaid_S14) {
  InSyncReplicas isr(kA);
  isr.Reset({kA, kB});
  isr.SetPosition(kA, {Offset(30), Offset(30)});
  isr.SetPosition(kB, {Offset(25), Offset(25)});
  isr.Reset({kA, kB});
  EXPECT_EQ(isr.MinPosition(true), std::nullopt);
  EXPECT_EQ(isr.own().durable, Offset(30)) << "the own position is known";
}

}  // namespace
}  // namespace millrace::broker
