#include "node/broker_session_server.h"

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "base/sim/sim_clock.h"
#include "base/sim/sim_executor.h"
#include "controller/testing/test_cluster.h"
#include "metadata/apply.h"
#include "metadata/follower.h"

namespace millrace::node {
namespace {

using controller::SessionDecision;
using controller::TestCluster;
using internal::v1::BrokerSessionRequest;
using internal::v1::BrokerSessionResponse;
using metadata::BrokerState;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// One stream as its broker sees it: what came down, and the metadata made of it.
struct Peer {
  BrokerSessionServer::StreamId id;
  std::deque<internal::v1::BrokerSessionState> states;
  std::optional<absl::Status> ended;
  std::optional<LogIndex> applied_when_it_may_stop;
  int messages = 0;
  int image_chunks = 0;
  // It reads no more.
  bool stopped = false;
  bool send_pending = false;
  metadata::Feed feed{std::make_shared<const metadata::Image>()};
  metadata::Follower follower{&feed};

  void Receive(const BrokerSessionResponse& response) {
    ++messages;
    if (response.has_state()) states.push_back(response.state());
    if (response.state().may_stop() && !applied_when_it_may_stop.has_value()) {
      applied_when_it_may_stop = follower.applied();
    }
    if (response.has_image()) {
      ++image_chunks;
      EXPECT_OK(follower.OnImageChunk(LogIndex(response.image().index()), response.image().data(),
                                      response.image().last()));
    }
    for (const auto& entry : response.entries().entries()) {
      EXPECT_OK(follower.OnEntry(LogIndex(entry.index()), Bytes::Copy(entry.payload())));
    }
  }
};

class BrokerSessionServerTest : public ::testing::Test {
 protected:
  class FakeStream final : public BrokerSessionStream {
   public:
    FakeStream(BrokerSessionServerTest* test, std::shared_ptr<Peer> peer)
        : test_(test), peer_(std::move(peer)) {}
    void Send(BrokerSessionResponse response) override {
      EXPECT_FALSE(std::exchange(peer_->send_pending, true)) << "one message at a time";
      peer_->Receive(response);
      if (!peer_->stopped) test_->Sendable(peer_);
    }
    void End(const absl::Status& status) override { peer_->ended = status; }

   private:
    BrokerSessionServerTest* const test_;
    const std::shared_ptr<Peer> peer_;
  };

  BrokerSessionServerTest() { Make(4 << 20); }

  void Make(size_t entry_bytes_max) {
    server_ = std::make_unique<BrokerSessionServer>(
        BrokerSessionServer::Options{.entry_bytes_max = entry_bytes_max},
        BrokerSessionServer::Deps{
            .clock = &clock_,
            .executor = executor_.get(),
            .leaders = &leaders_,
            .metrics = &metrics_.emplace_back(),
            .carry_out = [this](const SessionDecision& decision,
                                SessionDecided done) { CarryOut(decision, std::move(done)); },
            .confirm_leadership =
                [this](LeadershipConfirmed done) {
                  rounds_.push_back(std::move(done));
                  if (leads_.has_value()) EndRounds(*leads_);
                }});
    // Before it leads it is told what there is, as a follower.
    server_->StartAt(LogIndex(0), std::make_shared<const metadata::Image>());
    told_ = 0;
    images_ = metadata::Image();
    TellCommitted();
  }
  void Lead() {
    executor_->RunNow([&] { server_->OnLed(Term(3)); });
  }
  // The server is told of what TestCluster did, entry by entry.
  void TellCommitted() {
    while (told_ < cluster_.log().size()) {
      const auto& records = cluster_.log()[told_++];
      images_ = metadata::Apply(images_, images_.index() + 1, records);
      const auto image = std::make_shared<const metadata::Image>(images_);
      Here([&] { server_->OnCommitted(image->index(), image, records); });
    }
  }

