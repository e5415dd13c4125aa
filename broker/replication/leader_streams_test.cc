#include "broker/replication/leader_streams.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/sim/sim_clock.h"
#include "base/sim/sim_executor.h"
#include "broker/replication/testing/fake_replica_port.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::broker {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// The network's side of one stream, in the test's hands.
struct HandStream : LeaderStream {
  void Accept(const LeaderHello& hello) override { accepted = hello; }
  void Send(LeaderMessage message) override { messages.push_back(std::move(message)); }
  bool writable() const override { return is_writable; }
  void Close(const absl::Status& status) override { closed = status; }

  // "p0@3:5": partition, base offset and bytes of each push since the last call.
  std::vector<std::string> TakePushes() {
    std::vector<std::string> pushes;
    for (const LeaderMessage& message : std::exchange(messages, {})) {
      for (const OutgoingPush& out : message.pushes) {
        size_t bytes = 0;
        for (const Bytes& piece : out.pieces) bytes += piece.size();
        pushes.push_back(absl::StrCat("p", out.push.topic_partition.partition.value(), "@",
                                      out.push.base_offset.value(), ":", bytes));
      }
    }
    return pushes;
  }

  std::optional<LeaderHello> accepted;
  std::vector<LeaderMessage> messages;
  bool is_writable = true;
  absl::Status closed;
};

class LeaderStreamsTest : public ::testing::Test {
 protected:
  LeaderStreamsTest() : clock_(loop_.time()) {
    shard_ = loop_.MakeExecutor("shard", &clock_);
    cold_ = loop_.MakeExecutor("cold", &clock_);
    LeaderStreams::Deps deps;
    deps.self = NodeId(1);
    deps.cluster_id = ClusterId(Uuid(7, 7));
    deps.shard = 0;
    deps.shard_count = 2;
    deps.executor = shard_.get();
    for (int i = 0; i < 3; ++i) port_.cold_reads[i] = cold_.get();
    deps.clock = &clock_;
    deps.replicas = &port_;
    streams_ = std::make_unique<LeaderStreams>(deps);
    port_.on_drain = [this] { streams_->Flush(); };
  }
  static FollowerHello Hello(int follower = 2, int epoch = 20) {
    FollowerHello hello;
    hello.cluster_id = ClusterId(Uuid(7, 7));
    hello.follower = {NodeId(follower), BrokerEpoch(epoch)};
    hello.leader = NodeId(1);
    hello.leader_epoch = BrokerEpoch(10);
    hello.window_bytes = 1000;
    return hello;
  }
  void Image(std::vector<std::pair<int, int>> brokers = {{1, 10}, {2, 20}}, int own_epoch = 10) {
    shard_->RunNow([&] {
      streams_->OnImage(ImageOf(brokers), BrokerEpoch(own_epoch));
      port_.Drain();
    });
  }
  std::shared_ptr<HandStream> Open(const FollowerHello& hello) {
    auto stream = std::make_shared<HandStream>();
    shard_->RunNow([&] { sinks_.push_back(streams_->Open(hello, stream)); });
    return stream;
  }
  void Say(FollowerMessage message, size_t sink = 0) {
    shard_->RunNow([&] { sinks_[sink]->OnMessage(std::move(message)); });
  }
  void Attach(int partition, uint64_t attach, size_t sink = 0) {
    FollowerMessage message;
    AttachRequest& request = message.attaches.emplace_back();
    request.topic_partition = PartitionNumber(partition);
    request.attach = attach;
    Say(std::move(message), sink);
  }
  void Credit(int64_t bytes) {
    FollowerMessage message;
    message.credit_bytes = bytes;
    Say(std::move(message));
  }
  void Sendable(std::vector<int> partitions, bool can_wait = false) {
    shard_->RunNow([&] {
      for (const int partition : partitions) {
        streams_->OnSendable({NodeId(2), PartitionNumber(partition), can_wait});
      }
      streams_->Flush();
    });
  }
  // A stream of follower 2 that carries partitions 0 and 1.
  std::shared_ptr<HandStream> Follow() {
    Image();
    auto stream = Open(Hello());
    Attach(0, 1);
    Attach(1, 1);
    port_.TakeSaid();
    return stream;
  }

