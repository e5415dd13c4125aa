#include "node/broker_role.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "node/testing/sim_env.h"

namespace millrace::node {
namespace {

// A controller's session that says what the test wants.
class FakeSession final : public ControllerSession, private broker::ControllerChannel {
 public:
  template <class T>
  using Done = ControllerSession::Done<T>;

  void SetOnEnded(std::function<void(const absl::Status&)> on_ended) override {
    ended = std::move(on_ended);
  }
  void AwaitCluster(absl::AnyInvocable<void(ClusterId) &&> known) override {
    cluster_known = std::move(known);
  }
  void Register(internal::v1::RegisterBrokerRequest request, Done<BrokerEpoch> done) override {
    registration = std::move(request);
    registered = std::move(done);
  }
  void Activate(absl::AnyInvocable<void(absl::Status) &&> done) override {
    activated = std::move(done);
  }
  void ReportFailedDirectory(DirectoryId) override {}
  void SetDiskSpeeds(DiskSpeeds) override {}
  void SetOnContact(std::function<void(MonotonicTime)>) override {}
  void Leave(absl::Duration, Task done) override { left = std::move(done); }
  metadata::Feed& feed() override { return metadata_feed; }
  broker::ControllerChannel& channel() override { return *this; }
  std::string Progress() const override { return ""; }

  metadata::Feed metadata_feed{std::make_shared<const metadata::Image>()};
  std::function<void(const absl::Status&)> ended;
  absl::AnyInvocable<void(ClusterId) &&> cluster_known;
  std::optional<internal::v1::RegisterBrokerRequest> registration;
  Done<BrokerEpoch> registered;
  absl::AnyInvocable<void(absl::Status) &&> activated;
  Task left;

 private:
  void AlterPartition(internal::v1::AlterPartitionRequest,
                      Done<internal::v1::AlterPartitionResponse>) override {}
  void ReportLastCopies(internal::v1::ReportLastCopiesRequest,
                        Done<internal::v1::ReportLastCopiesResponse>) override {}
  void AssignReplicasToDirs(internal::v1::AssignReplicasToDirsRequest,
                            Done<internal::v1::AssignReplicasToDirsResponse>) override {}
  void AllocateProducerIds(internal::v1::AllocateProducerIdsRequest,
                           Done<internal::v1::AllocateProducerIdsResponse>) override {}
};

class BrokerRoleTest : public ::testing::Test {
 protected:
  ~BrokerRoleTest() override {
    sim_.shard->Shutdown();
    sim_.controller->Shutdown();
  }

  static NodeConfig Config() {
    return ParseNodeConfig({{"process.roles", "broker"},
                            {"node.id", "101"},
                            {"controller.quorum.voters", "1@c:1"}},
                           "d")
        .value();
  }
  void Start(ClusterId known) {
    ASSERT_TRUE(sim_.files.CreateDirectory("d").ok());
    sim_.On([&] {
      role_.Start(
          &session_, known, {{.name = "PLAINTEXT", .host = "localhost", .port = 9092}},
          [this](const absl::Status& status) { started_ = status; },
          [this](const absl::Status& status) { ended_ = status; });
    });
  }
  // Up to an active broker.
  void BecomeActive() {
    Start(kCluster);
    ASSERT_TRUE(sim_.Until([this] { return session_.registration.has_value(); }));
    sim_.On([this] { std::exchange(session_.registered, nullptr)(BrokerEpoch(7)); });
    ASSERT_TRUE(sim_.Until([this] { return session_.activated != nullptr; }));
    sim_.On([this] { std::exchange(session_.activated, nullptr)(absl::OkStatus()); });
    ASSERT_EQ(started_, absl::OkStatus());
  }

  BrokerLifeState Shown() {
    for (const MetricSample& metric : sim_.metrics.Collect()) {
      if (metric.name == "millrace_broker_state") return BrokerLifeState(metric.value);
    }
    ADD_FAILURE() << "no such metric";
    return BrokerLifeState::kNotRunning;
  }

