#include "controller/election_commands.h"

#include "controller/limits.h"
#include "controller/testing/test_cluster.h"

namespace millrace::controller {
namespace {

using metadata::RecoveryState;
using ::testing::ElementsAre;
using ::testing::SizeIs;

const ConfigValues kReplicated = {{"durability", "replicated"}};

class ElectionCommandsTest : public ::testing::Test {
 protected:
  ElectionCommandsTest() {
    for (int id = 1; id <= 2; ++id) cluster_.Start(id, 1);
    cluster_.CreateOn("t", {1, 2}, kReplicated);
  }
  v1::ElectLeadersResponse Elect(v1::ElectionType type, std::vector<std::string> topics = {},
                                 std::vector<int> partitions = {}) {
    v1::ElectLeadersRequest request;
    request.set_type(type);
    for (const std::string& name : topics) {
      auto* topic = request.add_topics();
      topic->set_name(name);
      for (const int partition : partitions) topic->add_partitions(partition);
    }
    const auto reply = cluster_.Run(request);
    EXPECT_OK(reply);
    return reply.ok() ? *reply : v1::ElectLeadersResponse();
  }
  int64_t EpochOf(int id) const { return cluster_.image().FindBroker(NodeId(id))->epoch.value(); }
  // 1 was away: 2 leads, both are in sync.
  void MoveAway() {
    cluster_.Fence(1);
    cluster_.Activate(1);
    internal::v1::AlterPartitionRequest request;
    request.set_broker_id(2);
    request.set_broker_epoch(EpochOf(2));
    auto* topic = request.add_topics();
    topic->set_topic_id(cluster_.IdOf("t").ToBytes());
    auto* proposal = topic->add_partitions();
    proposal->set_leader_epoch(cluster_.Partition("t").leader_epoch.value());
    proposal->set_partition_epoch(cluster_.Partition("t").partition_epoch.value());
    for (const int id : {1, 2}) {
      auto* member = proposal->add_new_isr();
      member->set_broker_id(id);
      member->set_broker_epoch(EpochOf(id));
    }
    EXPECT_OK(cluster_.Run(request));
  }
  // Power was lost on both: nobody is sure to have all that was acknowledged.
  void LoseTrustInAll() {
    for (int id = 1; id <= 2; ++id) cluster_.Register(id, 2, /*suspect=*/true);
    for (int id = 1; id <= 2; ++id) cluster_.Activate(id);
    ASSERT_EQ(cluster_.Partition("t").leader, kNoNode);
  }

