#include "broker/replication/follower_streams.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/sim/sim_executor.h"
#include "broker/replication/shard_index.h"
#include "broker/replication/testing/fake_replica_port.h"
#include "broker/replication/testing/memory_replica_network.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::broker {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

// The leader's end of one stream, in the test's hands.
struct HandLeader : LeaderSink {
  void OnMessage(FollowerMessage message) override { messages.push_back(std::move(message)); }
  void OnWritable() override {}
  void OnClosed() override { closed = true; }

  FollowerHello hello;
  std::shared_ptr<LeaderStream> stream;
  std::vector<FollowerMessage> messages;
  bool closed = false;
};

class FollowerStreamsTest : public ::testing::Test {
 protected:
  FollowerStreamsTest() {
    FollowerStreams::Deps deps;
    deps.self = NodeId(2);
    deps.cluster_id = ClusterId(Uuid(7, 7));
    deps.executor = shard_.get();
    deps.channel = channel_.get();
    deps.replicas = &port_;
    deps.listener = "INTERNAL";
    deps.window_bytes = 1000;
    streams_ = std::make_unique<FollowerStreams>(deps);
    port_.on_drain = [this] {
      while (streams_->Flush()) {
      }
    };
    Listen("host1:9093");
    Listen("host3:9093");
  }
  void Listen(const std::string& address) {
    network_.Listen(address,
                    {.executor_of = [this](const FollowerHello&) { return leader_.get(); },
                     .take_in =
                         [this](const FollowerHello& hello, std::shared_ptr<LeaderStream> stream) {
                           auto hand = std::make_shared<HandLeader>();
                           hand->hello = hello;
                           hand->stream = std::move(stream);
                           if (answers_)
                             hand->stream->Accept({hello.leader_shard % count_, count_});
                           hands_.push_back(hand);
                           return hand;
                         }});
  }
  template <class F>
  void Do(F call) {
    shard_->RunNow([&] {
      call();
      port_.Drain();
    });
    EXPECT_TRUE(loop_.RunUntilIdle());
  }
  static AttachTo Wish(int partition, uint64_t attach, int leader = 1) {
    AttachTo wish;
    wish.leader = NodeId(leader);
    wish.request.topic_partition = PartitionNumber(partition);
    wish.request.leader_epoch = LeaderEpoch(1);
    wish.request.attach = attach;
    return wish;
  }
  void Attach(int partition, uint64_t attach, int leader = 1) {
    Do([&] { streams_->Attach(Wish(partition, attach, leader)); });
  }
  void Tell(int partition, uint64_t attach, int64_t written,
            std::optional<Offset> log_start = std::nullopt) {
    PositionTo position;
    position.leader = NodeId(1);
    position.position.topic_partition = PartitionNumber(partition);
    position.position.leader_epoch = LeaderEpoch(1);
    position.position.attach = attach;
    position.position.position = {Offset(written), Offset(written)};
    position.position.log_start = log_start;
    streams_->Tell(position);
  }
  void Image(std::vector<std::pair<int, int>> brokers, int own_epoch = 20) {
    Do([&] { streams_->OnImage(ImageOf(brokers), BrokerEpoch(own_epoch)); });
  }
  void Push(HandLeader& hand, int partition, uint64_t attach, size_t bytes) {
    LeaderMessage message;
    OutgoingPush& out = message.pushes.emplace_back();
    out.push.topic_partition = PartitionNumber(partition);
    out.push.leader_epoch = LeaderEpoch(1);
    out.push.attach = attach;
    if (bytes > 0) out.pieces = {Bytes::FromString(std::string(bytes, 'x'))};
    leader_->RunNow([&] { hand.stream->Send(std::move(message)); });
    EXPECT_TRUE(loop_.RunUntilIdle());
  }

  sim::SimLoop loop_{1};
  std::unique_ptr<sim::SimExecutor> shard_ = loop_.MakeExecutor("shard");
  std::unique_ptr<sim::SimExecutor> leader_ = loop_.MakeExecutor("leader");
  MemoryReplicaNetwork network_;
  std::unique_ptr<ReplicaChannel> channel_ = network_.MakeChannel();
  FakeReplicaPort port_;
  std::vector<std::shared_ptr<HandLeader>> hands_;
  bool answers_ = true;
  int count_ = 1;
  std::unique_ptr<FollowerStreams> streams_;
};