  const ClusterId kCluster{Uuid(7, 7)};
  SimEnv sim_;
  FakeSession session_;
  std::optional<absl::Status> started_;
  std::optional<absl::Status> ended_;
  BrokerRole role_{Config(), sim_.env, nullptr};
};

TEST_F(BrokerRoleTest, NewDirectoriesWaitUntilTheClusterIsKnown) {
  EXPECT_EQ(*ClusterOfLogDirs(sim_.files, {"d/logs"}), ClusterId());
  Start(ClusterId());
  ASSERT_TRUE(sim_.loop.RunUntilIdle());
  EXPECT_EQ(role_.broker(), nullptr);
  sim_.On([this] { std::exchange(session_.cluster_known, nullptr)(kCluster); });
  ASSERT_TRUE(sim_.Until([this] { return session_.registration.has_value(); }));
  EXPECT_EQ(*ClusterOfLogDirs(sim_.files, {"d/logs"}), kCluster);
}

TEST_F(BrokerRoleTest, RegistersWhatItFoundAndWaitsToBeActive) {
  Start(kCluster);
  ASSERT_TRUE(sim_.Until([this] { return session_.registration.has_value(); }));
  EXPECT_EQ(session_.registration->broker_id(), 101);
  EXPECT_EQ(session_.registration->listeners(0).port(), 9092);
  EXPECT_EQ(session_.registration->log_dirs_size(), 1);
  EXPECT_FALSE(session_.registration->incarnation_id().empty());
  sim_.On([this] { std::exchange(session_.registered, nullptr)(BrokerEpoch(7)); });
  // Active only when the epoch is durable in every directory (S-03).
  ASSERT_TRUE(sim_.Until([this] { return session_.activated != nullptr; }));
  EXPECT_FALSE(started_.has_value());
  EXPECT_FALSE(role_.Ready().ok());
  sim_.On([this] { std::exchange(session_.activated, nullptr)(absl::OkStatus()); });
  EXPECT_EQ(started_, absl::OkStatus());
  ASSERT_TRUE(sim_.Until([this] { return role_.Ready().ok(); }));
}

TEST_F(BrokerRoleTest, RefusedRegistrationEndsTheStart) {
  Start(kCluster);
  ASSERT_TRUE(sim_.Until([this] { return session_.registration.has_value(); }));
  sim_.On([this] { session_.ended(MakeError(ErrorCode::kInconsistentClusterId, "another")); });
  ASSERT_TRUE(started_.has_value());
  EXPECT_EQ(CodeOf(*started_), ErrorCode::kInconsistentClusterId);
  EXPECT_FALSE(ended_.has_value());
}

TEST_F(BrokerRoleTest, S01_BrokerThatWasReplacedSaysSo) {
  BecomeActive();
  sim_.On([this] { session_.ended(MakeError(ErrorCode::kStaleBrokerEpoch, "replaced")); });
  ASSERT_TRUE(ended_.has_value());
  EXPECT_EQ(CodeOf(*ended_), ErrorCode::kStaleBrokerEpoch);
}

TEST_F(BrokerRoleTest, HandsOverWhatItLeadsBeforeItCloses) {
  BecomeActive();
  std::optional<absl::Status> stopped;
  sim_.On(
      [&] { role_.Stop(absl::Seconds(1), [&](const absl::Status& status) { stopped = status; }); });
  sim_.loop.RunFor(absl::Minutes(1));
  EXPECT_FALSE(stopped.has_value());
  ASSERT_TRUE(session_.left != nullptr);
  sim_.On([this] { std::exchange(session_.left, nullptr)(); });
  ASSERT_TRUE(sim_.Until([&] { return stopped.has_value(); }));
  EXPECT_EQ(*stopped, absl::OkStatus());
  EXPECT_TRUE(*sim_.files.Exists("d/logs/clean-shutdown"));
}

TEST_F(BrokerRoleTest, ItsStateIsShownInKafkasNumbers) {
  EXPECT_EQ(Shown(), BrokerLifeState::kNotRunning);
  Start(ClusterId());
  EXPECT_EQ(Shown(), BrokerLifeState::kStarting);
  sim_.On([this] { std::exchange(session_.cluster_known, nullptr)(kCluster); });
  ASSERT_TRUE(sim_.Until([this] { return session_.registration.has_value(); }));
  EXPECT_EQ(Shown(), BrokerLifeState::kRecovery);
  sim_.On([this] { std::exchange(session_.registered, nullptr)(BrokerEpoch(7)); });
  ASSERT_TRUE(sim_.Until([this] { return session_.activated != nullptr; }));
  EXPECT_EQ(Shown(), BrokerLifeState::kRecovery) << "fenced still";
  sim_.On([this] { std::exchange(session_.activated, nullptr)(absl::OkStatus()); });
  EXPECT_EQ(Shown(), BrokerLifeState::kRunning);
  std::optional<absl::Status> stopped;
  sim_.On(
      [&] { role_.Stop(absl::Seconds(1), [&](const absl::Status& status) { stopped = status; }); });
  EXPECT_EQ(Shown(), BrokerLifeState::kPendingControlledShutdown);
  sim_.On([this] { std::exchange(session_.left, nullptr)(); });
  ASSERT_TRUE(sim_.Until([this] { return Shown() == BrokerLifeState::kShuttingDown; }));
  ASSERT_TRUE(sim_.Until([&] { return stopped.has_value(); }));
  EXPECT_EQ(Shown(), BrokerLifeState::kNotRunning);
}

TEST_F(BrokerRoleTest, StopDuringTheStartEndsBoth) {
  Start(kCluster);
  std::optional<absl::Status> stopped;
  sim_.On([&] {
    role_.Stop(absl::Seconds(1), [&](const absl::Status& status) { stopped = status; });
    std::exchange(session_.left, nullptr)();
  });
  ASSERT_TRUE(sim_.Until([&] { return stopped.has_value(); }));
  EXPECT_FALSE(session_.registration.has_value());
  EXPECT_FALSE(started_.has_value());
}

// KIP-112: it is offline, and the broker starts with the others.
TEST_F(BrokerRoleTest, ALogDirectoryOnADiskThatFailsDoesNotKeepTheOthersFromTellingTheCluster) {
  BecomeActive();
  ASSERT_TRUE(sim_.files.CreateDirectory("e").ok());
  for (const bool only_reads : {false, true}) {
    sim_.files.SetFaults([&](const sim::SimCall& call) -> std::optional<sim::SimFault> {
      if (call.path.rfind("e", 0) != 0 && call.path.rfind("/e", 0) != 0) return std::nullopt;
      if (only_reads && call.kind != sim::SimCall::Kind::kRead) return std::nullopt;
      return sim::SimFault::kIoError;
    });
    EXPECT_EQ(*ClusterOfLogDirs(sim_.files, {"e", "d/logs"}), kCluster);
    EXPECT_EQ(*ClusterOfLogDirs(sim_.files, {"d/logs", "e"}), kCluster);
    // Then the controllers tell it, as they do where all are new.
    EXPECT_EQ(*ClusterOfLogDirs(sim_.files, {"e"}), ClusterId());
    sim_.files.SetFaults(nullptr);
    const std::string text = *ReadWholeFile(sim_.files, "d/logs/meta.properties", 1 << 16);
    ASSERT_TRUE(ReplaceFile(sim_.files, "e/meta.properties", text).ok());
  }
  // What can be read and says nothing is none of the disk's errors.
  ASSERT_TRUE(ReplaceFile(sim_.files, "e/meta.properties", "damaged").ok());
  EXPECT_FALSE(ClusterOfLogDirs(sim_.files, {"e", "d/logs"}).ok());
}

TEST_F(BrokerRoleTest, S05_DirectoriesOfTwoClustersAreRefused) {
  BecomeActive();
  ASSERT_TRUE(sim_.files.CreateDirectory("e").ok());
  const std::string text = *ReadWholeFile(sim_.files, "d/logs/meta.properties", 1 << 16);
  EXPECT_EQ(*ClusterOfLogDirs(sim_.files, {"e", "d/logs"}), kCluster);
  // The same directory, of a cluster that another broker belongs to.
  SimEnv other;
  ASSERT_TRUE(other.files.CreateDirectory("d").ok());
  BrokerRole role(Config(), other.env, nullptr);
  FakeSession session;
  other.On([&] {
    role.Start(
        &session, ClusterId(Uuid(8, 8)), {}, [](const absl::Status&) {},
        [](const absl::Status&) {});
  });
  ASSERT_TRUE(other.Until([&] { return session.registration.has_value(); }));
  ASSERT_TRUE(ReplaceFile(sim_.files, "e/meta.properties",
                          *ReadWholeFile(other.files, "d/logs/meta.properties", 1 << 16))
                  .ok());
  EXPECT_EQ(CodeOf(ClusterOfLogDirs(sim_.files, {"d/logs", "e"}).status()),
            ErrorCode::kInconsistentClusterId);
  other.shard->Shutdown();
  other.controller->Shutdown();
}

}  // namespace
}  // namespace millrace::node
