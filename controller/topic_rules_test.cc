#include "controller/topic_rules.h"

#include "controller/testing/test_cluster.h"

namespace millrace::controller {
namespace {

TEST(TopicRulesTest, S16_OnlyAsManyAsAreAssignedCanBeAskedFor) {
  const TopicRules rules{.min_insync_replicas = 3};
  metadata::PartitionImage partition;
  partition.replicas.push_back({NodeId(1), DirectoryId()});
  EXPECT_EQ(rules.ForPartition(partition).min_isr, 1);
}

TEST(TopicRulesTest, ComeFromTheTopicsConfigs) {
  TestCluster cluster;
  cluster.Start(1, 1);
  cluster.Create("t", 1, 1,
                 {{"durability", "replicated"}, {"unclean.leader.election.enable", "true"}});
  const TopicRules rules = TopicRulesOf(cluster.state(), cluster.IdOf("t"));
  EXPECT_FALSE(rules.durable);
  EXPECT_TRUE(rules.unclean_election);
  EXPECT_EQ(rules.min_insync_replicas, 1);
  EXPECT_EQ(InheritedTopicConfig(cluster.state(), "durability"), "durable");
}

}  // namespace
}  // namespace millrace::controller
