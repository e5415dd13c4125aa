#include "raft/service/grpc_transport.h"

#include <numeric>

#include "base/log.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "raft/service/testing/transport_test_bed.h"

namespace millrace::raft {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

std::vector<std::string> LinesWith(const LogCapture& capture, absl::string_view part) {
  std::vector<std::string> found;
  for (const std::string& line : capture.lines()) {
    if (line.find(std::string(part)) != std::string::npos) found.push_back(line);
  }
  return found;
}

// The parameter: the transport lives on its server's queue.
class GrpcTransportTest : public ::testing::TestWithParam<bool> {
 protected:
  std::unique_ptr<TestVoter> Voter(int32_t node, TestVoterOptions options = {}) {
    options.node = node;
    options.owner_is_queue = GetParam();
    return std::make_unique<TestVoter>(options);
  }
};

INSTANTIATE_TEST_SUITE_P(Owners, GrpcTransportTest, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "Queue" : "Strand"; });

TEST_P(GrpcTransportTest, MessagesOfThreeVotersArriveInOrder) {
  auto one = Voter(1);
  auto two = Voter(2);
  auto three = Voter(3);
  const std::vector<Peer> peers = {one->peer(), two->peer(), three->peer()};
  for (TestVoter* voter : {one.get(), two.get(), three.get()}) voter->SetPeers(peers);
  constexpr int64_t kCount = 500;
  for (int64_t i = 0; i < kCount; ++i) {
    one->Run([&](GrpcTransport& it) {
      it.Send({one->Numbered(two->id(), i, i % 7 == 0 ? 5000 : 0), one->Numbered(three->id(), i)});
    });
    two->Send(one->id(), i, i % 50 == 0 ? 100000 : 10);
  }
  std::vector<int64_t> all(kCount);
  std::iota(all.begin(), all.end(), 0);
  for (TestVoter* voter : {one.get(), two.get(), three.get()}) {
    ASSERT_TRUE(voter->AwaitReceived(kCount));
    EXPECT_EQ(voter->numbers(), all);
  }
  EXPECT_EQ(two->received()[7], one->Numbered(two->id(), 7, 5000));
  EXPECT_EQ(one->Metric("millrace_raft_messages_sent_total"), 2 * kCount);
  EXPECT_EQ(one->Metric("millrace_raft_messages_received_total"), kCount);
  EXPECT_EQ(one->Metric("millrace_raft_messages_dropped_total"), 0);
  EXPECT_GT(two->Metric("millrace_raft_bytes_sent_total"), 10 * 100000);
}

TEST_P(GrpcTransportTest, ADeadPeerIsToldOnceAndTrafficResumesWhenItIsBack) {
  auto one = Voter(1);
  TestVoterOptions options;
  auto two = Voter(2, options);
  const VoterId two_id = two->id();
  one->SetPeers({two->peer()});
  ASSERT_TRUE(one->SendUntilReceived(two.get(), 1));
  ASSERT_TRUE(one->AwaitConnected(*two));

  options.port = two->port();
  options.start_counter = 2;
  options.nonce = 2;
  two.reset();
  ASSERT_TRUE(one->AwaitUnreachable(1));
  EXPECT_FALSE(one->Get<bool>([&](auto& it) { return it.IsConnected(two_id.node); }));

  two = Voter(2, options);
  ASSERT_TRUE(one->SendUntilReceived(two.get(), 2));
  // However many attempts it took.
  EXPECT_THAT(one->unreachable(), ElementsAre(two_id.node));
  EXPECT_EQ(one->Metric("millrace_raft_connection_breaks_total"), 1);

  ASSERT_TRUE(one->AwaitConnected(*two));
  two.reset();
  ASSERT_TRUE(one->AwaitUnreachable(2));
}

