#include "controller/broker_commands.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "controller/limits.h"
#include "controller/testing/test_cluster.h"

namespace millrace::controller {
namespace {

using metadata::BrokerState;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

const ConfigValues kReplicated = {{"durability", "replicated"}};

TEST(BrokerCommandsTest, S01_NewIncarnationEndsItsLeadershipAndRaisesTheEpochAlsoWithOneReplica) {
  TestCluster cluster;
  cluster.Start(1, 1);
  cluster.Create("t", 1, 1);
  ASSERT_EQ(cluster.Partition("t").leader_epoch, LeaderEpoch(0));

  cluster.Register(1, 2);
  EXPECT_EQ(cluster.Partition("t").leader, kNoNode);
  EXPECT_EQ(cluster.Partition("t").leader_epoch, LeaderEpoch(1));

  cluster.Activate(1);
  EXPECT_EQ(cluster.Partition("t").leader, NodeId(1));
  EXPECT_EQ(cluster.Partition("t").leader_epoch, LeaderEpoch(2));
  EXPECT_THAT(Ids(cluster.Partition("t").isr), ElementsAre(1));
}

TEST(BrokerCommandsTest, S01_LeaderIsElectedInALaterEntryThanItsRegistration) {
  TestCluster cluster;
  cluster.Start(1, 1);
  cluster.Create("t", 1, 1);
  cluster.Start(1, 2);
  const BrokerEpoch epoch = cluster.image().FindBroker(NodeId(1))->epoch;
  EXPECT_LT(epoch.value(), cluster.index().value());
  EXPECT_EQ(cluster.Partition("t").leader, NodeId(1));
}

TEST(BrokerCommandsTest, S03_RegistrationMovesLeadershipEvenIfTheSessionNeverExpired) {
  // KAFKA-18106.
  TestCluster cluster;
  for (int id = 1; id <= 3; ++id) cluster.Start(id, 1);
  cluster.CreateOn("t", {1, 2, 3});
  const size_t entries = cluster.log().size();
  cluster.Register(1, 2);
  EXPECT_EQ(cluster.log().size(), entries + 1);
  EXPECT_EQ(cluster.Partition("t").leader, NodeId(2));
  EXPECT_EQ(cluster.Partition("t").leader_epoch, LeaderEpoch(1));
  EXPECT_THAT(Ids(cluster.Partition("t").isr), ElementsAre(2, 3));
}

TEST(BrokerCommandsTest, S03_SuspectDirectoryTakesReplicatedTopicsOutOfIsrAndElr) {
  TestCluster cluster;
  for (int id = 1; id <= 3; ++id) cluster.Start(id, 1);
  cluster.CreateOn("replicated", {1, 2, 3}, kReplicated);
  cluster.CreateOn("durable", {1, 2, 3});
  // 2 and 3 go, so that 1 is the last member of both.
  cluster.Fence(2);
  cluster.Fence(3);
  ASSERT_THAT(Ids(cluster.Partition("replicated").isr), ElementsAre(1));

  cluster.Register(1, 2, /*suspect=*/true);
  EXPECT_THAT(Ids(cluster.Partition("replicated").isr), IsEmpty());
  EXPECT_THAT(Ids(cluster.Partition("replicated").elr), ElementsAre(3));
  // What a durable topic acknowledged is on the disk: it keeps its seat.
  EXPECT_THAT(Ids(cluster.Partition("durable").elr), ElementsAre(1, 3));
}

TEST(BrokerCommandsTest, S05_DirectoryLastOpenUnderAnotherEpochLosesItsSeatsAtEveryLevel) {
  TestCluster cluster;
  for (int id = 1; id <= 2; ++id) cluster.Start(id, 1);
  cluster.CreateOn("t", {1, 2});
  cluster.Fence(2);
  ASSERT_THAT(Ids(cluster.Partition("t").elr), ElementsAre(2));
  // A volume of an earlier day is restored.
  auto reply = cluster.Run(
      TestCluster::Registration(2, 2, {{TestCluster::DirectoryOf(2), /*last_open=*/0}}));
  ASSERT_OK(reply);
  EXPECT_EQ(reply->replicas_distrusted(), 1);
  EXPECT_THAT(Ids(cluster.Partition("t").elr), IsEmpty());
  EXPECT_FALSE(cluster.image().FindBroker(NodeId(2))->log_dirs[0].trusted);
}

TEST(BrokerCommandsTest, S05_MissingDirectoryNeverLeadsEvenAsTheLastCopy) {
  // KAFKA-14139.
  TestCluster cluster;
  cluster.Start(1, 1);
  cluster.Create("t", 1, 1);
  const DirectoryId fresh(Uuid(9, 9));
  ASSERT_OK(cluster.Run(TestCluster::Registration(1, 2, {{fresh, 0}})));
  cluster.Activate(1);
  EXPECT_EQ(cluster.Partition("t").leader, kNoNode);
  EXPECT_THAT(Ids(cluster.Partition("t").elr), IsEmpty());
  // The disk comes back.
  const int64_t epoch = cluster.image().FindBroker(NodeId(1))->epoch.value();
  ASSERT_OK(cluster.Run(
      TestCluster::Registration(1, 3, {{fresh, epoch}, {TestCluster::DirectoryOf(1), 2}})));
  cluster.Activate(1);
  EXPECT_EQ(cluster.Partition("t").leader, NodeId(1));
}

TEST(BrokerCommandsTest, S05_CrashBetweenRegistrationAndFirstOpenIsNoLoss) {
  TestCluster cluster;
  cluster.Start(1, 1);
  const int64_t opened = cluster.image().FindBroker(NodeId(1))->epoch.value();
  cluster.Create("t", 1, 1);
  // Two processes register and die before they open anything.
  for (int incarnation = 2; incarnation <= 3; ++incarnation) {
    auto reply = cluster.Run(
        TestCluster::Registration(1, incarnation, {{TestCluster::DirectoryOf(1), opened}}));
    ASSERT_OK(reply);
    EXPECT_EQ(reply->replicas_distrusted(), 0);
    EXPECT_THAT(Ids(cluster.Partition("t").elr), ElementsAre(1));
  }
  cluster.Activate(1);
  EXPECT_EQ(cluster.state().recovering_elections, 0);
  EXPECT_EQ(cluster.Partition("t").leader, NodeId(1));
}

TEST(BrokerCommandsTest, S21_CleanStopUnderAnEarlierRegistrationIsNotTrusted) {
  TestCluster cluster;
  cluster.Start(1, 1);
  const int64_t first = cluster.image().FindBroker(NodeId(1))->epoch.value();
  cluster.Create("t", 1, 1);
  cluster.Start(1, 2);
  auto reply = cluster.Run(TestCluster::Registration(1, 3, {{TestCluster::DirectoryOf(1), first}}));
  ASSERT_OK(reply);
  EXPECT_EQ(reply->replicas_distrusted(), 1);
}

TEST(BrokerCommandsTest, S32_OnlyReplicaUnderSuspicionIsElectedAgainRecoveredAndCounted) {
  TestCluster cluster;
  cluster.Start(1, 1);
  cluster.Create("t", 1, 1, kReplicated);
  cluster.Register(1, 2, /*suspect=*/true);
  EXPECT_THAT(Ids(cluster.Partition("t").isr), IsEmpty());
  EXPECT_THAT(Ids(cluster.Partition("t").elr), IsEmpty());
  cluster.Activate(1);
  EXPECT_EQ(cluster.state().recovering_elections, 1);
  EXPECT_EQ(cluster.Partition("t").leader, NodeId(1));
  EXPECT_THAT(Ids(cluster.Partition("t").isr), ElementsAre(1));
  EXPECT_EQ(cluster.Partition("t").recovery_state, metadata::RecoveryState::kRecovered);
  EXPECT_EQ(cluster.Partition("t").leader_epoch, LeaderEpoch(2));
}

TEST(BrokerCommandsTest, S32_SeveralReplicasUnderSuspicionAreNotElectedByThemselves) {
  TestCluster cluster;
  for (int id = 1; id <= 2; ++id) cluster.Start(id, 1);
  cluster.CreateOn("t", {1, 2}, kReplicated);
  cluster.Register(1, 2, /*suspect=*/true);
  cluster.Register(2, 2, /*suspect=*/true);
  cluster.Activate(1);
  cluster.Activate(2);
  EXPECT_EQ(cluster.Partition("t").leader, kNoNode);
  EXPECT_EQ(cluster.Partition("t").last_known_leader, NodeId(2));
}

TEST(BrokerCommandsTest, S30_FencingRemovesTheBrokerFromEveryIsrInOneEntry) {
  TestCluster cluster;
  for (int id = 1; id <= 3; ++id) cluster.Start(id, 1);
  cluster.CreateOn("led", {1, 2, 3});
  cluster.CreateOn("followed", {2, 1, 3});
  const size_t entries = cluster.log().size();
  cluster.Fence(1);
  EXPECT_EQ(cluster.log().size(), entries + 1);
  EXPECT_EQ(cluster.Partition("led").leader, NodeId(2));
  EXPECT_THAT(Ids(cluster.Partition("led").isr), ElementsAre(2, 3));
  EXPECT_EQ(cluster.Partition("led").leader_epoch, LeaderEpoch(1));
  // KAFKA-15021: a follower that leaves raises no leader epoch.
  EXPECT_EQ(cluster.Partition("followed").leader_epoch, LeaderEpoch(0));
  EXPECT_EQ(cluster.Partition("followed").partition_epoch, PartitionEpoch(1));
  EXPECT_THAT(Ids(cluster.Partition("followed").isr), ElementsAre(2, 3));
}

TEST(BrokerCommandsTest, S30_BelowMinIsrTheLeavingMemberBecomesEligible) {
  TestCluster cluster;
  for (int id = 1; id <= 3; ++id) cluster.Start(id, 1);
  cluster.CreateOn("t", {1, 2, 3});
  cluster.Fence(3);
  EXPECT_THAT(Ids(cluster.Partition("t").elr), IsEmpty());
  cluster.Fence(1);
  EXPECT_THAT(Ids(cluster.Partition("t").elr), ElementsAre(1));
  cluster.Fence(2);
  EXPECT_THAT(Ids(cluster.Partition("t").elr), ElementsAre(1, 2));
  EXPECT_EQ(cluster.Partition("t").leader, kNoNode);
  // 3 left while enough others stayed: it may lack what they acknowledged.
  cluster.Activate(3);
  EXPECT_EQ(cluster.Partition("t").leader, kNoNode);
  cluster.Activate(2);
  EXPECT_EQ(cluster.Partition("t").leader, NodeId(2));
  EXPECT_THAT(Ids(cluster.Partition("t").elr), ElementsAre(1));
}

TEST(BrokerCommandsTest, S41_ActiveOnlyPastTheOwnRegistrationsIndex) {
  TestCluster cluster;
  cluster.Register(1, 1);
  internal::v1::BrokerHeartbeatRequest request;
  request.set_broker_id(1);
  request.set_broker_epoch(cluster.index().value());
  request.set_want_active(true);
  request.set_applied_index(cluster.index().value() - 1);
  auto reply = cluster.Run(request);
  ASSERT_OK(reply);
  EXPECT_EQ(reply->state(), internal::v1::BROKER_STATE_FENCED);
  request.set_applied_index(cluster.index().value());
  reply = cluster.Run(request);
  ASSERT_OK(reply);
  EXPECT_EQ(reply->state(), internal::v1::BROKER_STATE_ACTIVE);
}

TEST(BrokerCommandsTest, KAFKA16952_SameIncarnationRegistersAgainWithoutANewEpoch) {
  TestCluster cluster;
  cluster.Start(1, 1);
  cluster.Create("t", 1, 1);
  const BrokerEpoch epoch = cluster.image().FindBroker(NodeId(1))->epoch;
  const size_t entries = cluster.log().size();
  auto reply = cluster.Run(TestCluster::Registration(1, 1, {{TestCluster::DirectoryOf(1)}}));
  ASSERT_OK(reply);
  EXPECT_EQ(reply->broker_epoch(), epoch.value());
  EXPECT_EQ(cluster.log().size(), entries);
}

TEST(BrokerCommandsTest, KIP380_RequestsOfAnOlderProcessAreRefused) {
  TestCluster cluster;
  cluster.Start(1, 1);
  const BrokerEpoch old = cluster.image().FindBroker(NodeId(1))->epoch;
  cluster.Start(1, 2);
  internal::v1::BrokerHeartbeatRequest heartbeat;
  heartbeat.set_broker_id(1);
  heartbeat.set_broker_epoch(old.value());
  EXPECT_THAT(cluster.Run(heartbeat), HasCode(ErrorCode::kStaleBrokerEpoch));
  EXPECT_THAT(cluster.Run(FenceBrokerCommand{NodeId(1), old}),
              HasCode(ErrorCode::kStaleBrokerEpoch));
  heartbeat.set_broker_id(2);
  EXPECT_THAT(cluster.Run(heartbeat), HasCode(ErrorCode::kBrokerIdNotRegistered));
}

TEST(BrokerCommandsTest, ControlledShutdownMovesWhatOthersCanLeadAndKeepsTheRest) {
  TestCluster cluster;
  for (int id = 1; id <= 2; ++id) cluster.Start(id, 1);
  cluster.CreateOn("shared", {1, 2});
  cluster.CreateOn("alone", {1});
  auto reply = cluster.Heartbeat(1, false, /*shutdown=*/true);
  ASSERT_OK(reply);
  EXPECT_TRUE(reply->may_stop());
  EXPECT_EQ(cluster.Partition("shared").leader, NodeId(2));
  EXPECT_THAT(Ids(cluster.Partition("shared").isr), ElementsAre(2));
  EXPECT_THAT(Ids(cluster.Partition("shared").elr), ElementsAre(1));
  EXPECT_EQ(cluster.Partition("alone").leader, NodeId(1));
  EXPECT_EQ(cluster.image().FindBroker(NodeId(1))->state, BrokerState::kShuttingDown);
  // Asked again, nothing more is to do.
  const size_t entries = cluster.log().size();
  ASSERT_OK(cluster.Heartbeat(1, false, /*shutdown=*/true));
  EXPECT_EQ(cluster.log().size(), entries);
  cluster.Fence(1);
  EXPECT_EQ(cluster.Partition("alone").leader, kNoNode);
}

TEST(BrokerCommandsTest, BadRegistrationsAreNamed) {
  TestCluster cluster;
  cluster.Start(1, 1);
  auto request = TestCluster::Registration(2, 1, {{TestCluster::DirectoryOf(1)}});
  EXPECT_THAT(cluster.Run(request), IsError(ErrorCode::kInvalidDirectory, "belongs to broker 1"));
  request = TestCluster::Registration(2, 1, {});
  EXPECT_THAT(cluster.Run(request), HasCode(ErrorCode::kInvalidRequest));
  request = TestCluster::Registration(2, 1, {{TestCluster::DirectoryOf(2)}});
  request.set_feature_level_min(metadata::kFeatureLevelMax + 1);
  request.set_feature_level_max(metadata::kFeatureLevelMax + 2);
  EXPECT_THAT(cluster.Run(request), IsError(ErrorCode::kUnsupportedVersion,
                                            absl::StrCat("levels ", metadata::kFeatureLevelMax + 1,
                                                         " to ", metadata::kFeatureLevelMax + 2)));
  request = TestCluster::Registration(2, 1, {{TestCluster::DirectoryOf(2)}});
  request.set_cluster_id(Uuid(1, 2).ToBytes());
  EXPECT_THAT(cluster.Run(request), HasCode(ErrorCode::kInconsistentClusterId));
  request = TestCluster::Registration(2, 1, {{TestCluster::DirectoryOf(2)}});
  request.mutable_listeners(0)->set_port(70000);
  request.mutable_listeners(0)->set_host("fd00::1");
  EXPECT_THAT(cluster.Run(request), IsError(ErrorCode::kInvalidRequest, "://[fd00::1]:70000'"));
  request = TestCluster::Registration(-2, 1, {{TestCluster::DirectoryOf(2)}});
  EXPECT_THAT(cluster.Run(request), HasCode(ErrorCode::kInvalidRequest));
  request = TestCluster::Registration(2, 1, {{TestCluster::DirectoryOf(2)}});
  request.set_incarnation_id("short");
  EXPECT_THAT(cluster.Run(request), HasCode(ErrorCode::kInvalidRequest));
}

TEST(BrokerCommandsTest, FoundingHappensOnce) {
  TestCluster cluster;
  EXPECT_OK(cluster.Run(FoundClusterCommand{ClusterId(Uuid(7, 7))}));
  EXPECT_THAT(cluster.Run(FoundClusterCommand{ClusterId(Uuid(8, 8))}),
              HasCode(ErrorCode::kInconsistentClusterId));
  EXPECT_EQ(cluster.log().size(), 1u);
}

TEST(BrokerCommandsTest, ProducerIdsAreNeverGivenOutTwice) {
  TestCluster cluster;
  cluster.Start(1, 1);
  internal::v1::AllocateProducerIdsRequest request;
  request.set_broker_id(1);
  request.set_broker_epoch(cluster.image().FindBroker(NodeId(1))->epoch.value());
  int64_t next = 0;
  for (int i = 0; i < 3; ++i) {
    auto reply = cluster.Run(request);
    ASSERT_OK(reply);
    EXPECT_EQ(reply->first_producer_id(), next);
    next += reply->count();
  }
}

TEST(BrokerCommandsTest, DescribeClusterTellsBrokersAndListeners) {
  TestCluster cluster;
  cluster.Start(1, 1, false, "rack-a");
  cluster.Register(2, 1);
  auto reply = cluster.Run(v1::DescribeClusterRequest());
  ASSERT_OK(reply);
  EXPECT_EQ(reply->controller_id(), 1);
  ASSERT_EQ(reply->brokers_size(), 2);
  EXPECT_THAT(reply->brokers(0).listeners(), ElementsAre("PLAINTEXT://localhost:9001"));
  EXPECT_EQ(reply->brokers(0).rack(), "rack-a");
  EXPECT_FALSE(reply->brokers(0).fenced());
  EXPECT_TRUE(reply->brokers(1).fenced());
}

}  // namespace
}  // namespace millrace::controller