  // On the server's executor, now.
  void Here(absl::FunctionRef<void()> call) {
    if (executor_->IsCurrent()) return call();
    executor_->RunNow([&] { call(); });
  }
  void CarryOut(const SessionDecision& decision, SessionDecided done) {
    decisions_.emplace_back(decision.broker.value(), decision.kind);
    const int id = decision.broker.value();
    bool may_stop = false;
    if (decision.kind == SessionDecision::Kind::kFence) cluster_.Fence(id);
    if (decision.kind == SessionDecision::Kind::kActivate) cluster_.Activate(id);
    if (decision.kind == SessionDecision::Kind::kShutDown) {
      may_stop = cluster_.Heartbeat(id, false, true)->may_stop();
    }
    executor_->Post([this, may_stop, done = std::move(done)]() mutable {
      TellCommitted();
      std::move(done)(absl::OkStatus(), may_stop);
    });
  }

  void EndRounds(const absl::Status& leads) {
    for (LeadershipConfirmed& done : std::exchange(rounds_, {})) std::move(done)(leads);
  }

  std::shared_ptr<Peer> Open() {
    auto peer = std::make_shared<Peer>();
    executor_->RunNow([&] { peer->id = server_->Open(std::make_unique<FakeStream>(this, peer)); });
    return peer;
  }
  void Sendable(const std::shared_ptr<Peer>& peer) {
    executor_->Post([this, peer] {
      peer->send_pending = false;
      server_->OnSendable(peer->id);
    });
  }
  BrokerSessionRequest Request(int broker, int64_t epoch, int64_t applied = 0) const {
    BrokerSessionRequest request;
    request.set_broker_id(broker);
    request.set_broker_epoch(epoch);
    request.set_applied_index(applied);
    request.set_want_active(true);
    return request;
  }
  BrokerSessionRequest Beat(int broker) const {
    return Request(broker, EpochOf(broker), cluster_.index().value());
  }
  int64_t EpochOf(int id) const { return cluster_.image().FindBroker(NodeId(id))->epoch.value(); }
  BrokerState StateOf(int id) const { return cluster_.image().FindBroker(NodeId(id))->state; }
  void Say(const std::shared_ptr<Peer>& peer, const BrokerSessionRequest& request) {
    executor_->RunNow([&] { server_->OnRequest(peer->id, request); });
    Run(absl::ZeroDuration());
  }
  void Close(const std::shared_ptr<Peer>& peer) {
    executor_->RunNow([&] { server_->OnClosed(peer->id); });
  }
  void Run(absl::Duration time) { loop_.RunFor(time); }
  std::shared_ptr<Peer> OpenAndSay(const BrokerSessionRequest& request) {
    const std::shared_ptr<Peer> peer = Open();
    Say(peer, request);
    return peer;
  }