TEST_P(GrpcTransportTest, APeerThatNeverWasIsToldOnce) {
  auto one = Voter(1);
  const Peer nobody = Voter(2)->peer();
  one->SetPeers({nobody});
  ASSERT_TRUE(one->AwaitUnreachable(1));
  one->Send({nobody.node, DirectoryId(Uuid(2, 1))}, 1);
  // The back-off: time for several attempts more.
  const MonotonicTime until = one->clock().Now() + absl::Milliseconds(400);
  ASSERT_TRUE(one->Await([&](auto&) { return one->clock().Now() >= until; }));
  EXPECT_THAT(one->unreachable(), ElementsAre(nobody.node));
}

TEST_P(GrpcTransportTest, APeerThatComesBackIsReachedAtOnceThoughTheBackoffIsLong) {
  auto one = Voter(1);
  TestVoterOptions options;
  auto two = Voter(2);
  options.port = two->port();
  one->SetPeers({two->peer()});
  ASSERT_TRUE(one->AwaitConnected(*two));
  two.reset();
  ASSERT_TRUE(one->AwaitUnreachable(1));
  options.start_counter = 2;
  two = Voter(2, options);
  two->SetPeers({one->peer()});
  ASSERT_TRUE(one->AwaitConnected(*two));
}

TEST_P(GrpcTransportTest, S18AnotherClusterIsRefusedAndBothSidesLogItOnce) {
  LogCapture capture(LogLevel::kWarn);
  auto one = Voter(1);
  TestVoterOptions options;
  options.cluster = ClusterId(Uuid(8, 8));
  auto two = Voter(2, options);
  one->SetPeers({two->peer()});
  ASSERT_TRUE(one->Await([&](auto&) { return !LinesWith(capture, "does not take part").empty(); }));
  const MonotonicTime until = one->clock().Now() + absl::Milliseconds(300);
  ASSERT_TRUE(one->Await([&](GrpcTransport& it) {
    it.Send({one->Numbered(two->id(), 1)});
    return one->clock().Now() >= until;
  }));
  EXPECT_THAT(two->received(), IsEmpty());
  EXPECT_THAT(one->unreachable(), IsEmpty()) << "its process lives";
  EXPECT_THAT(LinesWith(capture, "does not take part"),
              ElementsAre(HasSubstr(Uuid(8, 8).ToString())));
  EXPECT_THAT(LinesWith(capture, "refused a peer's stream"),
              ElementsAre(HasSubstr(kTestCluster.ToString())));
}

TEST_P(GrpcTransportTest, S18AStreamMeantForAnotherNodeIsRefused) {
  LogCapture capture(LogLevel::kWarn);
  auto one = Voter(1);
  auto two = Voter(2);
  one->SetPeers({{NodeId(3), two->address()}});
  ASSERT_TRUE(one->Await([&](auto&) { return !LinesWith(capture, "does not take part").empty(); }));
  EXPECT_THAT(LinesWith(capture, "does not take part"),
              ElementsAre(HasSubstr("expects node 3 where node 2 is")));
  EXPECT_FALSE(one->Get<bool>([](auto& it) { return it.IsConnected(NodeId(3)); }));
}

TEST_P(GrpcTransportTest, S18UntilTheClusterIsKnownThereIsNoRaftTraffic) {
  TestVoterOptions unfounded;
  unfounded.cluster = ClusterId();
  auto one = Voter(1, unfounded);
  auto two = Voter(2, unfounded);
  for (TestVoter* voter : {one.get(), two.get()}) voter->SetPeers({one->peer(), two->peer()});
  one->Send(two->id(), 1);
  one->Run([](auto& it) { it.SetClusterId(kTestCluster); });
  one->Send(two->id(), 2);
  EXPECT_THAT(two->received(), IsEmpty());
  two->Run([](auto& it) { it.SetClusterId(kTestCluster); });
  ASSERT_TRUE(one->SendUntilReceived(two.get(), 3));
  EXPECT_THAT(one->unreachable(), IsEmpty());
}

