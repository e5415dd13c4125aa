#include "controller/leader_balance.h"

#include "controller/testing/test_cluster.h"

namespace millrace::controller {
namespace {

using metadata::PartitionImage;
using ::testing::ElementsAre;

class LeaderBalanceTest : public ::testing::Test {
 protected:
  LeaderBalanceTest() {
    for (int id = 1; id <= 3; ++id) cluster_.Start(id, 1);
  }
  // Broker 1 goes away and comes back into every ISR that it had.
  void LoseLeaderships() {
    cluster_.Fence(1);
    cluster_.Activate(1);
    cluster_.image().ForEachTopic([&](const metadata::TopicImage& topic) {
      topic.ForEachPartition([&](PartitionIndex index, const PartitionImage& partition) {
        rejoins_.push_back(Rejoin({topic.id, index}, partition));
      });
    });
    for (const auto& request : rejoins_) EXPECT_OK(cluster_.Run(request));
    rejoins_.clear();
  }
  internal::v1::AlterPartitionRequest Rejoin(const TopicPartition& id,
                                             const PartitionImage& partition) {
    internal::v1::AlterPartitionRequest request;
    request.set_broker_id(partition.leader.value());
    request.set_broker_epoch(EpochOf(partition.leader));
    auto* topic = request.add_topics();
    topic->set_topic_id(id.topic_id.ToBytes());
    auto* proposal = topic->add_partitions();
    proposal->set_partition(id.partition.value());
    proposal->set_leader_epoch(partition.leader_epoch.value());
    proposal->set_partition_epoch(partition.partition_epoch.value());
    for (const metadata::ReplicaImage& replica : partition.replicas) {
      auto* member = proposal->add_new_isr();
      member->set_broker_id(replica.broker.value());
      member->set_broker_epoch(EpochOf(replica.broker));
    }
    return request;
  }
  int64_t EpochOf(NodeId id) const { return cluster_.image().FindBroker(id)->epoch.value(); }
  int Balance(BalanceLeadersCommand command = {}) {
    const auto reply = cluster_.Run(command);
    EXPECT_OK(reply);
    return reply.ok() ? reply->elections : -1;
  }

  TestCluster cluster_;
  std::vector<internal::v1::AlterPartitionRequest> rejoins_;
};

TEST_F(LeaderBalanceTest, LeadershipsGoBackToTheFirstReplicaInOneEntryAndInANewEpoch) {
  cluster_.CreateOn("a", {1, 2, 3});
  cluster_.CreateOn("b", {1, 3, 2});
  LoseLeaderships();
  ASSERT_EQ(cluster_.Partition("a").leader, NodeId(2));
  ASSERT_THAT(Ids(cluster_.Partition("a").isr), ElementsAre(1, 2, 3));
  const PartitionImage before = cluster_.Partition("a");
  const size_t entries = cluster_.log().size();
  EXPECT_EQ(Balance(), 2);
  EXPECT_EQ(cluster_.log().size(), entries + 1);
  EXPECT_EQ(cluster_.Partition("a").leader, NodeId(1));
  EXPECT_EQ(cluster_.Partition("b").leader, NodeId(1));
  EXPECT_EQ(cluster_.Partition("a").leader_epoch, before.leader_epoch + 1);
  EXPECT_EQ(cluster_.Partition("a").isr, before.isr);
  EXPECT_EQ(Balance(), 0);
  EXPECT_EQ(cluster_.log().size(), entries + 1);
}

TEST_F(LeaderBalanceTest, WhoeverIsOutOfSyncOrNotActiveIsNotGivenLeadership) {
  cluster_.CreateOn("a", {1, 2, 3});
  cluster_.Fence(1);
  EXPECT_EQ(Balance(), 0);
  cluster_.Activate(1);
  // Active, and not in sync yet.
  EXPECT_EQ(Balance(), 0);
  EXPECT_EQ(cluster_.Partition("a").leader, NodeId(2));
}

TEST_F(LeaderBalanceTest, OneEntryHoldsABoundedNumberOfElections) {
  for (int i = 0; i < 10; ++i) cluster_.CreateOn(absl::StrCat("t", i), {1, 2, 3});
  LoseLeaderships();
  EXPECT_EQ(Balance({.elections_max = 7}), 7);
  EXPECT_EQ(Balance({.elections_max = 7}), 3);
  EXPECT_EQ(Balance({.elections_max = 7}), 0);
}

}  // namespace
}  // namespace millrace::controller