  sim::SimLoop loop_{1};
  sim::SimClock clock_;
  std::unique_ptr<sim::SimExecutor> shard_;
  std::unique_ptr<sim::SimExecutor> cold_;
  FakeReplicaPort port_;
  std::vector<std::shared_ptr<LeaderSink>> sinks_;
  std::unique_ptr<LeaderStreams> streams_;
};

TEST_F(LeaderStreamsTest, AHelloThatFitsIsAnsweredWithTheShard) {
  Image();
  const auto stream = Open(Hello());
  EXPECT_EQ(stream->accepted, (LeaderHello{0, 2}));
}

TEST_F(LeaderStreamsTest, S14_AHelloFromTheFutureWaitsForTheMetadata) {
  Image();
  const auto stream = Open(Hello(2, 30));
  EXPECT_FALSE(stream->accepted.has_value());
  EXPECT_TRUE(stream->closed.ok());
  Image({{1, 10}, {2, 30}});
  EXPECT_TRUE(stream->accepted.has_value());
}

TEST_F(LeaderStreamsTest, AHelloWaitsForThisBrokersOwnRegistration) {
  const auto stream = Open(Hello());
  EXPECT_FALSE(stream->accepted.has_value());
  Image();
  EXPECT_TRUE(stream->accepted.has_value());
}

TEST_F(LeaderStreamsTest, S14_AHelloOfAnEarlierRunIsClosed) {
  Image();
  const auto follower = Open(Hello(2, 19));
  EXPECT_EQ(CodeOf(follower->closed), ErrorCode::kStaleBrokerEpoch);
  FollowerHello old = Hello();
  old.leader_epoch = BrokerEpoch(9);
  const auto leader = Open(old);
  EXPECT_EQ(CodeOf(leader->closed), ErrorCode::kStaleBrokerEpoch);
  EXPECT_EQ(streams_->stream_count(), 0U);
}

TEST_F(LeaderStreamsTest, AHelloForAnotherClusterOrBrokerIsClosed) {
  Image();
  FollowerHello hello = Hello();
  hello.cluster_id = ClusterId(Uuid(8, 8));
  EXPECT_EQ(CodeOf(Open(hello)->closed), ErrorCode::kInconsistentClusterId);
  hello = Hello();
  hello.leader = NodeId(3);
  EXPECT_EQ(CodeOf(Open(hello)->closed), ErrorCode::kInconsistentNodeId);
  EXPECT_EQ(CodeOf(Open(Hello(1, 10))->closed), ErrorCode::kInconsistentNodeId);
}

TEST_F(LeaderStreamsTest, S14_AFollowerThatRegistersAgainHasItsStreamClosed) {
  const auto stream = Follow();
  Image({{1, 10}, {2, 21}});
  EXPECT_EQ(CodeOf(stream->closed), ErrorCode::kStaleBrokerEpoch);
  EXPECT_THAT(port_.said, ElementsAre("gone p0 of 2", "gone p1 of 2"));
}

TEST_F(LeaderStreamsTest, WhoDoesNotWaitForTheAnswerIsClosed) {
  const auto stream = Open(Hello());
  Attach(0, 1);
  EXPECT_EQ(CodeOf(stream->closed), ErrorCode::kInvalidRequest);
  EXPECT_THAT(port_.said, IsEmpty());
}

TEST_F(LeaderStreamsTest, AStreamThatEndsIsToldToEachReplica) {
  const auto stream = Follow();
  shard_->RunNow([&] { sinks_[0]->OnClosed(); });
  EXPECT_THAT(port_.said, ElementsAre("gone p0 of 2", "gone p1 of 2"));
  EXPECT_EQ(streams_->stream_count(), 0U);
}

TEST_F(LeaderStreamsTest, APartitionThatAttachedOnANewStreamStaysWhenTheOldOneEnds) {
  Follow();
  Open(Hello());
  Attach(0, 2, 1);
  port_.TakeSaid();
  shard_->RunNow([&] { sinks_[0]->OnClosed(); });
  EXPECT_THAT(port_.said, ElementsAre("gone p1 of 2"));
}