TEST_P(GrpcTransportTest, S20AVoterThatWasGivenUpHearsOfItWhoeverConnects) {
  TestVoterOptions unfounded;
  unfounded.cluster = ClusterId();
  auto recovered = Voter(1, unfounded);
  recovered->Run([](auto& it) { it.SetClusterId(kTestCluster, 1); });
  // One that connects by itself, and one that is connected to.
  auto two = Voter(2);
  two->SetPeers({recovered->peer()});
  auto three = Voter(3);
  recovered->SetPeers({three->peer()});
  for (TestVoter* lost : {two.get(), three.get()}) {
    ASSERT_TRUE(lost->Await([&](auto&) { return !lost->superseded_is_ok(); }));
  }
  EXPECT_TRUE(recovered->superseded().ok());
}

TEST_P(GrpcTransportTest, PeersHearWhatAProgramKnows) {
  TestVoterOptions options;
  options.adjust = [](TransportOptions* transport) { transport->features = {1, 7, "x"}; };
  auto one = Voter(1, options);
  auto two = Voter(2);
  two->SetPeers({one->peer()});
  ASSERT_TRUE(two->Await([&](auto& it) { return it.FeaturesOf(one->id()) != nullptr; }));
  EXPECT_EQ(two->Get<int>([&](auto& it) { return it.FeaturesOf(one->id())->level_max; }), 7);
}

TEST_P(GrpcTransportTest, S19AStaleCloneIsRefusedAndTheNewProcessIsHeard) {
  LogCapture capture(LogLevel::kWarn);
  auto one = Voter(1);
  TestVoterOptions options;
  options.start_counter = 5;
  options.nonce = 50;
  auto two = Voter(2, options);
  two->SetPeers({one->peer()});
  ASSERT_TRUE(two->SendUntilReceived(one.get(), 1));

  // A copy of the directory from before, and one of this very start.
  options.start_counter = 4;
  options.nonce = 40;
  auto stale = Voter(2, options);
  stale->SetPeers({one->peer()});
  options.start_counter = 5;
  auto twin = Voter(2, options);
  twin->SetPeers({one->peer()});
  ASSERT_TRUE(
      one->Await([&](auto&) { return LinesWith(capture, "does not take part").size() == 2; }));
  stale->Send(one->id(), 100);
  twin->Send(one->id(), 100);
  ASSERT_TRUE(two->SendUntilReceived(one.get(), 2));
  EXPECT_THAT(one->numbers(), Not(::testing::Contains(100)));
  EXPECT_THAT(LinesWith(capture, "start 4, and start 5 was seen"), Not(IsEmpty()));
  EXPECT_THAT(LinesWith(capture, "a second process counts the same start"), Not(IsEmpty()));
}

TEST_P(GrpcTransportTest, S19ANewerProcessEndsTheStreamOfTheFormer) {
  LogCapture capture(LogLevel::kWarn);
  auto one = Voter(1);
  TestVoterOptions options;
  auto former = Voter(2, options);
  former->SetPeers({one->peer()});
  ASSERT_TRUE(former->SendUntilReceived(one.get(), 1));
  options.start_counter = 2;
  options.nonce = 2;
  auto newer = Voter(2, options);
  newer->SetPeers({one->peer()});
  ASSERT_TRUE(newer->SendUntilReceived(one.get(), 2));
  ASSERT_TRUE(
      former->Await([&](auto&) { return !LinesWith(capture, "does not take part").empty(); }));
  former->Send(one->id(), 100);
  ASSERT_TRUE(newer->SendUntilReceived(one.get(), 3));
  EXPECT_THAT(one->numbers(), Not(::testing::Contains(100)));
}

