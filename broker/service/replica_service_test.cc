#include "broker/service/replica_service.h"

#include "broker/service/testing/replica_wire.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::broker {
namespace {

TEST(ReplicaServiceTest, TheBrokerHearsOfAStreamOnItsShardWhereverItArrived) {
  ReplicaWire wire;
  for (int i = 0; i < 4; ++i) {
    const auto follower = wire.Open();
    ASSERT_TRUE(wire.AwaitFollower([&] { return follower->hello.has_value(); }));
  }
  wire.OnLeader([&] {
    ASSERT_EQ(wire.leaders.size(), 4U);
    EXPECT_EQ(wire.leaders[0]->hello, SampleFollowerHello());
  });
  wire.OnFollower([&] {
    for (const auto& stream : wire.streams) stream->Send(SampleFollowerMessage());
  });
  EXPECT_TRUE(wire.AwaitLeader([&] {
    for (const auto& leader : wire.leaders) {
      if (leader->messages.size() != 1) return false;
      EXPECT_EQ(leader->messages[0], SampleFollowerMessage());
    }
    return true;
  }));
}

// The disk that hangs has what was produced to it: partitions on the others go on.
TEST(ReplicaServiceTest, S37_AFollowerIsHeardWhileProducersWaitForMemory) {
  ReplicaWire wire;
  const Reservation hung = wire.inbound.ReserveAlways(wire.inbound.limit_bytes());
  const auto follower = wire.Open();
  ASSERT_TRUE(wire.AwaitFollower([&] { return follower->hello.has_value(); }));
  wire.OnFollower([&] { wire.streams[0]->Send(SampleFollowerMessage()); });
  EXPECT_TRUE(wire.AwaitLeader([&] { return wire.leaders[0]->messages.size() == 1; }));
  EXPECT_OK(wire.ReadRange(RangeQuery()).status());
}

TEST(ReplicaServiceTest, ARefusalReachesTheFollower) {
  ReplicaWire wire;
  wire.accepts = false;
  const auto follower = wire.Open();
  ASSERT_TRUE(wire.AwaitLeader([&] { return wire.leaders.size() == 1; }));
  wire.OnLeader([&] {
    wire.leaders[0]->stream->Close(MakeError(ErrorCode::kStaleBrokerEpoch, "an earlier run"));
  });
  ASSERT_TRUE(wire.AwaitFollower([&] { return follower->closed.has_value(); }));
  EXPECT_EQ(CodeOf(*follower->closed), ErrorCode::kStaleBrokerEpoch);
  EXPECT_FALSE(follower->hello.has_value());
  EXPECT_TRUE(wire.AwaitLeader([&] { return wire.leaders[0]->closed; }));
}

TEST(ReplicaServiceTest, AFollowerThatGoesIsToldToTheShard) {
  ReplicaWire wire;
  wire.Open();
  ASSERT_TRUE(wire.AwaitLeader([&] { return wire.leaders.size() == 1; }));
  wire.OnFollower([&] { wire.streams.clear(); });
  EXPECT_TRUE(wire.AwaitLeader([&] { return wire.leaders[0]->closed; }));
}

TEST(ReplicaServiceTest, AStreamThatIsFullSaysWhenItTakesMore) {
  ReplicaWire wire;
  const auto follower = wire.Open();
  ASSERT_TRUE(wire.AwaitLeader([&] { return wire.leaders.size() == 1; }));
  int sent = 0;
  wire.OnLeader([&] {
    LeaderStream& stream = *wire.leaders[0]->stream;
    const Bytes large = Bytes::FromString(std::string(256 << 10, 'x'));
    for (; stream.writable(); ++sent) {
      LeaderMessage message;
      message.pushes.push_back(SamplePush({large}, sent));
      stream.Send(std::move(message));
    }
  });
  EXPECT_TRUE(wire.AwaitLeader([&] { return wire.leaders[0]->writable > 0; }));
  EXPECT_TRUE(
      wire.AwaitFollower([&] { return follower->messages.size() == static_cast<size_t>(sent); }));
}

}  // namespace
}  // namespace millrace::broker
