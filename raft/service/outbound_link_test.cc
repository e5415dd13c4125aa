#include "raft/service/outbound_link.h"

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "raft/service/testing/transport_test_bed.h"

namespace millrace::raft {
namespace {

using ::testing::ElementsAre;

// A link of a process made by hand, to a voter.
class OutboundLinkTest : public ::testing::Test, public LinkEvents {
 protected:
  OutboundLinkTest() : voter_(TestVoterOptions{}) {}
  ~OutboundLinkTest() override {
    Run([&] { link_.reset(); });
    queue_.Shutdown();
  }

  Hello HelloTo(NodeId peer) override {
    Hello hello;
    hello.cluster_id = kTestCluster;
    hello.from = Self();
    hello.address = "127.0.0.1:1";
    hello.process = {1, Uuid(1, 1)};
    hello.to = peer;
    return hello;
  }
  absl::Status OnAnswer(NodeId, const Hello& hello) override {
    answers_.push_back(hello.from.node);
    heard_.Signal();
    return answer_status_;
  }
  void OnRefused(NodeId, const absl::Status&) override {}
  void OnLinkBroken(NodeId) override {
    ++breaks_;
    heard_.Signal();
  }

  static VoterId Self() { return {NodeId(2), DirectoryId(Uuid(2, 2))}; }
  void Run(std::function<void()> f) {
    rpc::Wakeup done;
    queue_.Post([&] {
      f();
      done.Signal();
    });
    while (!done.WaitFor(absl::Seconds(1))) {
    }
  }
  bool Await(const std::function<bool()>& condition) {
    const MonotonicTime deadline = clock_.Now() + absl::Seconds(30);
    while (clock_.Now() < deadline) {
      bool holds = false;
      Run([&] { holds = condition(); });
      if (holds) return true;
      (void)heard_.WaitFor(absl::Milliseconds(5));
    }
    return false;
  }
  void Make(const std::string& address, bool lasting) {
    Make(std::vector<std::string>{address}, lasting);
  }
  void Make(const std::vector<std::string>& addresses, bool lasting) {
    Run([&] {
      link_ = std::make_shared<OutboundLink>(
          voter_.id().node, addresses, lasting, TransportOptions(),
          TransportDeps{&queue_, &queue_, &clock_, &random_, &metrics_},
          &peers_.Of(voter_.id().node), this);
    });
  }
  void Send(int64_t number) {
    Message message = voter_.Numbered(voter_.id(), number);
    message.from = Self();
    Run([&] { link_->Send({&message}); });
  }

  TestVoter voter_;
  SystemClock clock_;
  SystemRandom random_;
  MetricRegistry metrics_;
  PeerMetrics peers_{&metrics_};
  rpc::Wakeup heard_;
  rpc::CompletionQueueExecutor queue_{&clock_, "client"};
  std::shared_ptr<OutboundLink> link_;
  absl::Status answer_status_;
  std::vector<NodeId> answers_;
  int breaks_ = 0;
};

TEST_F(OutboundLinkTest, MessagesDoNotWaitForTheAnswer) {
  Make(voter_.address(), true);
  Run([&] { link_->Open(); });
  Send(1);
  Send(2);
  ASSERT_TRUE(voter_.AwaitReceived(2));
  EXPECT_THAT(voter_.numbers(), ElementsAre(1, 2));
  EXPECT_TRUE(Await([&] { return link_->established(); }));
  EXPECT_THAT(answers_, ElementsAre(voter_.id().node));
  EXPECT_TRUE(Await([&] { return link_->queued_bytes() == 0; }));
}

TEST_F(OutboundLinkTest, ALinkToAStrangerConnectsWhenThereIsSomethingToSay) {
  Make(voter_.address(), false);
  Send(1);
  ASSERT_TRUE(voter_.AwaitReceived(1));
}

TEST_F(OutboundLinkTest, WhatIsSaidWhileThereIsNoStreamIsDropped) {
  Make(voter_.address(), true);
  Send(1);
  EXPECT_EQ(peers_.Of(voter_.id().node).messages_dropped.value(), 1);
  Run([&] { link_->Open(); });
  Send(2);
  ASSERT_TRUE(voter_.AwaitReceived(1));
  EXPECT_THAT(voter_.numbers(), ElementsAre(2));
}

TEST_F(OutboundLinkTest, AnAnswerThatIsRefusedEndsTheStreamAndItIsTriedAgain) {
  answer_status_ = MakeError(ErrorCode::kInconsistentNodeId, "another one");
  Make(voter_.address(), true);
  Run([&] { link_->Open(); });
  ASSERT_TRUE(Await([&] { return answers_.size() >= 3; }));
  EXPECT_EQ(breaks_, 0) << "a refusal is no break";
  Run([&] { answer_status_ = absl::OkStatus(); });
  EXPECT_TRUE(Await([&] { return link_->established(); }));
}

TEST_F(OutboundLinkTest, ANewProcessOfThePeerEndsTheConnectionToTheFormer) {
  Make(voter_.address(), true);
  Run([&] { link_->Open(); });
  ASSERT_TRUE(Await([&] { return link_->established(); }));
  Run([&] { link_->PeerIsHere({1, Uuid(1, 1)}); });
  EXPECT_EQ(breaks_, 0) << "the one that has answered";
  Run([&] { link_->PeerIsHere({2, Uuid(2, 2)}); });
  EXPECT_EQ(breaks_, 1);
  EXPECT_TRUE(Await([&] { return answers_.size() == 2 && link_->established(); }));
}

TEST_F(OutboundLinkTest, APeerIsLookedForAtEachOfItsAddresses) {
  Make(std::vector<std::string>{"127.0.0.1:1", "127.0.0.1:2", voter_.address()}, true);
  Run([&] { link_->Open(); });
  ASSERT_TRUE(Await([&] { return link_->established(); }));
  EXPECT_EQ(link_->address(), voter_.address());
  EXPECT_EQ(breaks_, 1) << "told once, though two of the addresses lead nowhere";
}

TEST_F(OutboundLinkTest, APeerThatSaysWhereItIsIsFollowedOnceAtOnce) {
  Make("127.0.0.1:1", true);
  Run([&] { link_->Follow(voter_.address(), 2); });
  ASSERT_TRUE(Await([&] { return link_->established(); }));
  Run([&] { link_->Follow("127.0.0.1:2", 2); });
  Run([&] { link_->Follow("127.0.0.1:2", 1); });
  EXPECT_TRUE(link_->established()) << "no news";
  // What leads nowhere gives way to what was known before.
  Run([&] { link_->Follow("127.0.0.1:2", 3); });
  EXPECT_TRUE(Await([&] { return link_->address() == "127.0.0.1:1"; }));
}

TEST_F(OutboundLinkTest, ABreakIsToldOnce) {
  Make("127.0.0.1:1", true);
  Run([&] { link_->Open(); });
  ASSERT_TRUE(Await([&] { return breaks_ == 1; }));
  const MonotonicTime until = clock_.Now() + absl::Milliseconds(300);
  ASSERT_TRUE(Await([&] { return clock_.Now() >= until; }));
  EXPECT_EQ(breaks_, 1);
}

}  // namespace
}  // namespace millrace::raft