TEST_P(GrpcTransportTest, S17MessagesForAnotherVoterOrDirectoryAreDroppedAndCounted) {
  auto one = Voter(1);
  auto two = Voter(2);
  one->SetPeers({two->peer()});
  ASSERT_TRUE(one->SendUntilReceived(two.get(), 1));
  const double before = two->Metric("millrace_raft_messages_dropped_total");
  Message forged = one->Numbered(two->id(), 100);
  forged.from.node = NodeId(3);
  Message former = one->Numbered(two->id(), 101);
  former.to.directory = DirectoryId(Uuid(2, 99));
  one->Run([&](GrpcTransport& it) { it.Send({forged, former}); });
  ASSERT_TRUE(one->SendUntilReceived(two.get(), 2));
  EXPECT_THAT(two->numbers(), Not(::testing::Contains(100)));
  EXPECT_THAT(two->numbers(), Not(::testing::Contains(101)));
  EXPECT_EQ(two->Metric("millrace_raft_messages_dropped_total"), before + 2);
}

TEST_P(GrpcTransportTest, AStrangerIsAnsweredWhereItsHelloSaid) {
  auto learner = Voter(1);
  auto leader = Voter(2);
  // The learner was told of nobody.
  learner->Send(leader->id(), 1);
  EXPECT_EQ(learner->Metric("millrace_raft_messages_dropped_total"), 1);
  leader->SetPeers({learner->peer()});
  ASSERT_TRUE(leader->SendUntilReceived(learner.get(), 2));
  ASSERT_TRUE(learner->SendUntilReceived(leader.get(), 3));
  EXPECT_THAT(leader->numbers(), ::testing::Each(3));
  // To be told of others does not cut the connection.
  ASSERT_TRUE(learner->AwaitConnected(*leader));
  learner->SetPeers({learner->peer()});
  EXPECT_TRUE(learner->Get<bool>([&](auto& it) { return it.IsConnected(leader->id().node); }));
}

TEST_P(GrpcTransportTest, AMessageTooLargeIsDroppedAndTheNextArrives) {
  LogCapture capture(LogLevel::kError);
  auto one = Voter(1);
  auto two = Voter(2);
  one->SetPeers({two->peer()});
  ASSERT_TRUE(one->AwaitConnected(*two));
  one->Run([&](GrpcTransport& it) {
    it.Send({one->Numbered(two->id(), 1), one->Numbered(two->id(), 2, kMessageBytesMax),
             one->Numbered(two->id(), 3, 8 << 20)});
  });
  ASSERT_TRUE(two->AwaitReceived(2));
  EXPECT_THAT(two->numbers(), ElementsAre(1, 3));
  EXPECT_EQ(one->Metric("millrace_raft_messages_dropped_total"), 1);
  EXPECT_THAT(LinesWith(capture, "a message cannot be sent"),
              ElementsAre(HasSubstr("the maximum")));
}

TEST_P(GrpcTransportTest, PeersThatGoAreLetGoAndThoseThatStayKeepTheirConnection) {
  auto one = Voter(1);
  auto two = Voter(2);
  auto three = Voter(3);
  one->SetPeers({two->peer(), three->peer()});
  ASSERT_TRUE(one->AwaitConnected(*two));
  ASSERT_TRUE(one->AwaitConnected(*three));
  one->SetPeers({one->peer(), two->peer()});
  EXPECT_TRUE(one->Get<bool>([&](auto& it) { return it.IsConnected(two->id().node); }));
  EXPECT_FALSE(one->Get<bool>([&](auto& it) { return it.IsConnected(three->id().node); }));
  // The address of a peer changed.
  one->SetPeers({{two->id().node, three->address()}});
  EXPECT_FALSE(one->Get<bool>([&](auto& it) { return it.IsConnected(two->id().node); }));
}