TEST_F(FollowerStreamsTest, OneStreamCarriesAllPartitionsOfALeadersShard) {
  Image({{1, 10}, {2, 20}, {3, 30}});
  Do([&] {
    streams_->Attach(Wish(0, 1));
    streams_->Attach(Wish(1, 1));
    streams_->Attach(Wish(2, 1, 3));
  });
  ASSERT_EQ(hands_.size(), 2U);
  EXPECT_EQ(network_.opened, 2);
  for (const auto& hand : hands_) {
    ASSERT_EQ(hand->messages.size(), 1U);
    EXPECT_EQ(hand->messages[0].attaches.size(), hand->hello.leader == NodeId(1) ? 2U : 1U);
  }
  const auto& hello = hands_[0]->hello.leader == NodeId(1) ? hands_[0]->hello : hands_[1]->hello;
  EXPECT_EQ(hello.follower, (FollowerId{NodeId(2), BrokerEpoch(20)}));
  EXPECT_EQ(hello.leader_epoch, BrokerEpoch(10));
  EXPECT_EQ(hello.cluster_id, ClusterId(Uuid(7, 7)));
  EXPECT_EQ(hello.window_bytes, 1000);
}

TEST_F(FollowerStreamsTest, PartitionsGoToTheShardThatOwnsThemAtTheLeader) {
  count_ = 3;
  Image({{1, 10}, {2, 20}});
  Do([&] {
    for (int i = 0; i < 6; ++i) streams_->Attach(Wish(i, 1));
  });
  ASSERT_EQ(hands_.size(), 3U);
  for (const auto& hand : hands_) {
    for (const FollowerMessage& message : hand->messages) {
      for (const AttachRequest& attach : message.attaches) {
        EXPECT_EQ(ShardIndexOf(attach.topic_partition, 3), hand->hello.leader_shard);
      }
    }
  }
}

TEST_F(FollowerStreamsTest, NothingIsSentBeforeTheLeaderHasAnswered) {
  answers_ = false;
  Image({{1, 10}, {2, 20}});
  Attach(0, 1);
  ASSERT_EQ(hands_.size(), 1U);
  EXPECT_THAT(hands_[0]->messages, IsEmpty());
  leader_->RunNow([&] { hands_[0]->stream->Accept({0, 1}); });
  EXPECT_TRUE(loop_.RunUntilIdle());
  EXPECT_EQ(hands_[0]->messages.size(), 1U);
}

TEST_F(FollowerStreamsTest, NobodyIsFollowedBeforeThisBrokerIsRegistered) {
  Image({{1, 10}, {2, 20}}, kNoBrokerEpoch.value());
  Attach(0, 1);
  EXPECT_THAT(hands_, IsEmpty());
  EXPECT_THAT(port_.said, ElementsAre("detached p0 #1 BROKER_NOT_AVAILABLE"));
}

TEST_F(FollowerStreamsTest, ALeaderThatTheMetadataDoesNotKnowIsNotAvailable) {
  Image({{2, 20}});
  Attach(0, 1);
  EXPECT_THAT(port_.said, ElementsAre("detached p0 #1 BROKER_NOT_AVAILABLE"));
}

TEST_F(FollowerStreamsTest, ABrokenStreamIsADetachOfEachOfItsPartitions) {
  Image({{1, 10}, {2, 20}});
  Attach(0, 1);
  Attach(1, 1);
  network_.StopListening("host1:9093");
  EXPECT_TRUE(loop_.RunUntilIdle());
  EXPECT_THAT(port_.TakeSaid(), ElementsAre("detached p0 #1 BROKER_NOT_AVAILABLE",
                                            "detached p1 #1 BROKER_NOT_AVAILABLE"));
  EXPECT_EQ(streams_->stream_count(), 0U);
  Attach(0, 2);
  EXPECT_THAT(port_.said, ElementsAre("detached p0 #2 BROKER_NOT_AVAILABLE"));
}

TEST_F(FollowerStreamsTest, S14_ALeaderThatRegisteredAgainHasItsStreamClosed) {
  Image({{1, 10}, {2, 20}});
  Attach(0, 1);
  Image({{1, 40}, {2, 20}});
  EXPECT_THAT(port_.said, ElementsAre("detached p0 #1 STALE_BROKER_EPOCH"));
  EXPECT_TRUE(hands_[0]->closed);
  Attach(0, 2);
  ASSERT_EQ(hands_.size(), 2U);
  EXPECT_EQ(hands_[1]->hello.leader_epoch, BrokerEpoch(40));
}