// The stream that the follower gave up may be read to its end later than the new one.
TEST_F(LeaderStreamsTest, S14_AnAttachThatComesLateTakesNothingFromALaterOne) {
  const auto old_stream = Follow();
  const auto stream = Open(Hello());
  Attach(0, 3, 1);
  Attach(0, 2, 0);
  EXPECT_THAT(port_.TakeSaid(), ElementsAre("attach p0 #3 of 2"));
  port_.Add(NodeId(2), 0, 3, 1, 5);
  Sendable({0});
  EXPECT_THAT(old_stream->TakePushes(), IsEmpty());
  EXPECT_THAT(stream->TakePushes(), ElementsAre("p0@1:5"));
  shard_->RunNow([&] { sinks_[0]->OnClosed(); });
  EXPECT_THAT(port_.said, ElementsAre("gone p1 of 2"));
}

// What a stream that is not open yet gathers goes as one message.
TEST_F(LeaderStreamsTest, AnAttachThatIsGivenUpInTheSameMessageIsOver) {
  const auto stream = Follow();
  FollowerMessage message;
  AttachRequest& request = message.attaches.emplace_back();
  request.topic_partition = PartitionNumber(0);
  request.attach = 2;
  ReplicaDetach& detach = message.detaches.emplace_back();
  detach.topic_partition = PartitionNumber(0);
  detach.leader_epoch = request.leader_epoch;
  detach.attach = 2;
  Say(std::move(message));
  EXPECT_THAT(port_.TakeSaid(), ElementsAre("attach p0 #2 of 2", "follower detached p0 of 2"));
  port_.Add(NodeId(2), 0, 2, 1, 5);
  Sendable({0});
  EXPECT_THAT(stream->TakePushes(), IsEmpty());
}

TEST_F(LeaderStreamsTest, PartitionsArePushedInTurn) {
  const auto stream = Follow();
  for (int i = 0; i < 2; ++i) {
    port_.Add(NodeId(2), 0, 1, 10 + i, 5);
    port_.Add(NodeId(2), 1, 1, 20 + i, 5);
  }
  Sendable({0, 1});
  EXPECT_EQ(stream->messages.size(), 1U);
  EXPECT_THAT(stream->TakePushes(), ElementsAre("p0@10:5", "p1@20:5", "p0@11:5", "p1@21:5"));
}

TEST_F(LeaderStreamsTest, NothingIsSentBeyondTheWindowButTheRestOfOneRead) {
  const auto stream = Follow();
  for (int i = 0; i < 4; ++i) port_.Add(NodeId(2), 0, 1, i, 400);
  Sendable({0});
  EXPECT_THAT(stream->TakePushes(), ElementsAre("p0@0:400", "p0@1:400", "p0@2:400"));
  EXPECT_EQ(port_.last_bytes_max, 200U);
  Credit(150);
  EXPECT_THAT(stream->TakePushes(), IsEmpty());
  Credit(150);
  EXPECT_THAT(stream->TakePushes(), ElementsAre("p0@3:400"));
}

TEST_F(LeaderStreamsTest, MoreCreditThanTheWindowIsNotBelieved) {
  const auto stream = Follow();
  Credit(1'000'000);
  for (int i = 0; i < 4; ++i) port_.Add(NodeId(2), 0, 1, i, 400);
  Sendable({0});
  EXPECT_EQ(stream->TakePushes().size(), 3U);
}

TEST_F(LeaderStreamsTest, AStreamThatTakesNoMoreIsPushedToWhenItDoes) {
  const auto stream = Follow();
  stream->is_writable = false;
  port_.Add(NodeId(2), 0, 1, 1, 5);
  Sendable({0});
  EXPECT_THAT(stream->TakePushes(), IsEmpty());
  stream->is_writable = true;
  shard_->RunNow([&] { sinks_[0]->OnWritable(); });
  EXPECT_THAT(stream->TakePushes(), ElementsAre("p0@1:5"));
}