TEST_P(GrpcTransportTest, APeerIsFoundAtAnyOfItsAddressesAndAnotherNodeIsNotTakenForIt) {
  LogCapture capture(LogLevel::kWarn);
  auto one = Voter(1);
  auto two = Voter(2);
  auto three = Voter(3);
  const Peer nowhere{two->id().node, "127.0.0.1:1"};
  // Where the second was, the third is now; and the first itself.
  const Peer third{two->id().node, three->address()};
  const Peer itself{two->id().node, one->address()};
  one->SetPeers({third, nowhere, itself, two->peer()});
  ASSERT_TRUE(one->SendUntilReceived(two.get(), 1));
  ASSERT_TRUE(one->AwaitConnected(*two));
  EXPECT_THAT(three->received(), IsEmpty());
  EXPECT_THAT(LinesWith(capture, "does not take part"),
              ElementsAre(HasSubstr("expects node 2 where node 3 is"),
                          HasSubstr("expects node 2 where node 1 is")));
  EXPECT_THAT(one->unreachable(), ElementsAre(two->id().node));
  // What is likeliest stays; what else there is does not matter to the connection.
  one->SetPeers({third, two->peer()});
  EXPECT_TRUE(one->Get<bool>([&](auto& it) { return it.IsConnected(two->id().node); }));
  one->SetPeers({two->peer()});
  EXPECT_TRUE(one->Get<bool>([&](auto& it) { return it.IsConnected(two->id().node); }));
}

TEST_P(GrpcTransportTest, APeerThatMovedIsFoundWhereItsHelloSays) {
  auto one = Voter(1);
  TestVoterOptions options;
  auto two = Voter(2, options);
  const Peer former = two->peer();
  one->SetPeers({former});
  ASSERT_TRUE(one->SendUntilReceived(two.get(), 1));
  ASSERT_TRUE(one->AwaitConnected(*two));
  two.reset();
  ASSERT_TRUE(one->AwaitUnreachable(1));
  options.start_counter = 2;
  options.nonce = 2;
  // Its port was taken meanwhile, by another node.
  TestVoterOptions reused;
  reused.port = std::stoi(former.address.substr(former.address.rfind(':') + 1));
  auto three = Voter(3, reused);
  two = Voter(2, options);
  ASSERT_NE(two->address(), former.address);
  two->SetPeers({one->peer()});
  ASSERT_TRUE(one->SendUntilReceived(two.get(), 2));
  ASSERT_TRUE(one->AwaitConnected(*two));
  EXPECT_THAT(three->received(), IsEmpty());
  // The same peers again do not lead it back.
  one->SetPeers({former});
  EXPECT_TRUE(one->Get<bool>([&](auto& it) { return it.IsConnected(two->id().node); }));
}

TEST_P(GrpcTransportTest, AStrayProcessOfAPeersNodeLeadsNobodyAway) {
  auto one = Voter(1);
  auto two = Voter(2);
  one->SetPeers({two->peer()});
  ASSERT_TRUE(one->SendUntilReceived(two.get(), 1));
  TestVoterOptions options;
  options.directory = 99;
  auto stray = Voter(2, options);
  stray->SetPeers({one->peer()});
  ASSERT_TRUE(stray->AwaitConnected(*one));
  ASSERT_TRUE(one->SendUntilReceived(two.get(), 2));
  EXPECT_THAT(stray->received(), IsEmpty());
  // But what is for that directory goes there.
  ASSERT_TRUE(one->SendUntilReceived(stray.get(), 3));
}

// Holds the owner of a voter until it goes: the voter reads nothing meanwhile.
class Held {
 public:
  explicit Held(TestVoter* voter) : voter_(voter) {
    voter_->Run([&](GrpcTransport& it) {
      // Run waits for this task only, and the next one holds the strand.
      it.port().owner->Post([this] {
        while (!released_.WaitFor(absl::Seconds(1))) {
        }
        gone_.Signal();
      });
    });
  }
  ~Held() {
    released_.Signal();
    while (!gone_.WaitFor(absl::Seconds(1))) {
    }
  }

 private:
  TestVoter* const voter_;
  rpc::Wakeup released_;
  rpc::Wakeup gone_;
};

