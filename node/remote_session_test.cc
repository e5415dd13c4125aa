#include "node/remote_session.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/sim/sim_clock.h"
#include "base/sim/sim_executor.h"
#include "base/sim/sim_random.h"
#include "base/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "metadata/image_snapshot.h"
#include "metadata/test_image.h"
#include "node/testing/fake_controller_link.h"
#include "rsm/entry_codec.h"

namespace millrace::node {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class RemoteSessionTest : public ::testing::Test {
 protected:
  RemoteSessionTest() {
    session_.SetOnEnded([this](const absl::Status& status) { ended_ = status; });
    On([this] {
      session_.Start(
          [this](const LeaderHint& leader) { leaders_.push_back(leader.leader.value()); });
    });
  }

  static RemoteSessionOptions Options(ClusterId cluster = ClusterId()) {
    RemoteSessionOptions options;
    options.cluster_id = cluster;
    options.self = NodeId(1);
    options.session.controllers = {{NodeId(101), "c:1"}};
    return options;
  }
  RemoteSession::Deps Deps() {
    return {.clock = &clock_, .random = &random_, .executor = executor_.get(), .link = &link_};
  }

  // As on the strand that the session lives on.
  void On(const std::function<void()>& step) { executor_->RunNow(step); }
  void Send(const internal::v1::BrokerSessionResponse& response) {
    On([&] { link_.Send(response); });
  }
  void End(const absl::Status& status) {
    On([&] { link_.End(status); });
  }
  void Register() {
    On([this] {
      session_.Register({}, [this](absl::StatusOr<BrokerEpoch> epoch) { epoch_ = *epoch; });
    });
  }
  void Activate() {
    On([this] {
      session_.Activate([this](const absl::Status& status) { active_ = status.ok(); });
    });
  }
  void SendImage(const metadata::Image& image) {
    internal::v1::BrokerSessionResponse response;
    response.mutable_image()->set_index(image.index().value());
    response.mutable_image()->set_data(metadata::EncodeImageSnapshot(image));
    response.mutable_image()->set_last(true);
    Send(response);
  }
  void SendEntry(int64_t index, const std::vector<rsm::Record>& records) {
    internal::v1::BrokerSessionResponse response;
    internal::v1::MetadataEntry* entry = response.mutable_entries()->add_entries();
    entry->set_index(index);
    entry->set_payload(rsm::EncodeEntry(records)->ToString());
    Send(response);
  }
  void SendState(internal::v1::BrokerState state, bool may_stop = false) {
    internal::v1::BrokerSessionResponse response;
    response.mutable_state()->set_state(state);
    response.mutable_state()->set_may_stop(may_stop);
    response.mutable_state()->set_controller_term(3);
    Send(response);
  }
  void Answer(int64_t epoch) {
    internal::v1::RegisterBrokerResponse response;
    response.set_broker_epoch(epoch);
    On([&] {
      auto done = std::move(link_.registrations.front().done);
      link_.registrations.pop_front();
      std::move(done)(response);
    });
  }
  // Registered at 3, and active.
  void BecomeActive() {
    SendImage(metadata::TestImage());
    Register();
    Answer(3);
    SendEntry(3, {metadata::Registered(1, 9)});
    ASSERT_EQ(epoch_, BrokerEpoch(3));
    Activate();
    SendState(internal::v1::BROKER_STATE_ACTIVE);
    ASSERT_TRUE(active_);
  }