  sim::SimLoop loop_{1};
  sim::SimClock clock_{loop_.time()};
  std::unique_ptr<sim::SimExecutor> executor_ = loop_.MakeExecutor("controller", &clock_);
  std::deque<MetricRegistry> metrics_;
  controller::LeaderWatch leaders_;
  TestCluster cluster_;
  // What the server was told of cluster_'s log, and the image of it.
  size_t told_ = 0;
  metadata::Image images_;
  std::vector<std::pair<int, SessionDecision::Kind>> decisions_;
  // What a round of the quorum says, at once; nothing: it goes on.
  std::optional<absl::Status> leads_ = absl::OkStatus();
  std::vector<LeadershipConfirmed> rounds_;
  std::unique_ptr<BrokerSessionServer> server_;
};

using Kind = SessionDecision::Kind;
using Decided = std::pair<int, Kind>;

TEST_F(BrokerSessionServerTest, WhoeverDoesNotLeadSaysWhoDoes) {
  leaders_.Set({.leader = NodeId(3), .leader_epoch = LeaderEpoch(7), .address = "c3:9"});
  const auto peer = Open();
  ASSERT_TRUE(peer->ended.has_value());
  EXPECT_THAT(*peer->ended, HasCode(ErrorCode::kNotController));
  EXPECT_EQ(DetailOf(*peer->ended).leader->address, "c3:9");
}

TEST_F(BrokerSessionServerTest, AnObserverFollowsWhatIsCommittedFromNothing) {
  Lead();
  const auto peer = OpenAndSay(Request(5, 0));
  EXPECT_EQ(peer->follower.image(), images_);
  cluster_.Start(1, 1);
  cluster_.Create("t", 3, 1);
  TellCommitted();
  Run(absl::ZeroDuration());
  EXPECT_EQ(peer->follower.image(), cluster_.image());
  EXPECT_EQ(peer->image_chunks, 0);
  // It is no broker, and nobody misses it.
  EXPECT_EQ(peer->states.back().state(), internal::v1::BROKER_STATE_UNSPECIFIED);
  EXPECT_EQ(peer->states.back().controller_term(), 3);
  Close(peer);
  Run(absl::Milliseconds(2900));
  EXPECT_THAT(decisions_, IsEmpty());
}

TEST_F(BrokerSessionServerTest, WhoeverIsTooFarBehindGetsTheImageFirst) {
  cluster_.Start(1, 1);
  for (int i = 0; i < 20; ++i) cluster_.Create(absl::StrCat("t", i), 3, 1);
  Make(/*entry_bytes_max=*/500);
  Lead();
  const auto peer = OpenAndSay(Request(5, 0));
  EXPECT_EQ(peer->image_chunks, 1);
  EXPECT_EQ(peer->follower.image(), cluster_.image());
  cluster_.Create("after", 1, 1);
  TellCommitted();
  Run(absl::ZeroDuration());
  EXPECT_EQ(peer->follower.image(), cluster_.image());
  EXPECT_EQ(peer->image_chunks, 1);
}

TEST_F(BrokerSessionServerTest, AReaderThatStopsIsSentNothingMoreAndFindsItsWayBack) {
  Make(/*entry_bytes_max=*/2000);
  Lead();
  const auto peer = OpenAndSay(Request(5, 0));
  peer->stopped = true;
  cluster_.Start(1, 1);
  for (int i = 0; i < 100; ++i) cluster_.Create(absl::StrCat("t", i), 3, 1);
  TellCommitted();
  Run(absl::ZeroDuration());
  const int messages = peer->messages;
  cluster_.Create("more", 1, 1);
  TellCommitted();
  Run(absl::ZeroDuration());
  EXPECT_EQ(peer->messages, messages);
  peer->stopped = false;
  Sendable(peer);
  Run(absl::ZeroDuration());
  EXPECT_EQ(peer->follower.image(), cluster_.image());
  EXPECT_EQ(peer->image_chunks, 1);
}

TEST_F(BrokerSessionServerTest, ABrokerBecomesActiveAndIsToldSo) {
  cluster_.Register(1, 1);
  TellCommitted();
  Lead();
  const auto peer = OpenAndSay(Request(1, EpochOf(1)));
  ASSERT_THAT(peer->states, SizeIs(1));
  EXPECT_EQ(peer->states.back().state(), internal::v1::BROKER_STATE_FENCED);
  Say(peer, Request(1, EpochOf(1), peer->follower.applied().value()));
  EXPECT_THAT(decisions_, ElementsAre(Decided(1, Kind::kActivate)));
  EXPECT_EQ(peer->states.back().state(), internal::v1::BROKER_STATE_ACTIVE);
  EXPECT_EQ(peer->follower.image().FindBroker(NodeId(1))->state, BrokerState::kActive);
}

TEST_F(BrokerSessionServerTest, S31_ABrokenStreamFencesAfterTheGraceUnlessItComesBack) {
  cluster_.Start(1, 1);
  TellCommitted();
  Lead();
  const auto first = OpenAndSay(Beat(1));
  Close(first);
  Run(absl::Milliseconds(150));
  const auto second = OpenAndSay(Beat(1));
  Run(absl::Milliseconds(1000));
  EXPECT_THAT(decisions_, IsEmpty());
  Close(second);
  Run(absl::Milliseconds(199));
  EXPECT_THAT(decisions_, IsEmpty());
  Run(absl::Milliseconds(2));
  EXPECT_THAT(decisions_, ElementsAre(Decided(1, Kind::kFence)));
  EXPECT_EQ(StateOf(1), BrokerState::kFenced);
}

TEST_F(BrokerSessionServerTest, SilenceFencesAlsoWithAnOpenStream) {
  cluster_.Start(1, 1);
  TellCommitted();
  Lead();
  const auto peer = OpenAndSay(Beat(1));
  Run(absl::Milliseconds(2999));
  EXPECT_THAT(decisions_, IsEmpty());
  Run(absl::Milliseconds(2));
  EXPECT_THAT(decisions_, ElementsAre(Decided(1, Kind::kFence)));
  EXPECT_FALSE(peer->ended.has_value());
  EXPECT_EQ(peer->states.back().state(), internal::v1::BROKER_STATE_FENCED);
  Say(peer, Beat(1));
  EXPECT_EQ(StateOf(1), BrokerState::kActive);
}

// What it says by itself must not be taken for an answer to what may never come (S-33).
TEST_F(BrokerSessionServerTest, S33_AStateNamesTheHeartbeatThatWasHeardAlsoWhenNoneAsked) {
  cluster_.Start(1, 1);
  TellCommitted();
  Lead();
  BrokerSessionRequest beat = Beat(1);
  beat.set_heartbeat(7);
  const auto peer = OpenAndSay(beat);
  EXPECT_EQ(peer->states.back().heartbeat(), 7);
  beat.set_heartbeat(8);
  Say(peer, beat);
  EXPECT_EQ(peer->states.back().heartbeat(), 8);
  const size_t asked = peer->states.size();
  cluster_.Fence(1);
  TellCommitted();
  Run(absl::ZeroDuration());
  ASSERT_GT(peer->states.size(), asked);
  for (size_t i = asked; i < peer->states.size(); ++i) EXPECT_EQ(peer->states[i].heartbeat(), 8);
}

TEST_F(BrokerSessionServerTest, ANewStreamOfTheSameProcessReplacesTheOldOne) {
  cluster_.Start(1, 1);
  TellCommitted();
  Lead();
  const auto first = OpenAndSay(Beat(1));
  const auto second = OpenAndSay(Beat(1));
  EXPECT_TRUE(first->ended.has_value());
  EXPECT_FALSE(second->ended.has_value());
  // Its end arrives late, and means nothing.
  Close(first);
  Run(absl::Milliseconds(1000));
  EXPECT_THAT(decisions_, IsEmpty());
}

TEST_F(BrokerSessionServerTest, ANewRegistrationEndsTheStreamOfTheProcessBefore) {
  cluster_.Start(1, 1);
  TellCommitted();
  Lead();
  const auto peer = OpenAndSay(Beat(1));
  cluster_.Register(1, 2);
  TellCommitted();
  ASSERT_TRUE(peer->ended.has_value());
  EXPECT_THAT(*peer->ended, HasCode(ErrorCode::kStaleBrokerEpoch));
}

TEST_F(BrokerSessionServerTest, S05_OnADirectoryThatTheBrokerStartedWithoutNobodyFollowsIt) {
  cluster_.Start(1, 1);
  const DirectoryId other(Uuid(99, 99));
  auto without = TestCluster::Registration(1, 2, {{other, 0, false}});
  without.set_has_unopened_log_dirs(true);
  ASSERT_OK(cluster_.Run(without));
  cluster_.Activate(1);
  TellCommitted();
  Lead();
  const auto peer = OpenAndSay(Beat(1));
  const TestCluster::LogDir absent{cluster_.DirectoryOf(1), 1, true};
  EXPECT_THAT(server_->CheckNewcomer(TestCluster::Registration(1, 3, {absent})),
              HasCode(ErrorCode::kResourceExhausted));
  EXPECT_OK(server_->CheckNewcomer(TestCluster::Registration(1, 3, {absent, {other, 1, true}})));
}

// Kafka's DUPLICATE_BROKER_REGISTRATION: one with a wrong node.id must not end a broker that is
// well.
TEST_F(BrokerSessionServerTest, ANewcomerDoesNotTakeTheIdOfABrokerThatIsWell) {
  cluster_.Start(1, 1);
  TellCommitted();
  Lead();
  const auto newcomer = TestCluster::Registration(1, 2, {{DirectoryId(Uuid(99, 99)), 0, false}});
  EXPECT_OK(server_->CheckNewcomer(newcomer)) << "nobody is there";
  const auto peer = OpenAndSay(Beat(1));
  EXPECT_THAT(server_->CheckNewcomer(newcomer),
              IsError(ErrorCode::kResourceExhausted, "localhost:9001"));
  EXPECT_OK(server_->CheckNewcomer(
      TestCluster::Registration(1, 1, {{DirectoryId(Uuid(99, 99)), 0, false}})))
      << "the same process";
  EXPECT_OK(server_->CheckNewcomer(TestCluster::Registration(
      1, 2, {{DirectoryId(Uuid(99, 99)), 0, false}, {cluster_.DirectoryOf(1), 1, true}})))
      << "a process that was started again, be it before the end of the one before is known";
  EXPECT_OK(server_->CheckNewcomer(
      TestCluster::Registration(2, 2, {{DirectoryId(Uuid(99, 99)), 0, false}})))
      << "another broker";
  Run(absl::Milliseconds(1001));
  EXPECT_OK(server_->CheckNewcomer(newcomer)) << "nothing was heard for two heartbeats";
  Say(peer, Beat(1));
  EXPECT_THAT(server_->CheckNewcomer(newcomer), HasCode(ErrorCode::kResourceExhausted));
  Close(peer);
  EXPECT_OK(server_->CheckNewcomer(newcomer)) << "its stream has gone";
}

TEST_F(BrokerSessionServerTest, TheStreamOfABrokerThatIsUnregisteredEnds) {
  cluster_.Register(1, 1);
  cluster_.Start(2, 1);
  TellCommitted();
  Lead();
  // Fenced until it has applied its registration.
  const auto peer = OpenAndSay(Request(1, EpochOf(1)));
  const auto other = OpenAndSay(Beat(2));
  v1::UnregisterBrokerRequest request;
  request.set_broker_id(1);
  ASSERT_OK(cluster_.Run(request));
  TellCommitted();
  ASSERT_TRUE(peer->ended.has_value());
  EXPECT_THAT(*peer->ended, HasCode(ErrorCode::kBrokerIdNotRegistered));
  EXPECT_FALSE(other->ended.has_value());
  Run(absl::Seconds(1));
  EXPECT_THAT(decisions_, IsEmpty());
}

TEST_F(BrokerSessionServerTest, StreamsThatCannotBeServedAreRefused) {
  cluster_.Start(1, 1);
  TellCommitted();
  Lead();
  EXPECT_THAT(*OpenAndSay(Request(1, EpochOf(1) - 1))->ended,
              HasCode(ErrorCode::kStaleBrokerEpoch));
  EXPECT_THAT(*OpenAndSay(Request(8, 4))->ended, HasCode(ErrorCode::kBrokerIdNotRegistered));
  EXPECT_THAT(*OpenAndSay(Request(-1, 0))->ended, HasCode(ErrorCode::kInvalidRequest));
  BrokerSessionRequest foreign = Request(5, 0);
  foreign.set_cluster_id(ClusterId(Uuid(1, 2)).ToBytes());
  EXPECT_THAT(*OpenAndSay(foreign)->ended, HasCode(ErrorCode::kInconsistentClusterId));
  // S-20: the log that it knows is not this one.
  EXPECT_THAT(*OpenAndSay(Request(5, 0, cluster_.index().value() + 1))->ended,
              HasCode(ErrorCode::kInvalidRequest));
  // A stream keeps its broker and epoch.
  const auto peer = OpenAndSay(Request(5, 0));
  EXPECT_FALSE(peer->ended.has_value());
  Say(peer, Beat(1));
  EXPECT_THAT(*peer->ended, HasCode(ErrorCode::kInvalidRequest));
}

// It cannot know what the one that leads by now has committed, and a refusal ends a broker for
// good.
TEST_F(BrokerSessionServerTest, S12_AFormerLeaderThatDoesNotKnowItRefusesNobody) {
  cluster_.Start(1, 1);
  TellCommitted();
  Lead();
  leads_.reset();
  const std::vector<BrokerSessionRequest> requests = {Request(5, 0, cluster_.index().value() + 1),
                                                      Request(1, EpochOf(1) - 1), Request(8, 4)};
  std::vector<std::shared_ptr<Peer>> peers;
  for (const BrokerSessionRequest& request : requests) {
    peers.push_back(OpenAndSay(request));
    Say(peers.back(), request);
    EXPECT_FALSE(peers.back()->ended.has_value()) << "no round of the quorum has ended";
    EXPECT_EQ(peers.back()->messages, 0);
  }
  EXPECT_THAT(rounds_, SizeIs(3));
  executor_->RunNow([&] { EndRounds(MakeError(ErrorCode::kNotController, "another leads")); });
  for (const auto& peer : peers) EXPECT_THAT(*peer->ended, HasCode(ErrorCode::kNotController));
}

TEST_F(BrokerSessionServerTest, S12_ARoundThatEndsAfterItsStreamSaysNothing) {
  Lead();
  leads_.reset();
  const auto lost = OpenAndSay(Request(8, 4));
  executor_->RunNow([&] { server_->OnLostLeadership(); });
  EXPECT_THAT(*lost->ended, HasCode(ErrorCode::kNotController));
  Lead();
  const auto gone = OpenAndSay(Request(8, 4));
  Close(gone);
  EXPECT_THAT(rounds_, SizeIs(2));
  executor_->RunNow([&] { EndRounds(absl::OkStatus()); });
  EXPECT_THAT(*lost->ended, HasCode(ErrorCode::kNotController));
  EXPECT_FALSE(gone->ended.has_value());
}

TEST_F(BrokerSessionServerTest, S31_LossOfLeadershipEndsAllStreamsAndTheNextElectionBeginsAnew) {
  cluster_.Start(1, 1);
  TellCommitted();
  Lead();
  const auto session = OpenAndSay(Beat(1));
  const auto observer = OpenAndSay(Request(5, 0));
  executor_->RunNow([&] { server_->OnLostLeadership(); });
  EXPECT_THAT(*session->ended, HasCode(ErrorCode::kNotController));
  EXPECT_THAT(*observer->ended, HasCode(ErrorCode::kNotController));
  Run(absl::Seconds(10));
  EXPECT_THAT(decisions_, IsEmpty());
  Lead();
  Run(absl::Milliseconds(2999));
  EXPECT_THAT(decisions_, IsEmpty());
  Run(absl::Milliseconds(2));
  EXPECT_THAT(decisions_, ElementsAre(Decided(1, Kind::kFence)));
}

TEST_F(BrokerSessionServerTest, ABrokerThatWantsToStopIsToldWhenItMay) {
  cluster_.Start(1, 1);
  cluster_.Start(2, 1);
  cluster_.CreateOn("t", {1, 2});
  TellCommitted();
  Lead();
  const auto peer = OpenAndSay(Beat(1));
  const auto other = OpenAndSay(Beat(2));
  BrokerSessionRequest leaving = Beat(1);
  leaving.set_want_shutdown(true);
  Say(peer, leaving);
  EXPECT_TRUE(peer->states.back().may_stop());
  EXPECT_EQ(peer->states.back().state(), internal::v1::BROKER_STATE_SHUTTING_DOWN);
  EXPECT_EQ(cluster_.Partition("t").leader, NodeId(2));
  // It knows by then who leads in its place.
  EXPECT_EQ(peer->applied_when_it_may_stop, images_.index());
  EXPECT_FALSE(other->states.back().may_stop());
}

TEST_F(BrokerSessionServerTest, WhoeverFollowsIsAnObserverOfTheQuorum) {
  cluster_.Start(1, 1);
  TellCommitted();
  Lead();
  const auto observer = OpenAndSay(Request(5, 0));
  const auto session = OpenAndSay(Beat(1));
  Open();
  Run(absl::Milliseconds(30));
  const std::vector<controller::QuorumMember> members = server_->Observers();
  ASSERT_THAT(members, SizeIs(2));
  EXPECT_EQ(members[0].node, NodeId(1));
  EXPECT_EQ(members[0].lag, 0);
  EXPECT_EQ(members[0].last_contact_ms, 30);
  EXPECT_EQ(members[1].node, NodeId(5));
  EXPECT_EQ(members[1].role, controller::QuorumMember::Role::kObserver);
  // As it says itself, not as it was sent.
  EXPECT_EQ(members[1].lag, cluster_.index().value());
}

}  // namespace
}  // namespace millrace::node
