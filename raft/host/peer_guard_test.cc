#include "raft/host/peer_guard.h"

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::raft {
namespace {

using ::testing::HasSubstr;

const ClusterId kCluster(Uuid(7, 7));
const VoterId kSelf{NodeId(1), DirectoryId(Uuid(0, 1))};
const VoterId kPeer{NodeId(2), DirectoryId(Uuid(0, 2))};

Hello HelloOf(int64_t start_counter, uint64_t nonce) {
  Hello hello;
  hello.cluster_id = kCluster;
  hello.from = kPeer;
  hello.address = "peer:9093";
  hello.process = {start_counter, Uuid(0, nonce)};
  hello.to = kSelf.node;
  return hello;
}

class PeerGuardTest : public ::testing::Test {
 protected:
  PeerGuardTest() { guard_.SetClusterId(kCluster); }

  PeerGuard guard_{kSelf, {3, Uuid(0, 100)}};
};

TEST_F(PeerGuardTest, AcceptsAPeerOfTheClusterAgainAndAgain) {
  EXPECT_OK(guard_.Accept(HelloOf(5, 50)));
  EXPECT_OK(guard_.Accept(HelloOf(5, 50)));
  EXPECT_TRUE(guard_.IsCurrent(HelloOf(5, 50)));
}

TEST_F(PeerGuardTest, S17ANodeOnAnotherDirectoryIsAnotherVoter) {
  ASSERT_OK(guard_.Accept(HelloOf(5, 50)));
  Hello wiped = HelloOf(1, 60);
  wiped.from.directory = DirectoryId(Uuid(0, 22));
  EXPECT_OK(guard_.Accept(wiped));

  // Each stream speaks for its own voter only.
  Message message;
  message.from = kPeer;
  message.to = kSelf;
  EXPECT_TRUE(guard_.Fits(HelloOf(5, 50), message));
  EXPECT_FALSE(guard_.Fits(wiped, message));
}

TEST_F(PeerGuardTest, S17AMessageForThisNodesFormerDirectoryIsNotForThisVoter) {
  Message message;
  message.from = kPeer;
  message.to = {kSelf.node, DirectoryId(Uuid(0, 11))};
  EXPECT_FALSE(guard_.Fits(HelloOf(5, 50), message));
}

TEST_F(PeerGuardTest, S18RefusesAnotherCluster) {
  Hello hello = HelloOf(5, 50);
  hello.cluster_id = ClusterId(Uuid(8, 8));
  const absl::Status status = guard_.Accept(hello);
  EXPECT_EQ(CodeOf(status), ErrorCode::kInconsistentClusterId);
  EXPECT_THAT(status.message(), HasSubstr(kCluster.ToString()));
  EXPECT_THAT(status.message(), HasSubstr(hello.cluster_id.ToString()));
  EXPECT_FALSE(guard_.IsCurrent(hello));
}

TEST_F(PeerGuardTest, S18RefusesEveryoneBeforeItsOwnClusterIsKnown) {
  PeerGuard unfounded(kSelf, {});
  EXPECT_EQ(CodeOf(unfounded.Accept(HelloOf(5, 50))), ErrorCode::kNotController);
  Hello zero = HelloOf(5, 50);
  zero.cluster_id = ClusterId();
  EXPECT_EQ(CodeOf(unfounded.Accept(zero)), ErrorCode::kNotController);
}

TEST_F(PeerGuardTest, S18RefusesAStreamMeantForAnotherNode) {
  Hello hello = HelloOf(5, 50);
  hello.to = NodeId(3);
  EXPECT_EQ(CodeOf(guard_.Accept(hello)), ErrorCode::kInconsistentNodeId);
}

TEST_F(PeerGuardTest, S19RefusesASecondProcessUnderItsOwnId) {
  Hello twin = HelloOf(9, 90);
  twin.from = kSelf;
  const absl::Status status = guard_.Accept(twin);
  EXPECT_EQ(CodeOf(status), ErrorCode::kInconsistentNodeId);
  EXPECT_THAT(status.message(), HasSubstr("two processes are node 1"));

  Hello self = twin;
  self.process = {3, Uuid(0, 100)};
  EXPECT_THAT(guard_.Accept(self).message(), HasSubstr("talks to itself"));
}

TEST_F(PeerGuardTest, S19RefusesALowerStartCounter) {
  ASSERT_OK(guard_.Accept(HelloOf(5, 50)));
  const absl::Status status = guard_.Accept(HelloOf(4, 40));
  EXPECT_EQ(CodeOf(status), ErrorCode::kInconsistentNodeId);
  EXPECT_THAT(status.message(), HasSubstr("start 4, and start 5 was seen"));
  EXPECT_TRUE(guard_.IsCurrent(HelloOf(5, 50)));
}

TEST_F(PeerGuardTest, S19RefusesASecondNonceWithTheSameCounter) {
  ASSERT_OK(guard_.Accept(HelloOf(5, 50)));
  EXPECT_EQ(CodeOf(guard_.Accept(HelloOf(5, 51))), ErrorCode::kInconsistentNodeId);
  EXPECT_OK(guard_.Accept(HelloOf(5, 50)));
}

TEST_F(PeerGuardTest, S19AHigherCounterEndsTheFormerProcess) {
  ASSERT_OK(guard_.Accept(HelloOf(5, 50)));
  ASSERT_OK(guard_.Accept(HelloOf(6, 60)));
  EXPECT_FALSE(guard_.IsCurrent(HelloOf(5, 50)));
  EXPECT_TRUE(guard_.IsCurrent(HelloOf(6, 60)));
  EXPECT_EQ(CodeOf(guard_.Accept(HelloOf(5, 50))), ErrorCode::kInconsistentNodeId);
}

TEST_F(PeerGuardTest, RefusesAnUnknownVersion) {
  for (const int32_t version : {kMessageVersionMin - 1, kMessageVersionMax + 1}) {
    Hello hello = HelloOf(5, 50);
    hello.version = version;
    EXPECT_EQ(CodeOf(guard_.Accept(hello)), ErrorCode::kUnsupportedVersion);
  }
}

TEST_F(PeerGuardTest, ARefusalIsNewsOnceUntilThePeerWasAccepted) {
  EXPECT_TRUE(guard_.IsNews(kPeer, ErrorCode::kInconsistentNodeId));
  EXPECT_FALSE(guard_.IsNews(kPeer, ErrorCode::kInconsistentNodeId));
  EXPECT_TRUE(guard_.IsNews(kPeer, ErrorCode::kInconsistentClusterId));
  ASSERT_OK(guard_.Accept(HelloOf(5, 50)));
  EXPECT_TRUE(guard_.IsNews(kPeer, ErrorCode::kInconsistentNodeId));
}

TEST_F(PeerGuardTest, WhatItRemembersIsBoundedAndTheOldestGoesFirst) {
  auto numbered = [](size_t i) {
    Hello hello = HelloOf(5, 50);
    hello.from.directory = DirectoryId(Uuid(1, i));
    return hello;
  };
  for (size_t i = 0; i < PeerGuard::kRememberedMax; ++i) ASSERT_OK(guard_.Accept(numbered(i)));
  ASSERT_OK(guard_.Accept(numbered(0)));
  ASSERT_OK(guard_.Accept(numbered(PeerGuard::kRememberedMax)));
  EXPECT_TRUE(guard_.IsCurrent(numbered(0)));
  EXPECT_FALSE(guard_.IsCurrent(numbered(1)));
  EXPECT_TRUE(guard_.IsCurrent(numbered(2)));
  for (size_t i = 0; i <= PeerGuard::kRememberedMax; ++i) {
    EXPECT_TRUE(guard_.IsNews(numbered(i).from, ErrorCode::kInconsistentNodeId));
  }
}

TEST_F(PeerGuardTest, S20AVoterThatWasGivenUpIsRefusedByBothSides) {
  guard_.SetClusterId(kCluster, 1);
  Hello older = HelloOf(5, 50);
  EXPECT_THAT(guard_.Accept(older),
              IsError(ErrorCode::kInconsistentClusterId, "recovered without node 2"));
  EXPECT_FALSE(guard_.IsSupersededBy(older));
  Hello newer = HelloOf(5, 50);
  newer.generation = 2;
  EXPECT_THAT(guard_.Accept(newer),
              IsError(ErrorCode::kInconsistentClusterId, "recovered without node 1"));
  EXPECT_TRUE(guard_.IsSupersededBy(newer));
  newer.cluster_id = ClusterId(Uuid(77, 77));
  EXPECT_FALSE(guard_.IsSupersededBy(newer));
  newer = HelloOf(5, 50);
  newer.generation = 1;
  EXPECT_OK(guard_.Accept(newer));
}

TEST_F(PeerGuardTest, RemembersWhatTheNewestProcessOfAVoterKnows) {
  EXPECT_EQ(guard_.FeaturesOf(kPeer), nullptr);
  Hello hello = HelloOf(5, 50);
  hello.features = {1, 2, "0.1.0"};
  ASSERT_OK(guard_.Accept(hello));
  EXPECT_EQ(*guard_.FeaturesOf(kPeer), hello.features);
  hello = HelloOf(6, 60);
  hello.features = {1, 3, "0.2.0"};
  ASSERT_OK(guard_.Accept(hello));
  EXPECT_EQ(guard_.FeaturesOf(kPeer)->level_max, 3);
}

}  // namespace
}  // namespace millrace::raft