TEST_F(LeaderStreamsTest, AHighWatermarkAloneGoesAfterAMillisecond) {
  const auto stream = Follow();
  port_.Add(NodeId(2), 0, 1, 7, 0);
  Sendable({0}, true);
  EXPECT_THAT(stream->TakePushes(), IsEmpty());
  loop_.RunFor(absl::Microseconds(900));
  EXPECT_THAT(stream->TakePushes(), IsEmpty());
  loop_.RunFor(absl::Microseconds(200));
  EXPECT_THAT(stream->TakePushes(), ElementsAre("p0@7:0"));
  // Only while there is something to tell.
  EXPECT_EQ(shard_->pending(), 0U);
}

TEST_F(LeaderStreamsTest, BatchesDoNotWaitForAHighWatermarksTurn) {
  const auto stream = Follow();
  Sendable({0}, true);
  port_.Add(NodeId(2), 0, 1, 7, 5);
  Sendable({0});
  EXPECT_THAT(stream->TakePushes(), ElementsAre("p0@7:5"));
  const int takes = port_.takes;
  loop_.RunFor(absl::Milliseconds(5));
  EXPECT_EQ(port_.takes, takes);
}

TEST_F(LeaderStreamsTest, S37_WhatIsInMemoryGoesBeforeReadsOfTheDisk) {
  const auto stream = Follow();
  port_.Add(NodeId(2), 0, 1, 1, 100, /*cold=*/true);
  port_.Add(NodeId(2), 0, 1, 2, 100);
  port_.Add(NodeId(2), 1, 1, 8, 5);
  Sendable({0, 1});
  EXPECT_THAT(stream->TakePushes(), ElementsAre("p1@8:5"));
  ASSERT_TRUE(loop_.RunUntilIdle());
  EXPECT_THAT(port_.TakeSaid(), ElementsAre("read p0 ok for 2"));
  // In order within the partition.
  EXPECT_THAT(stream->TakePushes(), ElementsAre("p0@1:100", "p0@2:100"));
}

TEST_F(LeaderStreamsTest, OneReadOfTheDiskIsUnderWayAtATime) {
  const auto stream = Follow();
  port_.Add(NodeId(2), 0, 1, 1, 100, true);
  port_.Add(NodeId(2), 1, 1, 2, 100, true);
  Sendable({0, 1});
  EXPECT_EQ(cold_->pending(), 1U);
  ASSERT_TRUE(loop_.RunUntilIdle());
  EXPECT_THAT(stream->TakePushes(), ElementsAre("p0@1:100", "p1@2:100"));
}

TEST_F(LeaderStreamsTest, S37_ADiskThatHangsHoldsUpNoCatchUpOfAnother) {
  const auto hangs = loop_.MakeExecutor("hangs", &clock_);
  hangs->Pause();
  const auto stream = Follow();
  Attach(2, 1);
  port_.TakeSaid();
  port_.cold_reads[0] = port_.cold_reads[2] = hangs.get();
  port_.Add(NodeId(2), 0, 1, 1, 100, /*cold=*/true);
  port_.Add(NodeId(2), 2, 1, 3, 100, /*cold=*/true);
  for (int i = 0; i < 2; ++i) port_.Add(NodeId(2), 1, 1, 5 + i, 100, /*cold=*/true);
  Sendable({0, 2, 1});
  ASSERT_TRUE(loop_.RunUntilIdle());
  EXPECT_THAT(stream->TakePushes(), ElementsAre("p1@5:100", "p1@6:100"));
  EXPECT_EQ(hangs->pending(), 1U) << "one at a time, as of any directory";
  hangs->Resume();
  ASSERT_TRUE(loop_.RunUntilIdle());
  EXPECT_THAT(stream->TakePushes(), ElementsAre("p0@1:100", "p2@3:100"));
}

// As damage does: the leader hands over.
TEST_F(LeaderStreamsTest, WhatAReadOfTheDiskToldMayEndItsAttach) {
  const auto stream = Follow();
  port_.on_read = [this] {
    const LeaderEpoch epoch = AttachRequest().leader_epoch;
    streams_->Detach({NodeId(2), {PartitionNumber(0), epoch, 1, absl::OkStatus()}});
  };
  port_.Add(NodeId(2), 0, 1, 1, 100, /*cold=*/true);
  Sendable({0});
  ASSERT_TRUE(loop_.RunUntilIdle());
  EXPECT_THAT(port_.TakeSaid(), ElementsAre("read p0 ok for 2"));
  EXPECT_THAT(stream->TakePushes(), IsEmpty());
}

