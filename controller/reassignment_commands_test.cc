#include "controller/reassignment_commands.h"

#include "controller/limits.h"
#include "controller/testing/test_cluster.h"
#include "metadata/record_types.h"

namespace millrace::controller {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// Brokers 1 to 4; topic "t" on 1, 2 and 3 with a minimum of two.
class ReassignmentCommandsTest : public ::testing::Test {
 protected:
  ReassignmentCommandsTest() {
    for (int id = 1; id <= 4; ++id) cluster_.Start(id, 1);
    cluster_.CreateOn("t", {1, 2, 3}, {{"min.insync.replicas", "2"}});
  }
  static void Add(AlterReassignmentsCommand* command, const std::string& topic, int partition,
                  const std::vector<int>& replicas) {
    auto* wanted = command->request.add_reassignments();
    wanted->set_topic(topic);
    wanted->set_partition(partition);
    for (const int id : replicas) wanted->add_replicas(id);
  }
  v1::PartitionReassignmentResult Ask(const std::vector<int>& replicas,
                                      const std::string& topic = "t", int partition = 0) {
    AlterReassignmentsCommand command;
    Add(&command, topic, partition, replicas);
    const auto reply = cluster_.Run(command);
    EXPECT_OK(reply);
    return reply.ok() ? reply->results(0) : v1::PartitionReassignmentResult();
  }
  void ExpectRefused(const std::vector<int>& replicas, v1::ErrorCode code, const std::string& why) {
    const size_t entries = cluster_.log().size();
    const auto result = Ask(replicas);
    EXPECT_EQ(result.code(), code);
    EXPECT_THAT(result.message(), HasSubstr(why));
    EXPECT_FALSE(result.changed());
    EXPECT_EQ(cluster_.log().size(), entries);
  }
  v1::ListPartitionReassignmentsResponse List(std::vector<std::string> topics = {}) {
    v1::ListPartitionReassignmentsRequest request;
    for (std::string& topic : topics) request.add_topics(std::move(topic));
    return *cluster_.Run(request);
  }

