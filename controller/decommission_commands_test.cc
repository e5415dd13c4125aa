#include "controller/decommission_commands.h"

#include <map>
#include <optional>
#include <set>

#include "controller/limits.h"
#include "controller/testing/test_cluster.h"

namespace millrace::controller {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class DecommissionCommandsTest : public ::testing::Test {
 protected:
  // Brokers 1 to `count`, on racks a, b and c in turn.
  void StartBrokers(int count) {
    for (int id = 1; id <= count; ++id) {
      cluster_.Start(id, 1, /*suspect=*/false, std::string(1, "cab"[id % 3]));
    }
  }
  absl::StatusOr<v1::CordonBrokerResponse> Cordon(int id, bool cordoned = true) {
    v1::CordonBrokerRequest request;
    request.set_broker_id(id);
    request.set_cordoned(cordoned);
    return cluster_.Run(request);
  }
  absl::StatusOr<v1::DecommissionBrokerResponse> Decommission(
      int id, bool validate_only = false, std::optional<int64_t> throttle = std::nullopt) {
    DecommissionBrokerCommand command;
    command.request.set_broker_id(id);
    command.request.set_validate_only(validate_only);
    if (throttle) command.request.set_throttle_bytes_per_s(*throttle);
    return cluster_.Run(command);
  }
  absl::StatusOr<v1::UnregisterBrokerResponse> Unregister(int id) {
    v1::UnregisterBrokerRequest request;
    request.set_broker_id(id);
    return cluster_.Run(request);
  }
  bool IsCordoned(int id) const { return cluster_.image().FindBroker(NodeId(id))->cordoned; }
  // All leaders say that everybody has caught up.
  void SyncAll(const std::string& topic) {
    for (int i = 0; i < cluster_.image().FindTopic(topic)->partition_count(); ++i) {
      cluster_.Sync(topic, Ids(cluster_.Partition(topic, i).replicas), i);
    }
  }
  int ReplicasOn(int id) const {
    const int* count = cluster_.state().replicas_per_broker.Find(NodeId(id));
    return count == nullptr ? 0 : *count;
  }

