#include "broker/service/grpc_replica_channel.h"

#include "broker/service/testing/replica_wire.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::broker {
namespace {

TEST(GrpcReplicaChannelTest, WhatTheLeaderSaysComesAsItWasInMemoryThatALogMayOwn) {
  ReplicaWire wire;
  const auto follower = wire.Open();
  ASSERT_TRUE(wire.AwaitLeader([&] { return wire.leaders.size() == 1; }));
  wire.OnLeader([&] { wire.leaders[0]->stream->Send(SampleLeaderMessage()); });
  ASSERT_TRUE(wire.AwaitFollower([&] { return follower->messages.size() == 1; }));
  EXPECT_EQ(follower->hello, (LeaderHello{0, 2}));
  EXPECT_EQ(follower->messages[0], AsReceived(SampleLeaderMessage()));
  for (ReplicaPush& push : follower->messages[0].pushes) {
    const bool has_batches = !push.batches.empty();
    EXPECT_EQ(Buffer::Reclaim(&push.batches).has_value(), has_batches);
  }
}

TEST(GrpcReplicaChannelTest, ABatchMayBeLargerThanAnyMessageOfAClient) {
  ReplicaWire wire;
  const auto follower = wire.Open();
  ASSERT_TRUE(wire.AwaitLeader([&] { return wire.leaders.size() == 1; }));
  LeaderMessage message;
  message.pushes.push_back(SamplePush({Bytes::FromString(std::string(70 << 20, 'x'))}));
  wire.OnLeader([&] { wire.leaders[0]->stream->Send(std::move(message)); });
  ASSERT_TRUE(wire.AwaitFollower([&] { return follower->messages.size() == 1; }));
  EXPECT_EQ(follower->messages[0].pushes[0].batches.size(), size_t{70} << 20);
}

TEST(GrpcReplicaChannelTest, WhereNobodyListensTheStreamIsClosed) {
  ReplicaWire wire;
  const auto follower = wire.Open("127.0.0.1:1");
  ASSERT_TRUE(wire.AwaitFollower([&] { return follower->closed.has_value(); }));
  EXPECT_EQ(CodeOf(*follower->closed), ErrorCode::kBrokerNotAvailable);
}

TEST(GrpcReplicaChannelTest, ALeaderThatGoesIsTold) {
  ReplicaWire wire;
  const auto follower = wire.Open();
  ASSERT_TRUE(wire.AwaitFollower([&] { return follower->hello.has_value(); }));
  wire.StopServer();
  ASSERT_TRUE(wire.AwaitFollower([&] { return follower->closed.has_value(); }));
  EXPECT_FALSE(follower->closed->ok());
}

TEST(GrpcReplicaChannelTest, AnEndedStreamTellsNobody) {
  ReplicaWire wire;
  const auto follower = wire.Open();
  ASSERT_TRUE(wire.AwaitLeader([&] { return wire.leaders.size() == 1; }));
  wire.OnFollower([&] { wire.streams.clear(); });
  ASSERT_TRUE(wire.AwaitLeader([&] { return wire.leaders[0]->closed; }));
  wire.OnFollower([&] { EXPECT_FALSE(follower->closed.has_value()); });
}

TEST(GrpcReplicaChannelTest, AnythingBeforeTheHelloEndsTheStream) {
  ReplicaWire wire;
  wire.accepts = false;
  const auto follower = wire.Open();
  ASSERT_TRUE(wire.AwaitLeader([&] { return wire.leaders.size() == 1; }));
  wire.OnLeader([&] { wire.leaders[0]->stream->Send(SampleLeaderMessage()); });
  ASSERT_TRUE(wire.AwaitFollower([&] { return follower->closed.has_value(); }));
  EXPECT_EQ(CodeOf(*follower->closed), ErrorCode::kCorruptMessage);
  EXPECT_TRUE(follower->messages.empty());
}

}  // namespace
}  // namespace millrace::broker