TEST_F(FollowerStreamsTest, S14_OwnRegistrationClosesAllStreams) {
  Image({{1, 10}, {2, 20}});
  Attach(0, 1);
  Image({{1, 10}, {2, 50}}, 50);
  EXPECT_TRUE(hands_[0]->closed);
  EXPECT_THAT(port_.said, ElementsAre("detached p0 #1 STALE_BROKER_EPOCH"));
}

TEST_F(FollowerStreamsTest, CreditComesBackWhenTheLogHasWrittenIt) {
  Image({{1, 10}, {2, 20}});
  Attach(0, 1);
  hands_[0]->messages.clear();
  port_.log = {Offset(5), Offset(0)};
  Push(*hands_[0], 0, 1, 100);
  port_.log = {Offset(9), Offset(0)};
  Push(*hands_[0], 0, 1, 50);
  EXPECT_THAT(hands_[0]->messages, IsEmpty());
  Do([&] { Tell(0, 1, 5); });
  ASSERT_EQ(hands_[0]->messages.size(), 1U);
  EXPECT_EQ(hands_[0]->messages[0].credit_bytes, 100);
  Do([&] { Tell(0, 1, 9); });
  ASSERT_EQ(hands_[0]->messages.size(), 2U);
  EXPECT_EQ(hands_[0]->messages[1].credit_bytes, 50);
}

TEST_F(FollowerStreamsTest, CreditOfPushesThatTheLogDidNotTakeComesBackToo) {
  Image({{1, 10}, {2, 20}});
  Attach(0, 1);
  hands_[0]->messages.clear();
  // A quarter of the window is told without a position to ride with.
  Push(*hands_[0], 0, 1, 300);
  ASSERT_EQ(hands_[0]->messages.size(), 1U);
  EXPECT_EQ(hands_[0]->messages[0].credit_bytes, 300);
  // Of an earlier attach: not even shown to the replica.
  port_.TakeSaid();
  Push(*hands_[0], 0, 7, 400);
  EXPECT_THAT(port_.said, IsEmpty());
  EXPECT_EQ(hands_[0]->messages[1].credit_bytes, 400);
}

TEST_F(FollowerStreamsTest, OfSeveralPositionsTheNewestIsSent) {
  Image({{1, 10}, {2, 20}});
  Attach(0, 1);
  Attach(1, 1);
  hands_[0]->messages.clear();
  Do([&] {
    Tell(0, 1, 5, Offset(3));
    Tell(1, 1, 7);
    Tell(0, 1, 6);
    // Of an attach that is over.
    Tell(0, 9, 8);
  });
  ASSERT_EQ(hands_[0]->messages.size(), 1U);
  const FollowerMessage& message = hands_[0]->messages[0];
  ASSERT_EQ(message.positions.size(), 2U);
  EXPECT_EQ(message.positions[0].position.written, Offset(6));
  EXPECT_EQ(message.positions[0].log_start, Offset(3)) << "it is told once only";
  EXPECT_EQ(message.positions[1].position.written, Offset(7));
  Do([&] { Tell(0, 1, 9); });
  ASSERT_EQ(hands_[0]->messages.size(), 2U);
}

TEST_F(FollowerStreamsTest, AReplicaThatGoesElsewhereLeavesTheStreamAndTheLastOneEndsIt) {
  Image({{1, 10}, {2, 20}, {3, 30}});
  Attach(0, 1);
  Attach(0, 2, 3);
  ASSERT_EQ(hands_.size(), 2U);
  EXPECT_TRUE(hands_[0]->closed);
  EXPECT_FALSE(hands_[1]->closed);
  DetachTo detach;
  detach.peer = NodeId(3);
  detach.detach.topic_partition = PartitionNumber(0);
  detach.detach.leader_epoch = LeaderEpoch(1);
  detach.detach.attach = 2;
  detach.detach.status = MakeError(ErrorCode::kStorageError, "gone");
  Do([&] { streams_->Detach(detach); });
  EXPECT_TRUE(hands_[1]->closed);
  EXPECT_EQ(streams_->stream_count(), 0U);
}