  TestCluster cluster_;
};

TEST_F(DecommissionCommandsTest, NothingNewIsPlacedOnACordonedBrokerUntilItIsLifted) {
  StartBrokers(3);
  ASSERT_OK_AND_ASSIGN(const auto cordoned, Cordon(2));
  EXPECT_TRUE(cordoned.changed());
  EXPECT_FALSE(Cordon(2)->changed());
  EXPECT_EQ(cluster_.Create("t", 6, 2).code(), 0);
  EXPECT_EQ(ReplicasOn(2), 0);
  const auto refused = cluster_.Create("u", 1, 3);
  EXPECT_EQ(refused.code(), v1::ERROR_CODE_INVALID_REPLICATION_FACTOR);
  EXPECT_THAT(refused.message(), HasSubstr("there are 2 and 1 cordoned"));
  EXPECT_TRUE(Cordon(2, false)->changed());
  EXPECT_EQ(cluster_.Create("u", 1, 3).code(), 0);
  EXPECT_THAT(Cordon(9), HasCode(ErrorCode::kBrokerIdNotRegistered));
}

TEST_F(DecommissionCommandsTest, S16_ACordonDoesNotLowerTheDefaultReplicationFactor) {
  StartBrokers(3);
  ASSERT_OK(Cordon(2));
  EXPECT_EQ(cluster_.Create("t", 1, 0).code(), v1::ERROR_CODE_INVALID_REPLICATION_FACTOR);
}

TEST_F(DecommissionCommandsTest, CordonOutlivesARestartOfTheBrokerAndIsShown) {
  StartBrokers(2);
  ASSERT_OK(Cordon(2));
  cluster_.Start(2, 2);
  const auto cluster = cluster_.Run(v1::DescribeClusterRequest());
  ASSERT_OK(cluster);
  EXPECT_FALSE(cluster->brokers(0).cordoned());
  EXPECT_TRUE(cluster->brokers(1).cordoned());
}

TEST_F(DecommissionCommandsTest, EverythingMovesToOtherBrokersAndTheEndIsToldByZero) {
  StartBrokers(6);
  EXPECT_EQ(cluster_.Create("t", 12, 3).code(), 0);
  const int held = ReplicasOn(1);
  ASSERT_GT(held, 0);
  ASSERT_OK_AND_ASSIGN(const auto first, Decommission(1));
  EXPECT_TRUE(IsCordoned(1));
  EXPECT_EQ(first.replicas(), held);
  EXPECT_EQ(first.moving(), held);
  EXPECT_THAT(first.started(), SizeIs(held));
  const size_t entries = cluster_.log().size();
  ASSERT_OK_AND_ASSIGN(const auto again, Decommission(1));
  EXPECT_EQ(again.moving(), held);
  EXPECT_THAT(again.started(), SizeIs(0));
  EXPECT_EQ(cluster_.log().size(), entries) << "asked again it only tells";

  SyncAll("t");
  ASSERT_OK_AND_ASSIGN(const auto done, Decommission(1));
  EXPECT_EQ(done.replicas(), 0);
  EXPECT_EQ(ReplicasOn(1), 0);
  // Racks stay apart, and the load stays even.
  std::map<int, int> load;
  for (int i = 0; i < 12; ++i) {
    std::set<std::string> racks;
    for (const int id : Ids(cluster_.Partition("t", i).replicas)) {
      ++load[id];
      racks.insert(cluster_.image().FindBroker(NodeId(id))->rack);
    }
    EXPECT_THAT(racks, SizeIs(3)) << i;
  }
  for (const auto& [id, count] : load) EXPECT_LE(count, 12) << id;
}

TEST_F(DecommissionCommandsTest, APlaceOnAMoveUnderWayIsGivenToAnother) {
  StartBrokers(4);
  cluster_.CreateOn("t", {1, 2});
  AlterReassignmentsCommand move;
  auto* wanted = move.request.add_reassignments();
  wanted->set_topic("t");
  for (const int id : {3, 2}) wanted->add_replicas(id);
  ASSERT_OK(cluster_.Run(move));
  ASSERT_OK(Decommission(3));
  EXPECT_THAT(Ids(cluster_.Partition("t").replicas), ElementsAre(1, 2)) << "as it was before";
  EXPECT_FALSE(cluster_.Partition("t").IsReassigned());
  EXPECT_EQ(ReplicasOn(3), 0);
}

TEST_F(DecommissionCommandsTest, TooFewOtherBrokersAreRefusedWithTheNumbersAndNothingChanges) {
  StartBrokers(3);
  cluster_.CreateOn("t", {1, 2, 3});
  EXPECT_THAT(Decommission(1),
              IsError(ErrorCode::kInvalidReplicationFactor,
                      "partition t-0 has replication factor 3, and without broker 1 there are 2"));
  EXPECT_FALSE(IsCordoned(1));
  EXPECT_THAT(Decommission(7), HasCode(ErrorCode::kBrokerIdNotRegistered));
}

TEST_F(DecommissionCommandsTest, NothingMovesToFencedOrCordonedBrokers) {
  StartBrokers(5);
  cluster_.CreateOn("t", {1});
  cluster_.Fence(2);
  ASSERT_OK(Cordon(3));
  ASSERT_OK(Cordon(4));
  ASSERT_OK(Decommission(1));
  EXPECT_THAT(Ids(cluster_.Partition("t").target), ElementsAre(5));
}

TEST_F(DecommissionCommandsTest, NothingMovesToABrokerThatHoldsAllItMay) {
  StartBrokers(3);
  cluster_.CreateOn("t", {1});
  State state = cluster_.state();
  state.replicas_per_broker.Set(NodeId(2), kReplicasPerBrokerMax);
  DecommissionBrokerCommand command;
  command.request.set_broker_id(1);
  const auto decided = DecommissionBroker(state, command);
  ASSERT_OK(decided.reply);
  EXPECT_THAT(decided.reply->started(0).target(), ElementsAre(3));
  state.replicas_per_broker.Set(NodeId(3), kReplicasPerBrokerMax);
  const auto refused = DecommissionBroker(state, command);
  EXPECT_THAT(refused.reply, IsError(ErrorCode::kResourceExhausted, "100000 replicas"));
  EXPECT_TRUE(refused.records.empty());
}

TEST_F(DecommissionCommandsTest, ADryRunTellsTheMovesAndChangesNothing) {
  StartBrokers(3);
  cluster_.CreateOn("t", {1, 2});
  ASSERT_OK_AND_ASSIGN(const auto plan, Decommission(1, /*validate_only=*/true));
  ASSERT_THAT(plan.started(), SizeIs(1));
  EXPECT_THAT(plan.started(0).target(), ElementsAre(3, 2));
  EXPECT_FALSE(IsCordoned(1));
  EXPECT_FALSE(cluster_.Partition("t").IsReassigned());
}

TEST_F(DecommissionCommandsTest, AThrottleIsThatOfEveryMoveAndEndsWithIt) {
  StartBrokers(4);
  cluster_.CreateOn("t", {1, 2});
  ASSERT_OK_AND_ASSIGN(const auto begun, Decommission(1, false, 1000));
  ASSERT_THAT(begun.started(), SizeIs(1));
  EXPECT_EQ(begun.started(0).throttle_bytes_per_s(), 1000);
  EXPECT_EQ(cluster_.Partition("t").throttle_bytes_per_s, 1000);
  const size_t entries = cluster_.log().size();
  ASSERT_OK(Decommission(1, false, 1000));
  ASSERT_OK(Decommission(1));
  EXPECT_EQ(cluster_.log().size(), entries) << "the same, or none, changes nothing";
  EXPECT_EQ(cluster_.Partition("t").throttle_bytes_per_s, 1000);

  ASSERT_OK_AND_ASSIGN(const auto faster, Decommission(1, false, 5000));
  EXPECT_EQ(faster.moving(), 1);
  EXPECT_THAT(faster.started(), SizeIs(0)) << "it is under way";
  EXPECT_EQ(cluster_.Partition("t").throttle_bytes_per_s, 5000);
  ASSERT_OK(Decommission(1, false, 0));
  EXPECT_EQ(cluster_.Partition("t").throttle_bytes_per_s, 0) << "lifted";
  EXPECT_TRUE(cluster_.Partition("t").IsReassigned());
  ASSERT_OK(Decommission(1, false, 1000));
  SyncAll("t");
  EXPECT_FALSE(cluster_.Partition("t").IsReassigned());
  EXPECT_EQ(cluster_.Partition("t").throttle_bytes_per_s, 0);
}

TEST_F(DecommissionCommandsTest, AThrottleThatCannotBeIsRefusedAndNothingChanges) {
  StartBrokers(3);
  cluster_.CreateOn("t", {1, 2});
  EXPECT_THAT(Decommission(1, false, -1),
              IsError(ErrorCode::kInvalidRequest, "in bytes per second"));
  EXPECT_FALSE(IsCordoned(1));
  EXPECT_FALSE(cluster_.Partition("t").IsReassigned());
}

TEST_F(DecommissionCommandsTest, OnlyAStoppedBrokerThatHoldsNothingIsUnregistered) {
  StartBrokers(3);
  cluster_.CreateOn("t", {1});
  EXPECT_THAT(Unregister(1), IsError(ErrorCode::kInvalidRequest, "holds 1 replicas"));
  EXPECT_THAT(Unregister(2), IsError(ErrorCode::kInvalidRequest, "is running"));
  cluster_.Fence(2);
  ASSERT_OK(Unregister(2));
  EXPECT_EQ(cluster_.image().FindBroker(NodeId(2)), nullptr);
  EXPECT_THAT(Unregister(2), HasCode(ErrorCode::kBrokerIdNotRegistered));
  // It may come back as a new one.
  cluster_.Start(2, 2);
  EXPECT_FALSE(IsCordoned(2));
}

TEST_F(DecommissionCommandsTest, ABrokerThatIsShuttingDownAndHoldsNothingIsUnregistered) {
  StartBrokers(3);
  cluster_.CreateOn("t", {1});
  for (const int id : {1, 2}) ASSERT_OK(cluster_.Heartbeat(id, false, true));
  EXPECT_THAT(Unregister(1), IsError(ErrorCode::kInvalidRequest, "holds 1 replicas"));
  EXPECT_OK(Unregister(2));
  EXPECT_EQ(cluster_.image().FindBroker(NodeId(2)), nullptr);
}

TEST_F(DecommissionCommandsTest, AClusterBelowLevel3IsRefused) {
  EXPECT_THAT(CordonBroker(State(), {}).reply, HasCode(ErrorCode::kUnsupportedVersion));
  EXPECT_THAT(DecommissionBroker(State(), {}).reply, HasCode(ErrorCode::kUnsupportedVersion));
  EXPECT_THAT(UnregisterBroker(State(), {}).reply, HasCode(ErrorCode::kUnsupportedVersion));
}

}  // namespace
}  // namespace millrace::controller
