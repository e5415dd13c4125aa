#include "controller/replica_placement.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "controller/testing/test_cluster.h"

namespace millrace::controller {
namespace {

using metadata::ReplicaImage;
using metadata::Replicas;

// Counts of leaders and replicas per broker over `partitions` placements.
struct Spread {
  std::map<NodeId, int> leaders;
  std::map<NodeId, int> replicas;
};

Spread Place(ReplicaPlacer* placer, int partitions, int replication_factor) {
  Spread spread;
  for (int i = 0; i < partitions; ++i) {
    const Replicas replicas = placer->PlaceNext(replication_factor);
    EXPECT_EQ(static_cast<int>(replicas.size()), replication_factor);
    ++spread.leaders[replicas[0].broker];
    std::set<NodeId> distinct;
    for (const ReplicaImage& replica : replicas) {
      distinct.insert(replica.broker);
      ++spread.replicas[replica.broker];
    }
    EXPECT_EQ(distinct.size(), replicas.size());
  }
  return spread;
}

std::pair<int, int> Range(const std::map<NodeId, int>& counts) {
  int low = 1 << 30;
  int high = 0;
  for (const auto& [broker, count] : counts) {
    low = std::min(low, count);
    high = std::max(high, count);
  }
  return {low, high};
}

TEST(ReplicaPlacementTest, LeadersAndReplicasAreSpreadEvenly) {
  TestCluster cluster;
  for (int id = 1; id <= 5; ++id) cluster.Start(id, 1);
  ReplicaPlacer placer(cluster.image(), 12345);
  const Spread spread = Place(&placer, 500, 3);
  EXPECT_EQ(Range(spread.leaders), std::pair(100, 100));
  EXPECT_GE(Range(spread.replicas).first, 285);
  EXPECT_LE(Range(spread.replicas).second, 315);
}

TEST(ReplicaPlacementTest, ReplicasAreOnDifferentRacksWhileThereAreEnough) {
  TestCluster cluster;
  for (int id = 1; id <= 6; ++id) {
    cluster.Start(id, 1, false, std::string(1, static_cast<char>('a' + id % 3)));
  }
  ReplicaPlacer placer(cluster.image(), 7);
  for (int i = 0; i < 60; ++i) {
    std::set<std::string> racks;
    for (const ReplicaImage& replica : placer.PlaceNext(3)) {
      racks.insert(cluster.image().FindBroker(replica.broker)->rack);
    }
    EXPECT_EQ(racks.size(), 3u);
  }
}

TEST(ReplicaPlacementTest, FencedBrokersLeadNothingAndFollowOnlyIfTheyMust) {
  TestCluster cluster;
  for (int id = 1; id <= 4; ++id) cluster.Start(id, 1);
  cluster.Fence(4);
  ReplicaPlacer placer(cluster.image(), 3);
  const Spread three = Place(&placer, 40, 3);
  EXPECT_FALSE(three.replicas.contains(NodeId(4)));
  const Spread four = Place(&placer, 40, 4);
  EXPECT_FALSE(four.leaders.contains(NodeId(4)));
  EXPECT_EQ(four.replicas.at(NodeId(4)), 40);
}

TEST(ReplicaPlacementTest, LogDirectoriesOfABrokerTakeTurns) {
  TestCluster cluster;
  const DirectoryId a(Uuid(1, 1));
  const DirectoryId b(Uuid(1, 2));
  ASSERT_OK(cluster.Run(TestCluster::Registration(1, 1, {{a}, {b}})));
  cluster.Activate(1);
  ReplicaPlacer placer(cluster.image(), 0);
  std::map<DirectoryId, int> used;
  for (int i = 0; i < 10; ++i) ++used[placer.PlaceNext(1)[0].directory];
  EXPECT_EQ(used[a], 5);
  EXPECT_EQ(used[b], 5);
}

TEST(ReplicaPlacementTest, SameSeedPlacesTheSame) {
  TestCluster cluster;
  for (int id = 1; id <= 3; ++id) cluster.Start(id, 1);
  ReplicaPlacer one(cluster.image(), 99);
  ReplicaPlacer two(cluster.image(), 99);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(one.PlaceNext(2), two.PlaceNext(2));
}

TEST(ReplicaPlacementTest, HugeSeedsAreFine) {
  TestCluster cluster;
  for (int id = 1; id <= 3; ++id) cluster.Start(id, 1);
  ReplicaPlacer placer(cluster.image(), ~uint64_t{0});
  Place(&placer, 10, 3);
}

}  // namespace
}  // namespace millrace::controller