TEST_F(LeaderStreamsTest, S37_ReadsOfTheDiskLeaveHalfOfTheWindowToOthers) {
  const auto stream = Follow();
  port_.Add(NodeId(2), 1, 1, 1, 600);
  port_.Add(NodeId(2), 0, 1, 2, 100, true);
  Sendable({1, 0});
  ASSERT_TRUE(loop_.RunUntilIdle());
  EXPECT_THAT(stream->TakePushes(), ElementsAre("p1@1:600"));
  Credit(600);
  ASSERT_TRUE(loop_.RunUntilIdle());
  EXPECT_THAT(stream->TakePushes(), ElementsAre("p0@2:100"));
}

// Partition 0 is throttled, 1 is not.
class LeaderStreamsThrottleTest : public LeaderStreamsTest {
 protected:
  std::shared_ptr<HandStream> FollowThrottled(int64_t bytes_per_s) {
    auto stream = Follow();
    port_.throttled.insert({NodeId(2), PartitionNumber(0)});
    SetRate(bytes_per_s);
    return stream;
  }
  void SetRate(int64_t bytes_per_s) {
    shard_->RunNow([&] {
      streams_->SetCatchUpRate(bytes_per_s);
      streams_->Flush();
    });
  }
};

TEST_F(LeaderStreamsThrottleTest, WhatIsSentOverTimeIsTheRate) {
  const auto stream = FollowThrottled(1000);
  for (int i = 0; i < 60; ++i) port_.Add(NodeId(2), 0, 1, i, 50);
  Sendable({0});
  EXPECT_THAT(stream->TakePushes(), IsEmpty()) << "nothing is saved up";
  for (int second = 0; second < 2; ++second) {
    for (int i = 0; i < 10; ++i) {
      loop_.RunFor(absl::Milliseconds(100));
      Credit(100);
    }
    const size_t pushes = stream->TakePushes().size();
    EXPECT_GE(pushes, 18U);
    EXPECT_LE(pushes, 22U);
    EXPECT_LE(port_.last_bytes_max, 100U);
  }
}

TEST_F(LeaderStreamsThrottleTest, OthersOnTheStreamAreNotHeldUp) {
  const auto stream = FollowThrottled(1);
  for (int i = 0; i < 5; ++i) {
    port_.Add(NodeId(2), 0, 1, i, 50);
    port_.Add(NodeId(2), 1, 1, i, 50);
  }
  Sendable({0, 1});
  EXPECT_THAT(stream->TakePushes(),
              ElementsAre("p1@0:50", "p1@1:50", "p1@2:50", "p1@3:50", "p1@4:50"));
}

TEST_F(LeaderStreamsThrottleTest, ABatchLargerThanTheRateIsSentAndPaidAfterwards) {
  const auto stream = FollowThrottled(100);
  port_.Add(NodeId(2), 0, 1, 0, 500);
  port_.Add(NodeId(2), 0, 1, 1, 10);
  Sendable({0});
  loop_.RunFor(absl::Milliseconds(200));
  EXPECT_THAT(stream->TakePushes(), ElementsAre("p0@0:500"));
  loop_.RunFor(absl::Seconds(4));
  EXPECT_THAT(stream->TakePushes(), IsEmpty());
  loop_.RunFor(absl::Seconds(2));
  EXPECT_THAT(stream->TakePushes(), ElementsAre("p0@1:10"));
}

TEST_F(LeaderStreamsThrottleTest, AnotherRateCountsAtOnce) {
  const auto stream = FollowThrottled(1);
  for (int i = 0; i < 4; ++i) port_.Add(NodeId(2), 0, 1, i, 100);
  Sendable({0});
  loop_.RunFor(absl::Seconds(2));
  EXPECT_THAT(stream->TakePushes(), ElementsAre("p0@0:100"));
  SetRate(1000);
  loop_.RunFor(absl::Milliseconds(250));
  EXPECT_THAT(stream->TakePushes(), ElementsAre("p0@1:100"));
  SetRate(0);
  EXPECT_THAT(stream->TakePushes(), ElementsAre("p0@2:100", "p0@3:100"));
}