  TestCluster cluster_;
};

TEST_F(ReassignmentCommandsTest, KIP455_BeginsIsListedAndEndsWithTheLeadersWord) {
  const auto result = Ask({4, 2, 3});
  EXPECT_EQ(result.code(), 0) << result.message();
  EXPECT_TRUE(result.changed());
  EXPECT_THAT(result.state().replicas(), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(result.state().target(), ElementsAre(4, 2, 3));
  EXPECT_THAT(result.state().adding(), ElementsAre(4));
  EXPECT_THAT(result.state().removing(), ElementsAre(1));
  EXPECT_THAT(result.state().in_sync_replicas(), ElementsAre(1, 2, 3));
  EXPECT_EQ(cluster_.Partition("t").DirectoryOf(NodeId(4)), TestCluster::DirectoryOf(4));
  ASSERT_THAT(List().reassignments(), SizeIs(1));
  EXPECT_EQ(List().reassignments(0).topic(), "t");
  EXPECT_THAT(List({"u"}).reassignments(), IsEmpty());

  cluster_.Sync("t", {1, 2, 3, 4});
  EXPECT_THAT(Ids(cluster_.Partition("t").replicas), ElementsAre(4, 2, 3));
  EXPECT_THAT(List().reassignments(), IsEmpty());
  EXPECT_EQ(*cluster_.state().replicas_per_broker.Find(NodeId(4)), 1);
}

TEST_F(ReassignmentCommandsTest, TheSameAgainChangesNothing) {
  Ask({4, 2, 3});
  const size_t entries = cluster_.log().size();
  EXPECT_FALSE(Ask({4, 2, 3}).changed());
  EXPECT_EQ(cluster_.log().size(), entries);
}

TEST_F(ReassignmentCommandsTest, AThrottleIsListedAndChangedInPlace) {
  AlterReassignmentsCommand command;
  Add(&command, "t", 0, {4, 2, 3});
  command.request.mutable_reassignments(0)->set_throttle_bytes_per_s(1000);
  EXPECT_EQ(cluster_.Run(command)->results(0).state().throttle_bytes_per_s(), 1000);
  EXPECT_EQ(List().reassignments(0).throttle_bytes_per_s(), 1000);
  command.request.mutable_reassignments(0)->set_throttle_bytes_per_s(2000);
  const LeaderEpoch epoch = cluster_.Partition("t").leader_epoch;
  EXPECT_TRUE(cluster_.Run(command)->results(0).changed());
  EXPECT_EQ(cluster_.Partition("t").throttle_bytes_per_s, 2000);
  EXPECT_EQ(cluster_.Partition("t").leader_epoch, epoch) << "nobody has to attach anew";
  cluster_.Sync("t", {1, 2, 3, 4});
  EXPECT_EQ(cluster_.Partition("t").throttle_bytes_per_s, 0);
}

TEST_F(ReassignmentCommandsTest, AThrottleIsNotNegativeAndNeedsLevel4) {
  AlterReassignmentsCommand command;
  Add(&command, "t", 0, {4, 2, 3});
  command.request.mutable_reassignments(0)->set_throttle_bytes_per_s(-1);
  EXPECT_EQ(cluster_.Run(command)->results(0).code(), v1::ERROR_CODE_INVALID_REQUEST);
  State old = cluster_.state();
  metadata::records::FeatureLevelRecord level;
  level.set_feature_level(metadata::kReassignmentLevel);
  old = Machine::Apply(old, cluster_.index() + 1, {metadata::Encode(level)});
  command.request.mutable_reassignments(0)->set_throttle_bytes_per_s(1000);
  const auto decision = AlterPartitionReassignments(old, command);
  EXPECT_EQ(decision.reply->results(0).code(), v1::ERROR_CODE_UNSUPPORTED_VERSION);
  EXPECT_THAT(decision.records, IsEmpty());
}

TEST_F(ReassignmentCommandsTest, WithoutReplicasItIsTakenBack) {
  Ask({4, 2, 3});
  const auto result = Ask({});
  EXPECT_TRUE(result.changed());
  EXPECT_THAT(result.state().replicas(), ElementsAre(1, 2, 3));
  const auto again = Ask({});
  EXPECT_EQ(again.code(), 0);
  EXPECT_FALSE(again.changed());
}

TEST_F(ReassignmentCommandsTest, S30_ABrokerThatComesJoinsNoSetWhileItIsFenced) {
  Ask({4, 2, 3});
  cluster_.Fence(4);
  EXPECT_THAT(Ids(cluster_.Partition("t").isr), ElementsAre(1, 2, 3));
  EXPECT_TRUE(cluster_.Partition("t").IsReassigned());
  cluster_.Activate(4);
  cluster_.Sync("t", {1, 2, 3, 4});
  EXPECT_FALSE(cluster_.Partition("t").IsReassigned());
}

TEST_F(ReassignmentCommandsTest, AnOldLeaderThatDiesDoesNotEndIt) {
  Ask({4, 2, 3});
  cluster_.Fence(1);
  EXPECT_TRUE(cluster_.Partition("t").IsReassigned());
  EXPECT_EQ(cluster_.Partition("t").leader, NodeId(2));
  cluster_.Sync("t", {2, 3, 4});
  EXPECT_THAT(Ids(cluster_.Partition("t").replicas), ElementsAre(4, 2, 3));
}

TEST_F(ReassignmentCommandsTest, WhatCannotBeIsRefusedWithTheNumbers) {
  ExpectRefused({1, 2, 9}, v1::ERROR_CODE_INVALID_REPLICA_ASSIGNMENT,
                "broker 9 is not registered; registered are 1,2,3,4");
  ExpectRefused({1, 2, 2}, v1::ERROR_CODE_INVALID_REPLICA_ASSIGNMENT, "broker 2 is named twice");
  ExpectRefused({1}, v1::ERROR_CODE_INVALID_REPLICA_ASSIGNMENT,
                "1 replicas are fewer than the topic's min.insync.replicas of 2");
  std::vector<int> many(kReplicationFactorMax + 1, 1);
  ExpectRefused(many, v1::ERROR_CODE_INVALID_REPLICATION_FACTOR, "not 33");
  EXPECT_EQ(Ask({1}, "u").code(), v1::ERROR_CODE_UNKNOWN_TOPIC_OR_PARTITION);
  EXPECT_EQ(Ask({1}, "t", 1).code(), v1::ERROR_CODE_UNKNOWN_TOPIC_OR_PARTITION);
}

TEST_F(ReassignmentCommandsTest, CordonedBrokersKeepWhatTheyHoldAndGetNoMore) {
  for (const int id : {3, 4}) {
    v1::CordonBrokerRequest cordon;
    cordon.set_broker_id(id);
    cordon.set_cordoned(true);
    ASSERT_OK(cluster_.Run(cordon));
  }
  ExpectRefused({1, 2, 4}, v1::ERROR_CODE_INVALID_REPLICA_ASSIGNMENT, "broker 4 is cordoned");
  EXPECT_EQ(Ask({3, 2}).code(), 0);
}

TEST_F(ReassignmentCommandsTest, APartitionNamedTwiceIsRefusedTheSecondTime) {
  AlterReassignmentsCommand command;
  Add(&command, "t", 0, {4, 2, 3});
  Add(&command, "t", 0, {1, 2, 3});
  const auto reply = cluster_.Run(command);
  ASSERT_OK(reply);
  EXPECT_EQ(reply->results(0).code(), 0);
  EXPECT_EQ(reply->results(1).code(), v1::ERROR_CODE_INVALID_REQUEST);
}

TEST_F(ReassignmentCommandsTest, ADryRunAnswersTheSameAndChangesNothing) {
  AlterReassignmentsCommand command;
  Add(&command, "t", 0, {4, 2, 3});
  command.request.set_validate_only(true);
  const auto reply = cluster_.Run(command);
  ASSERT_OK(reply);
  EXPECT_THAT(reply->results(0).state().adding(), ElementsAre(4));
  EXPECT_FALSE(cluster_.Partition("t").IsReassigned());
}

TEST_F(ReassignmentCommandsTest, TheTopicsThatARequestNamesAreBounded) {
  v1::ListPartitionReassignmentsRequest request;
  for (int i = 0; i <= kTopicsPerRequestMax; ++i) request.add_topics("t");
  EXPECT_THAT(cluster_.Run(request),
              IsError(ErrorCode::kInvalidRequest, "a request may name 10000 topics, not 10001"));
}

TEST_F(ReassignmentCommandsTest, AClusterBelowLevel3IsRefused) {
  EXPECT_THAT(AlterPartitionReassignments(State(), {}).reply,
              IsError(ErrorCode::kUnsupportedVersion, "feature level 3"));
}

}  // namespace
}  // namespace millrace::controller