TEST_F(FollowerStreamsTest, WhoeverDetachesWithDamageIsHeardBeforeTheStreamEnds_S35) {
  Image({{1, 10}, {2, 20}});
  Attach(0, 1);
  hands_[0]->messages.clear();
  DetachTo detach;
  detach.peer = NodeId(1);
  detach.detach.topic_partition = PartitionNumber(0);
  detach.detach.leader_epoch = LeaderEpoch(1);
  detach.detach.attach = 1;
  detach.detach.status = MakeError(ErrorCode::kCorruptLog, "damaged");
  Do([&] { streams_->Detach(detach); });
  ASSERT_EQ(hands_[0]->messages.size(), 1U);
  EXPECT_EQ(hands_[0]->messages[0].detaches.size(), 1U);
  EXPECT_FALSE(hands_[0]->closed);
  // It is used again, or else ends when the metadata moves on.
  Attach(0, 2);
  EXPECT_EQ(hands_.size(), 1U);
  detach.detach.attach = 2;
  Do([&] { streams_->Detach(detach); });
  EXPECT_EQ(streams_->stream_count(), 1U);
  Image({{1, 10}, {2, 20}});
  EXPECT_TRUE(hands_[0]->closed);
  EXPECT_EQ(streams_->stream_count(), 0U);
}

TEST_F(FollowerStreamsTest, ADetachIsToldToTheLeaderWhileOthersStay) {
  Image({{1, 10}, {2, 20}});
  Attach(0, 1);
  Attach(1, 1);
  hands_[0]->messages.clear();
  DetachTo detach;
  detach.peer = NodeId(1);
  detach.detach.topic_partition = PartitionNumber(0);
  detach.detach.leader_epoch = LeaderEpoch(1);
  detach.detach.attach = 9;
  detach.detach.status = MakeError(ErrorCode::kStorageError, "gone");
  Do([&] { streams_->Detach(detach); });
  // Of another attach.
  EXPECT_THAT(hands_[0]->messages, IsEmpty());
  detach.detach.attach = 1;
  Do([&] { streams_->Detach(detach); });
  ASSERT_EQ(hands_[0]->messages.size(), 1U);
  EXPECT_EQ(hands_[0]->messages[0].detaches.size(), 1U);
}

TEST_F(FollowerStreamsTest, WhatTheLeaderSaysReachesTheReplicasInOrder) {
  Image({{1, 10}, {2, 20}});
  Attach(0, 4);
  LeaderMessage message;
  AttachReply& reply = message.replies.emplace_back();
  reply.topic_partition = PartitionNumber(0);
  reply.attach = 4;
  OutgoingPush& push = message.pushes.emplace_back();
  push.push.topic_partition = PartitionNumber(0);
  push.push.attach = 4;
  push.push.base_offset = Offset(3);
  push.push.high_watermark = Offset(2);
  push.pieces = {Bytes::FromString("abc")};
  ReplicaDetach& detach = message.detaches.emplace_back();
  detach.topic_partition = PartitionNumber(0);
  detach.leader_epoch = LeaderEpoch(1);
  detach.attach = 4;
  detach.status = MakeError(ErrorCode::kNotLeaderOrFollower, "moved");
  leader_->RunNow([&] { hands_[0]->stream->Send(message); });
  EXPECT_TRUE(loop_.RunUntilIdle());
  EXPECT_THAT(port_.said, ElementsAre("reply p0 #4", "push p0 #4 @3 3 hw 2",
                                      "detached p0 #4 NOT_LEADER_OR_FOLLOWER"));
}

TEST_F(FollowerStreamsTest, ClosedStreamsTellNobody) {
  Image({{1, 10}, {2, 20}});
  Attach(0, 1);
  Do([&] { streams_->Close(); });
  EXPECT_THAT(port_.said, IsEmpty());
  EXPECT_TRUE(hands_[0]->closed);
}

TEST_F(FollowerStreamsTest, S33_AQuestionIsAnsweredWithThePositionsOfAll) {
  Image({{1, 10}, {2, 20}});
  Attach(0, 1);
  Attach(1, 2);
  ASSERT_EQ(hands_.size(), 1U);
  HandLeader& hand = *hands_[0];
  hand.messages.clear();
  port_.TakeSaid();
  // What the replicas would do.
  port_.on_asked = [this](const TopicPartition& partition) {
    if (partition == PartitionNumber(0)) Tell(0, 1, 7);
  };
  LeaderMessage question;
  question.asks = true;
  leader_->RunNow([&] { hand.stream->Send(question); });
  EXPECT_TRUE(loop_.RunUntilIdle());
  EXPECT_THAT(port_.TakeSaid(), ElementsAre("asked p0 ", "asked p1 "));
  ASSERT_EQ(hand.messages.size(), 1U);
  EXPECT_TRUE(hand.messages[0].confirms);
  ASSERT_EQ(hand.messages[0].positions.size(), 1U) << "partition 1 is followed no more";
  EXPECT_EQ(hand.messages[0].positions[0].position.written, Offset(7));
}

}  // namespace
}  // namespace millrace::broker