TEST_F(LeaderStreamsThrottleTest, WhoIsThrottledNoMoreGoesOnAtOnce) {
  const auto stream = FollowThrottled(1);
  port_.Add(NodeId(2), 0, 1, 0, 100);
  Sendable({0});
  EXPECT_THAT(stream->TakePushes(), IsEmpty());
  port_.throttled.clear();
  Sendable({0});
  EXPECT_THAT(stream->TakePushes(), ElementsAre("p0@0:100"));
  ASSERT_TRUE(loop_.RunUntilIdle());
  EXPECT_THAT(stream->TakePushes(), IsEmpty());
}

TEST_F(LeaderStreamsThrottleTest, ThoseWhoWaitGoInTurnOverAllStreams) {
  Image({{1, 10}, {2, 20}, {3, 30}});
  const auto first = Open(Hello());
  const auto second = Open(Hello(3, 30));
  Attach(0, 1);
  Attach(1, 1);
  Attach(0, 1, 1);
  for (const int follower : {2, 3}) {
    for (const int partition : {0, 1}) {
      port_.throttled.insert({NodeId(follower), PartitionNumber(partition)});
      for (int i = 0; i < 4; ++i) port_.Add(NodeId(follower), partition, 1, i, 100);
    }
  }
  SetRate(1000);
  Sendable({0, 1});
  shard_->RunNow([&] {
    streams_->OnSendable({NodeId(3), PartitionNumber(0), false});
    streams_->Flush();
  });
  loop_.RunFor(absl::Milliseconds(350));
  EXPECT_THAT(first->TakePushes(), ElementsAre("p0@0:100", "p1@0:100"));
  EXPECT_THAT(second->TakePushes(), ElementsAre("p0@0:100"));
}

TEST_F(LeaderStreamsThrottleTest, ReadsOfTheDiskCountWithWhatTheyGave) {
  const auto stream = FollowThrottled(1000);
  for (int i = 0; i < 3; ++i) port_.Add(NodeId(2), 0, 1, i, 200, /*cold=*/true);
  Sendable({0});
  loop_.RunFor(absl::Milliseconds(110));
  EXPECT_THAT(stream->TakePushes(), ElementsAre("p0@0:200"));
  loop_.RunFor(absl::Milliseconds(150));
  EXPECT_THAT(stream->TakePushes(), IsEmpty()) << "200 bytes take 200 ms, not 100";
  loop_.RunFor(absl::Milliseconds(100));
  EXPECT_THAT(stream->TakePushes(), ElementsAre("p0@1:200"));
}

TEST_F(LeaderStreamsThrottleTest, AStreamThatEndsWhileItWaitsIsForgotten) {
  FollowThrottled(1);
  port_.Add(NodeId(2), 0, 1, 0, 100);
  Sendable({0});
  shard_->RunNow([&] { sinks_[0]->OnClosed(); });
  const int takes = port_.takes;
  ASSERT_TRUE(loop_.RunUntilIdle());
  EXPECT_EQ(port_.takes, takes);
}

TEST_F(LeaderStreamsTest, AReadThatFailsIsToldToTheReplicaAlone) {
  const auto stream = Follow();
  port_.Add(NodeId(2), 0, 1, 1, 100, true, MakeError(ErrorCode::kCorruptLog, "damaged"));
  Sendable({0});
  ASSERT_TRUE(loop_.RunUntilIdle());
  EXPECT_THAT(port_.said, ElementsAre("read p0 failed for 2"));
  EXPECT_THAT(stream->TakePushes(), IsEmpty());
}

TEST_F(LeaderStreamsTest, S14_WhatWasReadForAnEarlierAttachIsNotSent) {
  const auto stream = Follow();
  port_.Add(NodeId(2), 0, 1, 1, 100, true);
  Sendable({0});
  Attach(0, 2);
  port_.TakeSaid();
  ASSERT_TRUE(loop_.RunUntilIdle());
  EXPECT_THAT(port_.said, IsEmpty());
  EXPECT_THAT(stream->TakePushes(), IsEmpty());
}

