#include "controller/state.h"

#include <map>
#include <string>

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

}  // namespace
}  // namespace millrace::controller