TEST_P(GrpcTransportTest, APeerThatStopsReadingCostsNoMoreThanTheBound) {
  constexpr int64_t kBound = 4 << 20;
  TestVoterOptions options;
  options.adjust = [](TransportOptions* transport) {
    transport->queued_bytes_max = kBound;
    transport->inbound_bytes_max = kBound;
  };
  auto one = Voter(1, options);
  auto two = Voter(2, options);
  one->SetPeers({two->peer()});
  ASSERT_TRUE(one->AwaitConnected(*two));
  constexpr int64_t kMessages = 64;
  {
    const Held held(two.get());
    for (int64_t i = 0; i < kMessages; ++i) {
      one->Send(two->id(), i, 1 << 20);
      EXPECT_LE(one->Get<int64_t>([&](auto& it) { return it.QueuedBytes(two->id().node); }),
                kBound);
    }
    EXPECT_GT(one->Metric("millrace_raft_messages_dropped_total"), 0);
    EXPECT_LT(one->Metric("millrace_raft_messages_sent_total"), kMessages);
  }
  // It reads again: what was sent arrives, in order, and traffic goes on.
  ASSERT_TRUE(one->Await([&](GrpcTransport& it) { return it.QueuedBytes(two->id().node) == 0; }));
  const auto sent = static_cast<size_t>(one->Metric("millrace_raft_messages_sent_total"));
  ASSERT_TRUE(two->AwaitReceived(sent));
  const std::vector<int64_t> numbers = two->numbers();
  EXPECT_TRUE(std::is_sorted(numbers.begin(), numbers.end()));
  ASSERT_TRUE(one->SendUntilReceived(two.get(), kMessages));
  EXPECT_THAT(one->unreachable(), IsEmpty());
}

FoundingState Prepared(const TestVoter& voter) {
  FoundingState state;
  state.self = voter.id();
  state.address = voter.address();
  state.phase = FoundingPhase::kPrepared;
  state.voters = {{voter.id(), voter.address(), false}};
  return state;
}

TEST_P(GrpcTransportTest, S18FoundingStatesAreExchangedBeforeThereIsACluster) {
  TestVoterOptions unfounded;
  unfounded.cluster = ClusterId();
  auto one = Voter(1, unfounded);
  auto two = Voter(2, unfounded);
  std::optional<FoundingState> seen_by_two;
  std::optional<absl::StatusOr<FoundingState>> seen_by_one;
  two->Run([&](GrpcTransport& it) {
    it.SetFoundingAnswer([&](const FoundingState& caller) {
      seen_by_two = caller;
      return Prepared(*two);
    });
  });
  one->Run([&](GrpcTransport& it) {
    it.Exchange(two->address(), Prepared(*one),
                [&](absl::StatusOr<FoundingState> state) { seen_by_one = state; });
  });
  ASSERT_TRUE(one->Await([&](auto&) { return seen_by_one.has_value(); }));
  ASSERT_OK(seen_by_one->status());
  EXPECT_EQ(**seen_by_one, Prepared(*two));
  EXPECT_EQ(two->Get<FoundingState>([&](auto&) { return *seen_by_two; }), Prepared(*one));
}

TEST_P(GrpcTransportTest, FoundingWithNobodyFailsAtOnceAndAgainWorksOnceSomebodyIsThere) {
  auto one = Voter(1);
  TestVoterOptions options;
  const std::string address = [&] {
    auto two = Voter(2);
    options.port = two->port();
    return two->address();
  }();
  std::optional<absl::StatusOr<FoundingState>> answer;
  auto exchange = [&] {
    answer.reset();
    one->Run([&](GrpcTransport& it) {
      it.Exchange(address, Prepared(*one),
                  [&](absl::StatusOr<FoundingState> state) { answer = state; });
    });
    EXPECT_TRUE(one->Await([&](auto&) { return answer.has_value(); }));
    return CodeOf(answer->status());
  };
  EXPECT_EQ(exchange(), ErrorCode::kBrokerNotAvailable);
  auto two = Voter(2, options);
  // Nobody has said what to answer yet.
  EXPECT_EQ(exchange(), ErrorCode::kBrokerNotAvailable);
  two->Run([&](GrpcTransport& it) {
    it.SetFoundingAnswer([&](const FoundingState&) { return Prepared(*two); });
  });
  EXPECT_EQ(exchange(), ErrorCode::kNone);
}

}  // namespace
}  // namespace millrace::raft
