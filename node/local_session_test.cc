#include "node/local_session.h"

#include <memory>
#include <optional>
#include <set>

#include "base/status.h"
#include "base/status_matchers.h"
#include "controller/commands.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "node/controller_role.h"
#include "node/testing/sim_env.h"

namespace millrace::node {
namespace {

using ::testing::ElementsAre;

class LocalSessionTest : public ::testing::Test {
 protected:
  LocalSessionTest() : quorum_(sim_.env.controller, sim_.env.clock, &leaders_) {
    role_ = std::make_unique<ControllerRole>(ParseNodeConfig({}, "d").value(), sim_.env, nullptr,
                                             nullptr, &leaders_, &quorum_);
    EXPECT_TRUE(role_->Open().ok());
    bool started = false;
    sim_.On([&] { role_->Start([&](const absl::Status& status) { started = status.ok(); }); });
    EXPECT_TRUE(sim_.Until([&] { return started; }));
    session_ = std::make_unique<LocalSession>(NodeId(1), role_->host());
  }

  internal::v1::RegisterBrokerRequest Registration() const {
    internal::v1::RegisterBrokerRequest request;
    request.set_broker_id(1);
    request.set_incarnation_id(IncarnationId(Uuid(3, 1)).ToBytes());
    request.set_feature_level_min(metadata::kFeatureLevelMin);
    request.set_feature_level_max(metadata::kFeatureLevelMax);
    internal::v1::BrokerListener* listener = request.add_listeners();
    listener->set_name("PLAINTEXT");
    listener->set_host("localhost");
    listener->set_port(9092);
    request.add_log_dirs()->set_directory_id(first_.ToBytes());
    return request;
  }

  // With two log directories; from then on the broker is active.
  void Start() {
    internal::v1::RegisterBrokerRequest request = Registration();
    request.add_log_dirs()->set_directory_id(other_.ToBytes());
    bool active = false;
    sim_.On([&] {
      session_->Register(request, [&](const absl::StatusOr<BrokerEpoch>& epoch) {
        ASSERT_OK(epoch);
        session_->Activate([&](const absl::Status& status) { active = status.ok(); });
      });
    });
    ASSERT_TRUE(sim_.Until([&] { return active; }));
  }
  bool HasFailed(DirectoryId directory) {
    const metadata::BrokerImage* const broker =
        role_->host()->committed_image().FindBroker(NodeId(1));
    return broker != nullptr && !broker->HasWorkingLogDir(directory);
  }
  // Where the partitions of a new topic lie.
  std::set<DirectoryId> DirectoriesOfANewTopic() {
    controller::CreateTopicsCommand command;
    v1::CreatableTopic* const topic = command.request.add_topics();
    topic->set_name("t");
    topic->set_partitions(4);
    command.fresh_ids.push_back(TopicId(Uuid(4, 1)));
    bool created = false;
    sim_.On([&] {
      role_->host()->Submit(command, [&](const auto& reply, LogIndex) { created = reply.ok(); });
    });
    EXPECT_TRUE(sim_.Until([&] { return created; }));
    std::set<DirectoryId> directories;
    role_->host()->committed_image().FindTopic("t")->ForEachPartition(
        [&](PartitionIndex, const metadata::PartitionImage& partition) {
          directories.insert(partition.DirectoryOf(NodeId(1)));
        });
    return directories;
  }

  const DirectoryId first_{Uuid(2, 1)};
  const DirectoryId other_{Uuid(2, 2)};
  SimEnv sim_;
  controller::LeaderWatch leaders_;
  RaftQuorumControl quorum_;
  std::unique_ptr<ControllerRole> role_;
  std::unique_ptr<LocalSession> session_;
};

TEST_F(LocalSessionTest, RegistersUnfencesAndShowsItInTheFeed) {
  std::optional<ClusterId> cluster;
  sim_.On([&] { session_->AwaitCluster([&](ClusterId id) { cluster = id; }); });
  EXPECT_EQ(cluster, role_->host()->committed_image().cluster_id());
  BrokerEpoch epoch = kNoBrokerEpoch;
  sim_.On([&] {
    session_->Register(Registration(),
                       [&](absl::StatusOr<BrokerEpoch> registered) { epoch = *registered; });
  });
  ASSERT_TRUE(sim_.Until([&] { return epoch != kNoBrokerEpoch; }));
  bool active = false;
  sim_.On([&] { session_->Activate([&](const absl::Status& status) { active = status.ok(); }); });
  ASSERT_TRUE(sim_.Until([&] { return active; }));
  const metadata::BrokerImage* broker = session_->feed().current()->FindBroker(NodeId(1));
  ASSERT_NE(broker, nullptr);
  EXPECT_EQ(broker->epoch, epoch);
  EXPECT_EQ(broker->state, metadata::BrokerState::kActive);

  internal::v1::AllocateProducerIdsRequest allocate;
  allocate.set_broker_id(1);
  allocate.set_broker_epoch(epoch.value());
  int32_t count = 0;
  sim_.On([&] {
    session_->channel().AllocateProducerIds(allocate, [&](auto reply) { count = reply->count(); });
  });
  EXPECT_TRUE(sim_.Until([&] { return count > 0; }));
}

TEST_F(LocalSessionTest, RefusalIsPassedOn) {
  internal::v1::RegisterBrokerRequest request = Registration();
  request.clear_log_dirs();
  std::optional<absl::Status> refused;
  sim_.On([&] {
    session_->Register(request,
                       [&](absl::StatusOr<BrokerEpoch> epoch) { refused = epoch.status(); });
  });
  ASSERT_TRUE(sim_.Until([&] { return refused.has_value(); }));
  EXPECT_EQ(CodeOf(*refused), ErrorCode::kInvalidRequest);
}

TEST_F(LocalSessionTest, NothingNewIsPlacedInADirectoryThatFailed) {
  Start();
  sim_.On([&] { session_->ReportFailedDirectory(other_); });
  ASSERT_TRUE(sim_.Until([&] { return HasFailed(other_); }));
  EXPECT_FALSE(HasFailed(first_));
  EXPECT_THAT(DirectoriesOfANewTopic(), ElementsAre(first_));
}

TEST_F(LocalSessionTest, ADirectoryThatFailsBeforeTheRegistrationIsToldAfterIt) {
  sim_.On([&] { session_->ReportFailedDirectory(other_); });
  Start();
  ASSERT_TRUE(sim_.Until([&] { return HasFailed(other_); }));
  EXPECT_THAT(DirectoriesOfANewTopic(), ElementsAre(first_));
}

TEST_F(LocalSessionTest, LeavingWaitsForNothing) {
  bool left = false;
  sim_.On([&] { session_->Leave(absl::Seconds(5), [&] { left = true; }); });
  EXPECT_TRUE(left);
}

}  // namespace
}  // namespace millrace::node