  sim::SimLoop loop_{1};
  sim::SimClock clock_{loop_.time()};
  sim::SimRandom random_{1};
  std::unique_ptr<sim::SimExecutor> executor_ = loop_.MakeExecutor("controller", &clock_);
  FakeControllerLink link_;
  RemoteSession session_{Options(), Deps()};
  std::optional<absl::Status> ended_;
  std::vector<int> leaders_;
  BrokerEpoch epoch_ = kNoBrokerEpoch;
  bool active_ = false;
};

// Recovery is quick after a clean stop: the log directories may be open before the first image
// comes.
TEST_F(RemoteSessionTest, ABrokerThatComesBackRegistersAsOfItsClusterBeforeItFollows) {
  const ClusterId cluster = metadata::TestImage().cluster_id();
  FakeControllerLink link;
  RemoteSession::Deps deps = Deps();
  deps.link = &link;
  RemoteSession session(Options(cluster), deps);
  On([&] {
    session.Start([](const LeaderHint&) {});
    session.Register({}, [](const absl::StatusOr<BrokerEpoch>&) {});
    internal::v1::BrokerSessionResponse first;
    first.mutable_image()->set_index(2);
    first.mutable_image()->set_data("the first of several chunks");
    link.Send(first);
  });
  ASSERT_THAT(link.registrations, SizeIs(1));
  EXPECT_EQ(link.registrations.front().request.cluster_id(), cluster.ToBytes());
}

TEST_F(RemoteSessionTest, LearnsTheClusterThenRegistersAndFollows) {
  std::optional<ClusterId> cluster;
  On([&] { session_.AwaitCluster([&](ClusterId id) { cluster = id; }); });
  ASSERT_THAT(link_.sessions, SizeIs(1));
  EXPECT_EQ(link_.last_request().broker_id(), 1);
  EXPECT_EQ(link_.last_request().broker_epoch(), 0);
  EXPECT_THAT(link_.last_request().cluster_id(), IsEmpty());
  SendImage(metadata::TestImage());
  EXPECT_EQ(cluster, metadata::TestImage().cluster_id());
  EXPECT_THAT(leaders_, ElementsAre(101));

  Register();
  ASSERT_THAT(link_.registrations, SizeIs(1));
  EXPECT_EQ(link_.registrations.front().request.cluster_id(), cluster->ToBytes());
  Answer(3);
  // The second stream is the broker's own, and goes on from what is here.
  ASSERT_THAT(link_.sessions, SizeIs(2));
  EXPECT_TRUE(link_.sessions.front()->closed);
  EXPECT_EQ(link_.last_request().broker_epoch(), 3);
  EXPECT_EQ(link_.last_request().applied_index(), 2);
  EXPECT_EQ(link_.last_request().cluster_id(), cluster->ToBytes());
  // Not told before the metadata shows it: the feed must not begin with less.
  EXPECT_EQ(epoch_, kNoBrokerEpoch);
  SendEntry(3, {metadata::Registered(1, 9)});
  EXPECT_EQ(epoch_, BrokerEpoch(3));
  EXPECT_EQ(session_.feed().current()->FindBroker(NodeId(1))->epoch, BrokerEpoch(3));

  Activate();
  EXPECT_TRUE(link_.last_request().want_active());
  SendState(internal::v1::BROKER_STATE_FENCED);
  EXPECT_FALSE(active_);
  SendState(internal::v1::BROKER_STATE_ACTIVE);
  EXPECT_TRUE(active_);
}

TEST_F(RemoteSessionTest, HeartbeatsCarryWhatIsAppliedAndWhatHasFailed) {
  BecomeActive();
  SendEntry(6, {metadata::TopicMade(2, "u")});
  On([&] { session_.ReportFailedDirectory(DirectoryId(Uuid(2, 1))); });
  EXPECT_EQ(link_.last_request().applied_index(), 6);
  EXPECT_THAT(link_.last_request().failed_directories(),
              ElementsAre(DirectoryId(Uuid(2, 1)).ToBytes()));
  const size_t sent = link_.session().requests.size();
  loop_.RunFor(absl::Milliseconds(600));
  EXPECT_EQ(link_.session().requests.size(), sent + 1);
  EXPECT_THAT(link_.last_request().failed_directories(), SizeIs(1));
}

TEST_F(RemoteSessionTest, S33_ContactIsWhenTheHeartbeatWasSentThatTheControllerNames) {
  std::vector<MonotonicTime> contacts;
  session_.SetOnContact([&](MonotonicTime contact) { contacts.push_back(contact); });
  BecomeActive();
  const int64_t first = link_.session().requests.front().heartbeat();
  EXPECT_GT(first, 0);
  const int64_t last = link_.last_request().heartbeat();
  for (int i = 0; i < 600 && link_.last_request().heartbeat() == last; ++i) {
    loop_.RunFor(absl::Milliseconds(1));
  }
  const MonotonicTime sent = clock_.Now();
  EXPECT_GT(link_.last_request().heartbeat(), last);
  loop_.RunFor(absl::Milliseconds(100));
  internal::v1::BrokerSessionResponse response;
  response.mutable_state()->set_state(internal::v1::BROKER_STATE_ACTIVE);
  response.mutable_state()->set_controller_term(3);
  response.mutable_state()->set_heartbeat(link_.last_request().heartbeat());
  Send(response);
  ASSERT_FALSE(contacts.empty());
  EXPECT_EQ(contacts.back(), sent);
}

TEST_F(RemoteSessionTest, S31_BreakIsMendedUnderTheSameEpochFromWhatIsApplied) {
  BecomeActive();
  loop_.RunFor(absl::Milliseconds(1200));
  SendState(internal::v1::BROKER_STATE_ACTIVE);
  End(MakeError(ErrorCode::kBrokerNotAvailable, "reset"));
  ASSERT_THAT(link_.sessions, SizeIs(3));
  EXPECT_EQ(link_.last_request().broker_epoch(), 3);
  EXPECT_EQ(link_.last_request().applied_index(), 3);
  EXPECT_TRUE(link_.last_request().want_active());
  SendEntry(4, {metadata::TopicMade(2, "u")});
  EXPECT_NE(session_.feed().current()->FindTopic("u"), nullptr);
  EXPECT_THAT(link_.registrations, IsEmpty());
  // Who leads was not known for a moment, and at first not in which term.
  EXPECT_THAT(leaders_, ElementsAre(101, -1, 101, 101, -1, 101));
}

TEST_F(RemoteSessionTest, S20_StreamThatContradictsTheMetadataIsGivenUpForAnother) {
  BecomeActive();
  const std::shared_ptr<FakeControllerLink::Session> wrong = link_.sessions.back();
  metadata::Image older = metadata::TestImage();
  SendImage(older);
  EXPECT_TRUE(wrong->closed);
  EXPECT_EQ(session_.feed().current()->index(), LogIndex(3));
  loop_.RunFor(absl::Milliseconds(200));
  EXPECT_FALSE(link_.sessions.back()->closed);
  EXPECT_FALSE(ended_.has_value());
}

TEST_F(RemoteSessionTest, RecordOfAnUnknownFeatureLevelEndsTheSession) {
  BecomeActive();
  rsm::Record record = metadata::TopicMade(2, "u");
  record.type = rsm::RecordType(999);
  SendEntry(4, {record});
  ASSERT_TRUE(ended_.has_value());
  EXPECT_EQ(CodeOf(*ended_), ErrorCode::kUnsupportedVersion);
}

// By the first that it hears: no other controller has other metadata.
TEST_F(RemoteSessionTest, MetadataOfAnUnknownFeatureLevelEndsTheSessionOfOneAmongSeveral) {
  FakeControllerLink link;
  RemoteSession::Deps deps = Deps();
  deps.link = &link;
  RemoteSessionOptions options = Options();
  options.session.controllers.push_back({NodeId(102), "d:1"});
  RemoteSession session(options, deps);
  std::optional<absl::Status> ended;
  session.SetOnEnded([&](const absl::Status& status) { ended = status; });
  internal::v1::BrokerSessionResponse response;
  internal::v1::MetadataEntry* entry = response.mutable_entries()->add_entries();
  entry->set_index(1);
  rsm::Record record = metadata::TopicMade(2, "u");
  record.type = rsm::RecordType(999);
  entry->set_payload(rsm::EncodeEntry({&record, 1})->ToString());
  On([&] {
    session.Start([](const LeaderHint&) {});
    link.Send(response);
  });
  ASSERT_TRUE(ended.has_value());
  EXPECT_EQ(CodeOf(*ended), ErrorCode::kUnsupportedVersion);
}

TEST_F(RemoteSessionTest, ReplacedBrokerIsTold) {
  BecomeActive();
  End(MakeError(ErrorCode::kStaleBrokerEpoch, "another process has taken over"));
  ASSERT_TRUE(ended_.has_value());
  EXPECT_EQ(CodeOf(*ended_), ErrorCode::kStaleBrokerEpoch);
}

TEST_F(RemoteSessionTest, QuestionsGoToTheControllerOfTheSession) {
  BecomeActive();
  std::optional<absl::Status> answer;
  On([&] { session_.channel().AlterPartition({}, [&](auto reply) { answer = reply.status(); }); });
  ASSERT_THAT(link_.proposals, SizeIs(1));
  EXPECT_EQ(link_.proposals.front().address, "c:1");
  On([&] { std::move(link_.proposals.front().done)(internal::v1::AlterPartitionResponse()); });
  EXPECT_EQ(answer, absl::OkStatus());
}

TEST_F(RemoteSessionTest, QuestionWithoutAControllerIsRefusedAndOneWhoseSessionBreaksIsUnknown) {
  BecomeActive();
  std::optional<absl::Status> answer;
  On([&] { session_.channel().AlterPartition({}, [&](auto reply) { answer = reply.status(); }); });
  End(MakeError(ErrorCode::kBrokerNotAvailable, "reset"));
  EXPECT_FALSE(answer.has_value());
  loop_.RunFor(absl::Milliseconds(1));
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(CodeOf(*answer), ErrorCode::kOutcomeUnknown);
  // The answer that comes after all is nobody's.
  On([&] { std::move(link_.proposals.front().done)(internal::v1::AlterPartitionResponse()); });

  answer.reset();
  On([&] {
    session_.channel().AllocateProducerIds({}, [&](auto reply) { answer = reply.status(); });
  });
  EXPECT_FALSE(answer.has_value());
  loop_.RunFor(absl::Milliseconds(1));
  EXPECT_EQ(CodeOf(*answer), ErrorCode::kNotController);
}

TEST_F(RemoteSessionTest, LeavesWhenItMayOrWhenTimeIsUp) {
  BecomeActive();
  bool left = false;
  On([&] { session_.Leave(absl::Seconds(5), [&] { left = true; }); });
  EXPECT_TRUE(link_.last_request().want_shutdown());
  SendState(internal::v1::BROKER_STATE_SHUTTING_DOWN);
  EXPECT_FALSE(left);
  SendState(internal::v1::BROKER_STATE_SHUTTING_DOWN, /*may_stop=*/true);
  EXPECT_TRUE(left);
}

TEST_F(RemoteSessionTest, LeavesWithoutAControllerWhenTimeIsUp) {
  BecomeActive();
  bool left = false;
  On([&] { session_.Leave(absl::Seconds(5), [&] { left = true; }); });
  loop_.RunFor(absl::Milliseconds(4900));
  EXPECT_FALSE(left);
  loop_.RunFor(absl::Milliseconds(200));
  EXPECT_TRUE(left);
}

}  // namespace
}  // namespace millrace::node
