#include "controller/topic_creation.h"

#include <set>
#include <string>

#include "controller/limits.h"
#include "controller/results.h"
#include "controller/testing/test_cluster.h"

namespace millrace::controller {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string OwnConfig(const TestCluster& cluster, absl::string_view topic, const char* key) {
  const ConfigValues& values =
      cluster.image().ConfigsOf(metadata::ConfigOwner::Topic(cluster.IdOf(topic)));
  auto it = values.find(key);
  return it == values.end() ? "" : it->second;
}

class TopicCreationTest : public ::testing::Test {
 protected:
  void ExpectRefused(const CreateTopicsCommand& command, ErrorCode code,
                     const std::string& message) {
    const size_t entries = cluster_.log().size();
    auto reply = cluster_.Run(command);
    ASSERT_OK(reply);
    EXPECT_EQ(reply->topics(0).code(), ToProto(code)) << reply->topics(0).message();
    EXPECT_THAT(reply->topics(0).message(), HasSubstr(message));
    EXPECT_TRUE(reply->topics(0).topic_id().empty());
    EXPECT_EQ(cluster_.log().size(), entries);
  }

  TestCluster cluster_;
};

TEST_F(TopicCreationTest, S16_DefaultsAreLoweredOnceAndStoredWithTheTopic) {
  cluster_.Start(1, 1);
  const v1::CreateTopicResult result = cluster_.Create("t", 0, 0);
  EXPECT_EQ(result.partitions(), 1);
  EXPECT_EQ(result.replication_factor(), 1);
  EXPECT_EQ(result.min_insync_replicas(), 1);
  EXPECT_EQ(OwnConfig(cluster_, "t", "min.insync.replicas"), "1");
  EXPECT_EQ(OwnConfig(cluster_, "t", "durability"), "durable");
  // More brokers change nothing for it.
  cluster_.Start(2, 1);
  cluster_.Start(3, 1);
  EXPECT_EQ(cluster_.Partition("t").replicas.size(), 1u);
  EXPECT_EQ(OwnConfig(cluster_, "t", "min.insync.replicas"), "1");
  EXPECT_EQ(cluster_.Create("u", 0, 0).replication_factor(), 3);
  EXPECT_EQ(OwnConfig(cluster_, "u", "min.insync.replicas"), "2");
}

TEST_F(TopicCreationTest, S16_LoweredToTheBrokersThereAreNotToThoseThatHappenToLive) {
  for (int id = 1; id <= 3; ++id) cluster_.Start(id, 1);
  cluster_.Fence(3);
  EXPECT_EQ(cluster_.Create("t", 1, 0).replication_factor(), 3);
  EXPECT_EQ(cluster_.Partition("t").isr.size(), 2u);
}

TEST_F(TopicCreationTest, ReplicationFactorBeyondTheBrokersIsRefusedWithBothNumbers) {
  cluster_.Start(1, 1);
  ExpectRefused(cluster_.Creation("t", 1, 3), ErrorCode::kInvalidReplicationFactor,
                "needs 3 brokers, but there are 1");
  ExpectRefused(cluster_.Creation("t", 1, -1), ErrorCode::kInvalidReplicationFactor, "-1");
  ExpectRefused(cluster_.Creation("t", 1, 33), ErrorCode::kInvalidReplicationFactor, "33");
}

TEST_F(TopicCreationTest, NoActiveBrokerIsARetriableRefusal) {
  cluster_.Register(1, 1);
  ExpectRefused(cluster_.Creation("t", 1, 1), ErrorCode::kBrokerNotAvailable, "active");
}

TEST_F(TopicCreationTest, PartitionCountsOutOfRangeAreRefused) {
  cluster_.Start(1, 1);
  ExpectRefused(cluster_.Creation("t", -1, 1), ErrorCode::kInvalidPartitions, "-1");
  ExpectRefused(cluster_.Creation("t", kPartitionsPerRequestMax + 1, 1),
                ErrorCode::kInvalidPartitions, "10001");
}

TEST_F(TopicCreationTest, S41_PartitionsOfOneRequestAreBoundedOverAllItsTopics) {
  cluster_.Start(1, 1);
  CreateTopicsCommand command = cluster_.Creation("a", kPartitionsPerRequestMax - 1, 1);
  for (const char* name : {"b", "c"}) {
    command.request.add_topics()->set_name(name);
    command.fresh_ids.push_back(cluster_.FreshId());
  }
  auto reply = cluster_.Run(command);
  ASSERT_OK(reply);
  EXPECT_EQ(reply->topics(0).code(), 0);
  EXPECT_EQ(reply->topics(1).code(), 0);
  EXPECT_EQ(reply->topics(2).code(), v1::ERROR_CODE_INVALID_PARTITIONS);
  EXPECT_EQ(cluster_.image().topic_count(), 2u);
}

TEST_F(TopicCreationTest, BadNamesAndCollisionsAreRefused) {
  cluster_.Start(1, 1);
  ExpectRefused(cluster_.Creation("a/b", 1, 1), ErrorCode::kInvalidTopicName, "'/'");
  cluster_.Create("my.topic", 1, 1);
  ExpectRefused(cluster_.Creation("my.topic", 1, 1), ErrorCode::kTopicAlreadyExists, "exists");
  ExpectRefused(cluster_.Creation("my_topic", 1, 1), ErrorCode::kInvalidTopicName,
                "collides with topic 'my.topic'");
}

TEST_F(TopicCreationTest, TopicThatIsTwiceInARequestIsRefusedBothTimes) {
  cluster_.Start(1, 1);
  CreateTopicsCommand command = cluster_.Creation("t.a", 1, 1);
  command.request.add_topics()->set_name("t_a");
  command.request.add_topics()->set_name("u");
  command.fresh_ids.push_back(cluster_.FreshId());
  command.fresh_ids.push_back(cluster_.FreshId());
  auto reply = cluster_.Run(command);
  ASSERT_OK(reply);
  EXPECT_EQ(reply->topics(0).code(), v1::ERROR_CODE_INVALID_REQUEST);
  EXPECT_EQ(reply->topics(1).code(), v1::ERROR_CODE_INVALID_REQUEST);
  EXPECT_EQ(reply->topics(2).code(), 0);
  EXPECT_EQ(cluster_.image().topic_count(), 1u);
}

TEST_F(TopicCreationTest, ConfigsAreChecked) {
  cluster_.Start(1, 1);
  ExpectRefused(cluster_.Creation("t", 1, 1, {{"retention.msec", "1"}}), ErrorCode::kInvalidConfig,
                "did you mean 'retention.ms'?");
  ExpectRefused(cluster_.Creation("t", 1, 1, {{"segment.bytes", "7"}}), ErrorCode::kInvalidConfig,
                "segment.bytes");
  ExpectRefused(cluster_.Creation("t", 1, 1, {{"cleanup.policy", "compact"}}),
                ErrorCode::kInvalidConfig, "not supported yet");
  ExpectRefused(cluster_.Creation("t", 1, 1, {{"min.insync.replicas", "2"}}),
                ErrorCode::kInvalidConfig, "replication factor of 1");
  CreateTopicsCommand twice = cluster_.Creation("t", 1, 1, {{"retention.ms", "1"}});
  *twice.request.mutable_topics(0)->add_configs() = twice.request.topics(0).configs(0);
  ExpectRefused(twice, ErrorCode::kInvalidConfig, "given twice");
}

TEST_F(TopicCreationTest, ValidateOnlyAnswersAndChangesNothing) {
  cluster_.Start(1, 1);
  CreateTopicsCommand command = cluster_.Creation("t", 4, 0);
  command.request.set_validate_only(true);
  const size_t entries = cluster_.log().size();
  auto reply = cluster_.Run(command);
  ASSERT_OK(reply);
  EXPECT_EQ(reply->topics(0).code(), 0);
  EXPECT_EQ(reply->topics(0).partitions(), 4);
  EXPECT_TRUE(reply->topics(0).topic_id().empty());
  EXPECT_EQ(cluster_.log().size(), entries);
}

TEST_F(TopicCreationTest, AssignmentsAreCheckedAndKept) {
  for (int id = 1; id <= 2; ++id) cluster_.Start(id, 1);
  cluster_.CreateOn("good", {2, 1});
  EXPECT_EQ(cluster_.Partition("good").leader, NodeId(2));
  EXPECT_EQ(cluster_.Partition("good").replicas[1].directory, TestCluster::DirectoryOf(1));

  const auto with = [&](std::vector<std::pair<int, std::vector<int>>> assignments) {
    CreateTopicsCommand command = cluster_.Creation("t", 0, 0);
    for (const auto& [partition, replicas] : assignments) {
      auto* out = command.request.mutable_topics(0)->add_assignments();
      out->set_partition(partition);
      for (const int replica : replicas) out->add_replicas(replica);
    }
    return command;
  };
  const ErrorCode code = ErrorCode::kInvalidReplicaAssignment;
  ExpectRefused(with({{0, {1, 1}}}), code, "twice");
  ExpectRefused(with({{0, {1, 5}}}), code, "broker 5");
  ExpectRefused(with({{0, {}}}), code, "no broker");
  ExpectRefused(with({{0, {1}}, {0, {2}}}), code, "twice");
  ExpectRefused(with({{0, {1}}, {2, {2}}}), code, "outside");
  ExpectRefused(with({{0, {1}}, {1, {2, 1}}}), code, "names 2 brokers");
  CreateTopicsCommand both = with({{0, {1}}});
  both.request.mutable_topics(0)->set_partitions(1);
  ExpectRefused(both, ErrorCode::kInvalidRequest, "not both");
}

TEST_F(TopicCreationTest, ReplicasOfAnAssignmentAreBoundedAsAReplicationFactorIs) {
  CreateTopicsCommand command = cluster_.Creation("t", 0, 0);
  auto* const assignment = command.request.mutable_topics(0)->add_assignments();
  for (int id = 1; id <= kReplicationFactorMax + 1; ++id) {
    cluster_.Start(id, 1);
    assignment->add_replicas(id);
  }
  ExpectRefused(command, ErrorCode::kInvalidReplicationFactor, "from 1 to 32, not 33");
}

TEST_F(TopicCreationTest, ReplicasPerBrokerAreBounded) {
  cluster_.Start(1, 1);
  for (int i = 0; i < kReplicasPerBrokerMax / kPartitionsPerRequestMax; ++i) {
    ASSERT_EQ(cluster_.Create("t" + std::to_string(i), kPartitionsPerRequestMax, 1).code(), 0);
  }
  ExpectRefused(cluster_.Creation("more", 1, 1), ErrorCode::kResourceExhausted, "100001 replicas");
  // S-41: the worst entry of such a broker still fits, at its registration and at its start.
  cluster_.Register(1, 2);
  EXPECT_EQ(cluster_.Partition("t0").leader, kNoNode);
  cluster_.Activate(1);
  EXPECT_EQ(cluster_.Partition("t0", 9999).leader, NodeId(1));
}

TEST_F(TopicCreationTest, GrowingKeepsWhatIsThere) {
  for (int id = 1; id <= 2; ++id) cluster_.Start(id, 1);
  cluster_.Create("t", 1, 2);
  const metadata::PartitionImage before = cluster_.Partition("t");
  CreatePartitionsCommand command;
  auto* wanted = command.request.add_topics();
  wanted->set_name("t");
  wanted->set_total_count(3);
  auto reply = cluster_.Run(command);
  ASSERT_OK(reply);
  EXPECT_EQ(reply->topics(0).code(), 0) << reply->topics(0).message();
  EXPECT_EQ(cluster_.image().FindTopic("t")->partition_count(), 3);
  EXPECT_EQ(cluster_.Partition("t"), before);
  EXPECT_EQ(cluster_.Partition("t", 2).replicas.size(), 2u);
}

TEST_F(TopicCreationTest, GrowingIsRefusedToFewerEqualOrUnknown) {
  cluster_.Start(1, 1);
  cluster_.Create("t", 2, 1);
  CreatePartitionsCommand command;
  for (const auto& [name, count] : {std::pair("t", 2), std::pair("u", 2)}) {
    auto* wanted = command.request.add_topics();
    wanted->set_name(name);
    wanted->set_total_count(count);
  }
  auto reply = cluster_.Run(command);
  ASSERT_OK(reply);
  EXPECT_EQ(reply->topics(0).code(), v1::ERROR_CODE_INVALID_PARTITIONS);
  EXPECT_EQ(reply->topics(1).code(), v1::ERROR_CODE_UNKNOWN_TOPIC_OR_PARTITION);
}

TEST_F(TopicCreationTest, BrokersOwnFileAndDynamicDefaultsCountForNewTopics) {
  TestCluster cluster(ConfigValues{{"num.partitions", "5"}, {"min.insync.replicas", "1"}});
  for (int id = 1; id <= 3; ++id) cluster.Start(id, 1);
  const v1::CreateTopicResult result = cluster.Create("t", 0, 0);
  EXPECT_EQ(result.partitions(), 5);
  EXPECT_EQ(result.min_insync_replicas(), 1);
}

}  // namespace
}  // namespace millrace::controller