TEST_F(LeaderStreamsTest, RepliesAndDetachesGoToTheStreamThatCarriesThePartition) {
  const auto stream = Follow();
  AttachReplyTo reply{{NodeId(2), BrokerEpoch(20)}, {}};
  reply.reply.topic_partition = PartitionNumber(0);
  AttachReplyTo old = reply;
  old.follower.epoch = BrokerEpoch(19);
  DetachTo detach;
  detach.peer = NodeId(2);
  detach.detach.topic_partition = PartitionNumber(1);
  detach.detach.attach = 1;
  shard_->RunNow([&] {
    streams_->Reply(reply);
    streams_->Reply(old);
    streams_->Detach(detach);
    streams_->Flush();
  });
  ASSERT_EQ(stream->messages.size(), 1U);
  EXPECT_EQ(stream->messages[0].replies.size(), 1U);
  EXPECT_EQ(stream->messages[0].detaches.size(), 1U);
  stream->messages.clear();
  port_.Add(NodeId(2), 1, 1, 1, 5);
  Sendable({1});
  EXPECT_THAT(stream->messages, IsEmpty());
}

TEST_F(LeaderStreamsTest, WhatAFollowerSaysReachesItsReplicas) {
  Follow();
  FollowerMessage message;
  ReplicaPosition& position = message.positions.emplace_back();
  position.topic_partition = PartitionNumber(0);
  position.position = {Offset(5), Offset(4)};
  ReplicaDetach& detach = message.detaches.emplace_back();
  detach.topic_partition = PartitionNumber(1);
  detach.attach = 1;
  Say(std::move(message));
  EXPECT_THAT(port_.said, ElementsAre("follower detached p1 of 2", "position p0 5 of 2"));
}

TEST_F(LeaderStreamsTest, ClosedStreamsTellNobody) {
  const auto stream = Follow();
  shard_->RunNow([&] { streams_->Close(MakeError(ErrorCode::kShuttingDown, "stops")); });
  EXPECT_EQ(CodeOf(stream->closed), ErrorCode::kShuttingDown);
  shard_->RunNow([&] { sinks_[0]->OnClosed(); });
  EXPECT_THAT(port_.said, IsEmpty());
}

// --- Questions (S-33) ---

TEST_F(LeaderStreamsTest, S33_PositionsThatAnswerAreConfirmedAsOfTheQuestion) {
  const auto stream = Follow();
  const auto ask = [&] {
    shard_->RunNow([&] {
      streams_->Ask();
      streams_->Flush();
    });
  };
  const auto positions = [](bool confirms) {
    FollowerMessage message;
    message.positions.emplace_back().topic_partition = PartitionNumber(0);
    message.confirms = confirms;
    return message;
  };
  stream->messages.clear();
  const int64_t asked_at = clock_.Now().nanos();
  ask();
  ASSERT_EQ(stream->messages.size(), 1U);
  EXPECT_TRUE(stream->messages[0].asks);
  loop_.RunFor(absl::Seconds(1));
  ask();
  EXPECT_EQ(stream->messages.size(), 1U) << "one question at a time";
  Say(positions(false));
  EXPECT_THAT(port_.TakeSaid(), ElementsAre("position p0 0 of 2")) << "said before it was asked";
  Say(positions(true));
  EXPECT_THAT(port_.TakeSaid(), ElementsAre("position p0 0 of 2",
                                            absl::StrCat("confirmed p0 of 2 asked at ", asked_at)));
  Say(positions(true));
  EXPECT_THAT(port_.TakeSaid(), ElementsAre("position p0 0 of 2")) << "nothing was asked";
  ask();
  EXPECT_EQ(stream->messages.size(), 2U);
}

TEST_F(LeaderStreamsTest, S33_WhoFollowsNothingIsNotAsked) {
  Image();
  const auto stream = Open(Hello());
  shard_->RunNow([&] {
    streams_->Ask();
    streams_->Flush();
  });
  EXPECT_TRUE(stream->messages.empty());
}

}  // namespace
}  // namespace millrace::broker
