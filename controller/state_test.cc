#include "controller/state.h"

#include <map>
#include <string>
#include <vector>

#include "controller/testing/test_cluster.h"

namespace millrace::controller {
namespace {

std::map<int, int> CountsOf(const State& state) {
  std::map<int, int> counts;
  state.replicas_per_broker.ForEach([&](NodeId broker, int count) {
    if (count != 0) counts[broker.value()] = count;
  });
  return counts;
}

TEST(StateTest, ReplicasPerBrokerFollowCreationAndDeletion) {
  TestCluster cluster;
  for (int id = 1; id <= 2; ++id) cluster.Start(id, 1);
  cluster.Create("first", 4, 2);
  cluster.CreateOn("b", {1});
  EXPECT_EQ(CountsOf(cluster.state()), (std::map<int, int>{{1, 5}, {2, 4}}));
  v1::DeleteTopicsRequest request;
  request.add_names(std::string("first"));
  ASSERT_OK(cluster.Run(request));
  EXPECT_EQ(CountsOf(cluster.state()), (std::map<int, int>{{1, 1}}));
}

TEST(StateTest, StateMadeFromAnImageCountsTheSame) {
  TestCluster cluster;
  for (int id = 1; id <= 3; ++id) cluster.Start(id, 1);
  cluster.Create("a", 10, 2);
  const State made = MakeState(cluster.image(), cluster.state().settings);
  EXPECT_EQ(CountsOf(made), CountsOf(cluster.state()));
}

TEST(StateTest, PartitionsInMotionAndWithoutLeadersAreCountedAndElectionsToo) {
  TestCluster cluster;
  for (int id = 1; id <= 3; ++id) cluster.Start(id, 1);
  cluster.CreateOn("t", {1, 2});
  AlterReassignmentsCommand move;
  move.request.add_reassignments()->set_topic("t");
  for (const int id : {3, 2}) move.request.mutable_reassignments(0)->add_replicas(id);
  ASSERT_OK(cluster.Run(move));
  EXPECT_EQ(cluster.state().partitions, (PartitionCounts{.reassigned = 1}));
  EXPECT_EQ(cluster.state().leader_elections, 0);
  cluster.Fence(1);
  cluster.Fence(2);
  EXPECT_EQ(cluster.state().leader_elections, 1);
  const PartitionCounts leaderless{.reassigned = 1, .without_leader = 1};
  EXPECT_EQ(cluster.state().partitions, leaderless);
  EXPECT_EQ(MakeState(cluster.image(), cluster.state().settings).partitions, leaderless);
  v1::DeleteTopicsRequest remove;
  remove.add_names("t");
  ASSERT_OK(cluster.Run(remove));
  EXPECT_EQ(cluster.state().partitions, PartitionCounts());
}

TEST(StateTest, BrokersAreCountedAsTheyComeAndGo) {
  TestCluster cluster;
  for (int id = 1; id <= 3; ++id) cluster.Start(id, 1);
  cluster.Register(4, 1);
  EXPECT_EQ(cluster.state().brokers, (BrokerCounts{.active = 3, .fenced = 1}));
  cluster.Activate(4);
  cluster.Fence(1);
  EXPECT_OK(cluster.Heartbeat(2, true, /*shutdown=*/true));
  EXPECT_EQ(cluster.state().brokers, (BrokerCounts{.active = 3, .fenced = 1}));
  EXPECT_EQ(MakeState(cluster.image(), cluster.state().settings).brokers, cluster.state().brokers);
  v1::UnregisterBrokerRequest gone;
  gone.set_broker_id(1);
  ASSERT_OK(cluster.Run(gone));
  EXPECT_EQ(cluster.state().brokers, (BrokerCounts{.active = 3, .fenced = 0}));
  // A new process of a broker is fenced until it is active.
  cluster.Register(3, 2);
  EXPECT_EQ(cluster.state().brokers, (BrokerCounts{.active = 2, .fenced = 1}));
}

// A topic "u" on 1 and 2 that may be led without proof, and of which 1 alone has what was
// acknowledged last.
class UncleanElectionsTest : public ::testing::Test {
 protected:
  UncleanElectionsTest() {
    for (int id = 1; id <= 3; ++id) cluster_.Start(id, 1);
    cluster_.CreateOn("u", {1, 2},
                      {{"min.insync.replicas", "1"}, {"unclean.leader.election.enable", "true"}});
    cluster_.Sync("u", {1});
  }
  // By the last entry, and no other: from 1 to 2.
  void ExpectUnclean(const std::vector<int>& isr, const std::vector<int>& elr) {
    EXPECT_EQ(cluster_.state().recovering_elections, 1);
    ASSERT_EQ(cluster_.state().unclean_elections.size(), 1u);
    const UncleanElection& election = cluster_.state().unclean_elections[0];
    EXPECT_EQ(election.partition, (TopicPartition{cluster_.IdOf("u"), PartitionIndex(0)}));
    EXPECT_EQ(election.leader, NodeId(2));
    EXPECT_EQ(election.leader_epoch, cluster_.Partition("u").leader_epoch);
    EXPECT_EQ(Ids(election.isr), isr);
    EXPECT_EQ(Ids(election.elr), elr);
    cluster_.Fence(3);
    EXPECT_TRUE(cluster_.state().unclean_elections.empty()) << "of the last entry only";
    EXPECT_EQ(cluster_.state().recovering_elections, 1);
  }

  TestCluster cluster_;
};

TEST_F(UncleanElectionsTest, S32_OfTheEntryThatFencesTheLeader) {
  cluster_.Fence(1);
  ExpectUnclean({1}, {});
}

TEST_F(UncleanElectionsTest, S32_OfARegistrationThatComesBeforeTheFence) {
  cluster_.Register(1, 2);
  ExpectUnclean({1}, {});
}

TEST_F(UncleanElectionsTest, S32_OfAFailedDirectory) {
  ASSERT_OK(cluster_.Run(FailDirectoriesCommand{
      NodeId(1), cluster_.image().FindBroker(NodeId(1))->epoch, {TestCluster::DirectoryOf(1)}}));
  ExpectUnclean({1}, {});
}

TEST_F(UncleanElectionsTest, S32_OfABrokerThatBecomesActive) {
  cluster_.Fence(2);
  cluster_.Fence(1);
  cluster_.Activate(2);
  ExpectUnclean({}, {1});
}

TEST_F(UncleanElectionsTest, ALeaderThatIsBroughtInSyncInTheSameEntryIsNone) {
  // S-35: 1 is damaged and hands over to 2, whom it takes in and leaves alone in sync.
  cluster_.Sync("u", {2});
  EXPECT_EQ(cluster_.Partition("u").leader, NodeId(2));
  // The end of a reassignment to the only replica, which had never been in sync.
  cluster_.CreateOn("v", {1});
  AlterReassignmentsCommand move;
  move.request.add_reassignments()->set_topic("v");
  move.request.mutable_reassignments(0)->add_replicas(3);
  ASSERT_OK(cluster_.Run(move));
  cluster_.Sync("v", {1, 3});
  EXPECT_EQ(cluster_.Partition("v").leader, NodeId(3));
  EXPECT_EQ(Ids(cluster_.Partition("v").replicas), std::vector<int>{3});
  EXPECT_EQ(cluster_.state().recovering_elections, 0);
}

}  // namespace
}  // namespace millrace::controller