  TestCluster cluster_;
};

TEST_F(ElectionCommandsTest, KIP460_TheFirstReplicaLeadsAgainInANewEpoch) {
  MoveAway();
  ASSERT_EQ(cluster_.Partition("t").leader, NodeId(2));
  const LeaderEpoch before = cluster_.Partition("t").leader_epoch;
  const auto response = Elect(v1::ELECTION_TYPE_PREFERRED);
  ASSERT_THAT(response.results(), SizeIs(1));
  EXPECT_TRUE(response.results(0).changed());
  EXPECT_EQ(response.results(0).leader_id(), 1);
  EXPECT_EQ(cluster_.Partition("t").leader, NodeId(1));
  EXPECT_EQ(cluster_.Partition("t").leader_epoch, before + 1);
  // Again: nothing to tell of all, the state of one that is named.
  const size_t entries = cluster_.log().size();
  EXPECT_THAT(Elect(v1::ELECTION_TYPE_PREFERRED).results(), SizeIs(0));
  const auto named = Elect(v1::ELECTION_TYPE_PREFERRED, {"t"}, {0, 0});
  ASSERT_THAT(named.results(), SizeIs(2));
  EXPECT_FALSE(named.results(0).changed());
  EXPECT_EQ(named.results(0).leader_id(), 1);
  EXPECT_EQ(cluster_.log().size(), entries);
}

TEST_F(ElectionCommandsTest, AFirstReplicaThatIsNotInSyncIsNotElected) {
  cluster_.Fence(1);
  const auto response = Elect(v1::ELECTION_TYPE_PREFERRED, {"t"});
  ASSERT_THAT(response.results(), SizeIs(1));
  EXPECT_EQ(response.results(0).code(), v1::ERROR_CODE_INELIGIBLE_REPLICA);
  EXPECT_EQ(response.results(0).leader_id(), 2);
}

TEST_F(ElectionCommandsTest, S32_AnUncleanElectionIsByCommandAndCounted) {
  LoseTrustInAll();
  EXPECT_EQ(cluster_.state().recovering_elections, 0);
  const auto response = Elect(v1::ELECTION_TYPE_UNCLEAN, {"t"}, {0});
  ASSERT_THAT(response.results(), SizeIs(1));
  EXPECT_EQ(response.results(0).code(), 0) << response.results(0).message();
  EXPECT_EQ(cluster_.Partition("t").leader, NodeId(2)) << "the last known leader";
  EXPECT_EQ(cluster_.Partition("t").recovery_state, RecoveryState::kRecovering);
  EXPECT_TRUE(response.results(0).unclean());
  EXPECT_EQ(cluster_.state().recovering_elections, 1);
}

TEST_F(ElectionCommandsTest, S32_ItIsUncleanAlsoWhereTheLastMemberIsDeadAndEligible) {
  cluster_.CreateOn("u", {1, 2}, {{"min.insync.replicas", "1"}});
  cluster_.Fence(2);
  cluster_.Fence(1);
  cluster_.Activate(2);
  ASSERT_EQ(cluster_.Partition("u").leader, kNoNode);
  ASSERT_THAT(Ids(cluster_.Partition("u").elr), ElementsAre(1));
  const auto response = Elect(v1::ELECTION_TYPE_UNCLEAN, {"u"}, {0});
  ASSERT_THAT(response.results(), SizeIs(1));
  EXPECT_EQ(response.results(0).leader_id(), 2);
  EXPECT_TRUE(response.results(0).unclean());
  EXPECT_EQ(cluster_.state().recovering_elections, 1);
  // Asked again it has a leader.
  EXPECT_FALSE(Elect(v1::ELECTION_TYPE_UNCLEAN, {"u"}, {0}).results(0).unclean());
}

TEST_F(ElectionCommandsTest, AnEligibleReplicaThatIsBackIsElectedByRightAlsoByThisCommand) {
  cluster_.CreateOn("u", {1, 2}, {{"min.insync.replicas", "1"}});
  cluster_.Fence(2);
  cluster_.Fence(1);
  cluster_.Activate(1);
  ASSERT_EQ(cluster_.Partition("u").leader, NodeId(1));
  EXPECT_FALSE(Elect(v1::ELECTION_TYPE_UNCLEAN, {"u"}, {0}).results(0).unclean());
  EXPECT_EQ(cluster_.state().recovering_elections, 0);
}

TEST_F(ElectionCommandsTest, AnUncleanElectionLeavesPartitionsWithALeaderAlone) {
  const auto before = cluster_.Partition("t");
  EXPECT_THAT(Elect(v1::ELECTION_TYPE_UNCLEAN).results(), SizeIs(0));
  EXPECT_EQ(cluster_.Partition("t"), before);
}

TEST_F(ElectionCommandsTest, WithoutAnActiveReplicaNobodyIsElected) {
  cluster_.Fence(1);
  cluster_.Fence(2);
  const auto response = Elect(v1::ELECTION_TYPE_UNCLEAN, {"t"});
  ASSERT_THAT(response.results(), SizeIs(1));
  EXPECT_EQ(response.results(0).code(), v1::ERROR_CODE_BROKER_NOT_AVAILABLE);
}

TEST_F(ElectionCommandsTest, ATopicNamedTwiceIsToldOnce) {
  cluster_.Fence(1);
  EXPECT_THAT(Elect(v1::ELECTION_TYPE_PREFERRED, {"t", "t"}).results(), SizeIs(1));
}

TEST_F(ElectionCommandsTest, TheTopicsThatARequestNamesAreBounded) {
  v1::ElectLeadersRequest request;
  request.set_type(v1::ELECTION_TYPE_PREFERRED);
  for (int i = 0; i < kTopicsPerRequestMax; ++i) request.add_topics()->set_name("t");
  EXPECT_OK(cluster_.Run(request));
  request.add_topics()->set_name("t");
  EXPECT_THAT(cluster_.Run(request),
              IsError(ErrorCode::kInvalidRequest, "a request may name 10000 topics, not 10001"));
  request.clear_topics();
  v1::ElectLeadersTopic* const topic = request.add_topics();
  topic->set_name("t");
  for (int i = 0; i <= kPartitionsPerRequestMax; ++i) topic->add_partitions(0);
  EXPECT_THAT(cluster_.Run(request), IsError(ErrorCode::kInvalidRequest,
                                             "a request may name 10000 partitions, not 10001"));
}

TEST_F(ElectionCommandsTest, WhatCannotBeAskedForIsRefused) {
  EXPECT_THAT(cluster_.Run(v1::ElectLeadersRequest()), HasCode(ErrorCode::kInvalidRequest));
  const v1::ElectLeaderResult topic = Elect(v1::ELECTION_TYPE_PREFERRED, {"u"}).results(0);
  EXPECT_EQ(topic.code(), v1::ERROR_CODE_UNKNOWN_TOPIC_OR_PARTITION);
  EXPECT_EQ(topic.message(), "there is no topic 'u'");
  EXPECT_EQ(topic.leader_id(), -1);
  const v1::ElectLeaderResult partition = Elect(v1::ELECTION_TYPE_PREFERRED, {"t"}, {5}).results(0);
  EXPECT_EQ(partition.code(), v1::ERROR_CODE_UNKNOWN_TOPIC_OR_PARTITION);
  EXPECT_EQ(partition.message(), "there is no partition 5 of topic 't'");
  EXPECT_EQ(partition.leader_id(), -1);
}

}  // namespace
}  // namespace millrace::controller
