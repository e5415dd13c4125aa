#include "controller/config_commands.h"

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "controller/limits.h"
#include "controller/results.h"
#include "controller/testing/test_cluster.h"
#include "metadata/record_types.h"
#include "metadata/topic_config.h"

namespace millrace::controller {
namespace {

using ::testing::HasSubstr;

v1::AlterConfigsResource Topic(const std::string& name) {
  v1::AlterConfigsResource resource;
  resource.mutable_resource()->set_type(v1::CONFIG_RESOURCE_TYPE_TOPIC);
  resource.mutable_resource()->set_name(name);
  return resource;
}
v1::AlterConfigsResource Broker(const std::string& name) {
  v1::AlterConfigsResource resource = Topic(name);
  resource.mutable_resource()->set_type(v1::CONFIG_RESOURCE_TYPE_BROKER);
  return resource;
}
v1::AlterConfigsResource With(v1::AlterConfigsResource resource, const std::string& name,
                              v1::ConfigOperation operation, const std::string& value) {
  auto* alteration = resource.add_alterations();
  alteration->set_name(name);
  alteration->set_operation(operation);
  alteration->set_value(value);
  return resource;
}

class ConfigCommandsTest : public ::testing::Test {
 protected:
  ConfigCommandsTest() : cluster_(ConfigValues{{"log.retention.hours", "2"}}) {
    for (int id = 1; id <= 3; ++id) cluster_.Start(id, 1);
    cluster_.CreateOn("t", {1, 2, 3});
  }

  v1::AlterConfigsResult Alter(const v1::AlterConfigsResource& resource, bool dry_run = false) {
    v1::IncrementalAlterConfigsRequest request;
    *request.add_resources() = resource;
    request.set_validate_only(dry_run);
    auto reply = cluster_.Run(request);
    EXPECT_OK(reply);
    return reply->resources(0);
  }
  void ExpectSet(const v1::AlterConfigsResource& resource, const std::string& name,
                 const std::string& value) {
    EXPECT_EQ(Alter(With(resource, name, v1::CONFIG_OPERATION_SET, value)).message(), "");
  }
  void ExpectRefused(const v1::AlterConfigsResource& resource, const std::string& name,
                     const std::string& value, const std::string& message,
                     v1::ConfigOperation operation = v1::CONFIG_OPERATION_SET) {
    const size_t entries = cluster_.log().size();
    EXPECT_THAT(Alter(With(resource, name, operation, value)).message(), HasSubstr(message));
    EXPECT_EQ(cluster_.log().size(), entries);
  }

  v1::DescribeConfigsResult DescribeAll(const v1::ConfigResource& resource,
                                        const std::string& name = "") {
    v1::DescribeConfigsRequest request;
    *request.add_resources() = resource;
    if (!name.empty()) request.add_names(name);
    auto reply = cluster_.Run(request);
    EXPECT_OK(reply);
    return reply->resources(0);
  }
  v1::ConfigDescription Describe(const v1::AlterConfigsResource& resource,
                                 const std::string& name) {
    const v1::DescribeConfigsResult result = DescribeAll(resource.resource(), name);
    EXPECT_EQ(result.configs_size(), 1) << result.message();
    return result.configs_size() == 1 ? result.configs(0) : v1::ConfigDescription();
  }

  TestCluster cluster_;
};

TEST_F(ConfigCommandsTest, EachLayerOverridesTheOneBelowAndIsNamedAsSource) {
  const std::string key = "retention.ms";
  EXPECT_EQ(Describe(Topic("t"), key).value(), "7200000");
  EXPECT_EQ(Describe(Topic("t"), key).source(), v1::CONFIG_SOURCE_STATIC_BROKER);
  ExpectSet(Broker(""), "log.retention.ms", "3");
  EXPECT_EQ(Describe(Topic("t"), key).source(), v1::CONFIG_SOURCE_DYNAMIC_DEFAULT_BROKER);
  ExpectSet(Broker("1"), "log.retention.ms", "2");
  EXPECT_EQ(Describe(Topic("t"), key).source(), v1::CONFIG_SOURCE_DYNAMIC_BROKER);
  ExpectSet(Topic("t"), key, "1");
  const v1::ConfigDescription described = Describe(Topic("t"), key);
  EXPECT_EQ(described.value(), "1");
  EXPECT_EQ(described.source(), v1::CONFIG_SOURCE_TOPIC);
  ASSERT_EQ(described.synonyms_size(), 5);
  EXPECT_EQ(described.synonyms(0).name(), "retention.ms");
  EXPECT_EQ(described.synonyms(1).value(), "2");
  EXPECT_EQ(described.synonyms(2).value(), "3");
  EXPECT_EQ(described.synonyms(3).name(), "log.retention.hours");
  EXPECT_EQ(described.synonyms(4).source(), v1::CONFIG_SOURCE_DEFAULT);
}

TEST_F(ConfigCommandsTest, DescribeWithoutNamesListsEveryKeyInOrder) {
  const v1::DescribeConfigsResult topic = DescribeAll(Topic("t").resource());
  EXPECT_EQ(topic.configs_size(), static_cast<int>(metadata::TopicConfigSchema().keys().size()));
  for (int i = 1; i < topic.configs_size(); ++i) {
    EXPECT_LT(topic.configs(i - 1).name(), topic.configs(i).name());
  }
  const v1::DescribeConfigsResult broker = DescribeAll(Broker("1").resource());
  EXPECT_GT(broker.configs_size(), topic.configs_size());
}

TEST_F(ConfigCommandsTest, AllBrokersResourceTellsOnlyWhatIsSet) {
  EXPECT_EQ(DescribeAll(Broker("").resource()).configs_size(), 0);
  ExpectSet(Broker(""), "message.max.bytes", "5000");
  const v1::DescribeConfigsResult result = DescribeAll(Broker("").resource());
  ASSERT_EQ(result.configs_size(), 1);
  EXPECT_EQ(result.configs(0).value(), "5000");
}

TEST_F(ConfigCommandsTest, WhatAnotherBrokersOwnFileMaySayIsNotGuessed) {
  const std::string key = "log.retention.hours";
  const v1::ConfigDescription own = Describe(Broker("1"), key);
  EXPECT_EQ(own.value(), "2");
  EXPECT_EQ(own.source(), v1::CONFIG_SOURCE_STATIC_BROKER);
  const v1::ConfigDescription other = Describe(Broker("2"), key);
  EXPECT_EQ(other.value(), "");
  EXPECT_EQ(other.source(), v1::CONFIG_SOURCE_UNSPECIFIED);
  EXPECT_TRUE(other.read_only());
  EXPECT_EQ(other.default_value(), own.default_value());
  // What is set for it here is known.
  ExpectSet(Broker("2"), "log.retention.ms", "7");
  EXPECT_EQ(Describe(Broker("2"), "log.retention.ms").value(), "7");
}

TEST_F(ConfigCommandsTest, UnknownResourcesAndKeysAreNamed) {
  EXPECT_EQ(DescribeAll(Topic("nope").resource()).code(),
            v1::ERROR_CODE_UNKNOWN_TOPIC_OR_PARTITION);
  EXPECT_EQ(DescribeAll(Broker("9").resource()).code(), v1::ERROR_CODE_BROKER_ID_NOT_REGISTERED);
  EXPECT_EQ(DescribeAll(Broker("one").resource()).code(), v1::ERROR_CODE_INVALID_REQUEST);
  EXPECT_EQ(DescribeAll(v1::ConfigResource()).code(), v1::ERROR_CODE_INVALID_REQUEST);
  EXPECT_THAT(DescribeAll(Topic("t").resource(), "retention.sm").message(),
              HasSubstr("did you mean 'retention.ms'"));
  ExpectRefused(Topic("t"), "retention.sm", "1", "did you mean 'retention.ms'");
  ExpectRefused(Broker(""), "retention.ms", "1", "did you mean 'log.retention.ms'");
}

TEST_F(ConfigCommandsTest, AKeyThatIsReadAtTheStartOnlyIsRefusedAsThat) {
  Settings settings = *cluster_.state().settings;
  settings.node_keys = {{.name = "a.node.key"}};
  State state = cluster_.state();
  state.settings = std::make_shared<const Settings>(settings);
  for (const std::string broker : {"", "1"}) {
    for (const auto operation : {v1::CONFIG_OPERATION_SET, v1::CONFIG_OPERATION_DELETE}) {
      v1::IncrementalAlterConfigsRequest request;
      *request.add_resources() = With(Broker(broker), "a.node.key", operation, "1");
      const auto decision = IncrementalAlterConfigs(state, request);
      ASSERT_OK(decision.reply);
      EXPECT_EQ(decision.reply->resources(0).code(), v1::ERROR_CODE_INVALID_CONFIG);
      EXPECT_THAT(decision.reply->resources(0).message(),
                  HasSubstr("'a.node.key' cannot be changed on a running broker; set it in the "
                            "broker's file and restart it"));
    }
  }
}

TEST_F(ConfigCommandsTest, WhatADescriptionNamesIsBounded) {
  v1::DescribeConfigsRequest request;
  for (int i = 0; i < kConfigResourcesPerRequestMax; ++i) {
    *request.add_resources() = Topic(absl::StrCat("t", i)).resource();
  }
  EXPECT_OK(cluster_.Run(request));
  *request.add_resources() = Topic("t").resource();
  EXPECT_THAT(cluster_.Run(request),
              IsError(ErrorCode::kInvalidRequest, "a request may name 1000 resources, not 1001"));
  request.clear_resources();
  for (int i = 0; i <= kConfigNamesPerRequestMax; ++i) request.add_names(absl::StrCat("n", i));
  EXPECT_THAT(cluster_.Run(request),
              IsError(ErrorCode::kInvalidRequest, "a request may name 1000 config keys, not 1001"));
}

TEST_F(ConfigCommandsTest, AResourceIsDescribedOnceInARequest) {
  v1::DescribeConfigsRequest request;
  for (int i = 0; i < 2; ++i) *request.add_resources() = Topic("t").resource();
  *request.add_resources() = Broker("1").resource();
  const auto reply = cluster_.Run(request);
  ASSERT_OK(reply);
  EXPECT_GT(reply->resources(0).configs_size(), 0);
  EXPECT_EQ(reply->resources(1).code(), v1::ERROR_CODE_INVALID_REQUEST);
  EXPECT_THAT(reply->resources(1).message(), HasSubstr("'t' is in this request twice"));
  EXPECT_EQ(reply->resources(1).configs_size(), 0);
  EXPECT_GT(reply->resources(2).configs_size(), reply->resources(0).configs_size());
}

TEST_F(ConfigCommandsTest, ResourcesOfAnAlterationAreBoundedAlsoWhereNothingIsAltered) {
  v1::IncrementalAlterConfigsRequest request;
  for (int i = 0; i <= kConfigAlterationsPerRequestMax; ++i) {
    *request.add_resources() = Topic(absl::StrCat("t", i));
  }
  EXPECT_THAT(cluster_.Run(request),
              IsError(ErrorCode::kInvalidRequest, "a request may name 10000 resources, not 10001"));
}

TEST_F(ConfigCommandsTest, ValuesOutOfRangeAndReadOnlyKeysAreRefused) {
  ExpectRefused(Topic("t"), "segment.bytes", "12", "segment.bytes");
  ExpectRefused(Topic("t"), "segment.bytes", "many", "many");
  ExpectRefused(Topic("t"), "durability", "eventually", "durable, replicated");
  ExpectRefused(Broker("1"), "log.retention.hours", "1", "restart");
  ExpectRefused(Broker("1"), "replica.lag.time.max.ms", "1000", "restart");
  ExpectRefused(Topic("t"), "remote.storage.enable", "true", "");
  ExpectRefused(Topic("t"), "cleanup.policy", "compact", "not supported yet");
}

TEST_F(ConfigCommandsTest, KeysOfKafkaWithoutMeaningHereAreAcceptedWithAWarningAndNotKept) {
  const size_t entries = cluster_.log().size();
  const v1::AlterConfigsResult result =
      Alter(With(Topic("t"), "min.cleanable.dirty.ratio", v1::CONFIG_OPERATION_SET, "0.1"));
  EXPECT_EQ(static_cast<ErrorCode>(result.code()), ErrorCode::kNone);
  EXPECT_THAT(result.message(), HasSubstr("min.cleanable.dirty.ratio has no meaning here"));
  EXPECT_EQ(cluster_.log().size(), entries);
}

TEST_F(ConfigCommandsTest, KeysThatNothingActsOnAreKeptWithAWarning) {
  EXPECT_THAT(
      Alter(With(Topic("t"), "compression.type", v1::CONFIG_OPERATION_SET, "gzip")).message(),
      HasSubstr("compression.type has no effect"));
  EXPECT_EQ(Describe(Topic("t"), "compression.type").value(), "gzip");
  EXPECT_EQ(Alter(With(Topic("t"), "compression.type", v1::CONFIG_OPERATION_DELETE, "")).message(),
            "");
  EXPECT_THAT(
      Alter(With(Broker("1"), "log.cleaner.delete.retention.ms", v1::CONFIG_OPERATION_SET, "1"))
          .message(),
      HasSubstr("log.cleaner.delete.retention.ms has no effect"));
}

TEST_F(ConfigCommandsTest, AppendAndSubtractAreForLists) {
  ExpectRefused(Topic("t"), "retention.ms", "1", "not a list", v1::CONFIG_OPERATION_APPEND);
  EXPECT_EQ(
      Alter(With(Topic("t"), "cleanup.policy", v1::CONFIG_OPERATION_SUBTRACT, "delete")).message(),
      "");
  EXPECT_EQ(Describe(Topic("t"), "cleanup.policy").value(), "");
  EXPECT_EQ(
      Alter(With(Topic("t"), "cleanup.policy", v1::CONFIG_OPERATION_APPEND, "delete")).message(),
      "");
  EXPECT_EQ(Describe(Topic("t"), "cleanup.policy").value(), "delete");
}

TEST_F(ConfigCommandsTest, ResourceIsChangedWholeOrNotAtAll) {
  v1::AlterConfigsResource resource =
      With(Topic("t"), "retention.ms", v1::CONFIG_OPERATION_SET, "1");
  resource = With(resource, "segment.bytes", v1::CONFIG_OPERATION_SET, "1");
  EXPECT_EQ(Alter(resource).code(), v1::ERROR_CODE_INVALID_CONFIG);
  EXPECT_EQ(Describe(Topic("t"), "retention.ms").value(), "7200000");
  resource = With(Topic("t"), "retention.ms", v1::CONFIG_OPERATION_SET, "1");
  resource = With(resource, "retention.ms", v1::CONFIG_OPERATION_DELETE, "");
  EXPECT_THAT(Alter(resource).message(), HasSubstr("twice"));
}

TEST_F(ConfigCommandsTest, DryRunChangesNothingButAnswersTheSame) {
  const size_t entries = cluster_.log().size();
  EXPECT_EQ(Alter(With(Topic("t"), "retention.ms", v1::CONFIG_OPERATION_SET, "1"), true).code(), 0);
  EXPECT_EQ(Alter(With(Topic("t"), "retention.ms", v1::CONFIG_OPERATION_SET, "x"), true).code(),
            v1::ERROR_CODE_INVALID_CONFIG);
  EXPECT_EQ(cluster_.log().size(), entries);
}

TEST_F(ConfigCommandsTest, DeleteGoesBackToTheLayerBelow) {
  ExpectSet(Topic("t"), "retention.ms", "1");
  Alter(With(Topic("t"), "retention.ms", v1::CONFIG_OPERATION_DELETE, ""));
  EXPECT_EQ(Describe(Topic("t"), "retention.ms").source(), v1::CONFIG_SOURCE_STATIC_BROKER);
}

TEST_F(ConfigCommandsTest, KAFKA16540_ALowerMinIsrClearsEligibleLeaders) {
  cluster_.Fence(3);
  cluster_.Fence(2);
  ASSERT_EQ(Ids(cluster_.Partition("t").elr), std::vector<int>{2});
  ExpectSet(Topic("t"), "min.insync.replicas", "1");
  EXPECT_TRUE(cluster_.Partition("t").elr.empty());
  EXPECT_EQ(Ids(cluster_.Partition("t").isr), std::vector<int>{1});
}

TEST_F(ConfigCommandsTest, KAFKA16540_EligibleLeadersStayWhileNothingCanBeAcknowledged) {
  cluster_.Fence(3);
  cluster_.Fence(2);
  ASSERT_EQ(Ids(cluster_.Partition("t").elr), (std::vector<int>{2}));
  ExpectSet(Topic("t"), "min.insync.replicas", "3");
  EXPECT_EQ(Ids(cluster_.Partition("t").elr), (std::vector<int>{2}));
  ExpectSet(Topic("t"), "min.insync.replicas", "2");
  EXPECT_EQ(Ids(cluster_.Partition("t").elr), (std::vector<int>{2}));
  cluster_.Fence(1);
  ASSERT_EQ(Ids(cluster_.Partition("t").elr), (std::vector<int>{1, 2}));
  ExpectSet(Topic("t"), "min.insync.replicas", "1");
  EXPECT_EQ(Ids(cluster_.Partition("t").elr), (std::vector<int>{1, 2}));
}

// A topic "lost" on 1 and 2, of which 1 alone had what was acknowledged last, and is dead.
class LostTopicTest : public ConfigCommandsTest {
 protected:
  LostTopicTest() {
    cluster_.CreateOn("lost", {1, 2}, {{"min.insync.replicas", "1"}});
    cluster_.Sync("lost", {1});
    cluster_.Fence(1);
    EXPECT_EQ(cluster_.Partition("lost").leader, kNoNode);
  }
  const std::string key_ = "unclean.leader.election.enable";
};

TEST_F(LostTopicTest, UncleanElectionIsAllowedAndHeldInOneEntry) {
  const size_t entries = cluster_.log().size();
  EXPECT_EQ(Alter(With(Topic("lost"), key_, v1::CONFIG_OPERATION_SET, "true"), true).code(), 0);
  EXPECT_EQ(cluster_.log().size(), entries) << "a dry run";
  ExpectSet(Topic("t"), key_, "true");
  ExpectSet(Topic("lost"), key_, "false");
  EXPECT_EQ(cluster_.Partition("lost").leader, kNoNode);
  ExpectSet(Topic("lost"), key_, "true");
  EXPECT_EQ(cluster_.log().size(), entries + 3);
  EXPECT_EQ(cluster_.Partition("lost").leader, NodeId(2));
  EXPECT_EQ(cluster_.Partition("lost").recovery_state, metadata::RecoveryState::kRecovering);
  EXPECT_EQ(cluster_.state().recovering_elections, 1);
}

TEST_F(LostTopicTest, UncleanElectionIsAllowedForAllTopicsThatDoNotForbidIt) {
  ExpectSet(Topic("lost"), key_, "false");
  ExpectSet(Broker(""), key_, "true");
  EXPECT_EQ(cluster_.Partition("lost").leader, kNoNode);
  EXPECT_EQ(Alter(With(Topic("lost"), key_, v1::CONFIG_OPERATION_DELETE, "")).message(), "");
  EXPECT_EQ(cluster_.Partition("lost").leader, NodeId(2));
}

TEST_F(LostTopicTest, UncleanElectionWaitsForABrokerThatIsThere) {
  cluster_.Fence(2);
  ExpectSet(Topic("lost"), key_, "true");
  EXPECT_EQ(cluster_.Partition("lost").leader, kNoNode);
  cluster_.Activate(2);
  EXPECT_EQ(cluster_.Partition("lost").leader, NodeId(2));
}

TEST_F(ConfigCommandsTest, S16_TopicAlwaysHasItsOwnMinIsr) {
  ExpectSet(Topic("t"), "min.insync.replicas", "3");
  ExpectRefused(Topic("t"), "min.insync.replicas", "4", "'t' has 3");
  Alter(With(Topic("t"), "min.insync.replicas", v1::CONFIG_OPERATION_DELETE, ""));
  EXPECT_EQ(Describe(Topic("t"), "min.insync.replicas").value(), "2");
  EXPECT_EQ(Describe(Topic("t"), "min.insync.replicas").source(), v1::CONFIG_SOURCE_TOPIC);
}

TEST_F(ConfigCommandsTest, S07_ARaiseIsAFactOfEachPartitionUntilItsLeaderHasReported) {
  EXPECT_FALSE(cluster_.Partition("t").raising);
  ExpectSet(Topic("t"), "durability", "replicated");
  EXPECT_FALSE(cluster_.Partition("t").raising);
  const size_t entries = cluster_.log().size();
  ExpectSet(Topic("t"), "durability", "durable");
  EXPECT_EQ(cluster_.log().size(), entries + 1) << "one atomic entry";
  EXPECT_TRUE(cluster_.Partition("t").raising);
  ExpectSet(Topic("t"), "retention.ms", "1000");
  EXPECT_TRUE(cluster_.Partition("t").raising);
}

TEST_F(ConfigCommandsTest, S07_LoweringTakesEffectAtOnce) {
  ExpectSet(Topic("t"), "durability", "replicated");
  ExpectSet(Topic("t"), "durability", "durable");
  ExpectSet(Topic("t"), "durability", "replicated");
  EXPECT_FALSE(cluster_.Partition("t").raising);
}

TEST_F(ConfigCommandsTest, S07_ARaiseWithAnotherMinimumIsOneChangeOfThePartition) {
  ExpectSet(Topic("t"), "durability", "replicated");
  const PartitionEpoch before = cluster_.Partition("t").partition_epoch;
  auto both = With(Topic("t"), "durability", v1::CONFIG_OPERATION_SET, "durable");
  EXPECT_EQ(Alter(With(both, "min.insync.replicas", v1::CONFIG_OPERATION_SET, "1")).message(), "");
  EXPECT_TRUE(cluster_.Partition("t").raising);
  EXPECT_EQ(cluster_.Partition("t").partition_epoch, before + 1);
}

// A cluster at `level`.
State AtLevel(int level) {
  metadata::records::FeatureLevelRecord record;
  record.set_feature_level(level);
  TestCluster cluster;
  for (int id = 1; id <= 3; ++id) cluster.Start(id, 1);
  cluster.CreateOn("t", {1, 2, 3}, {{"durability", "replicated"}});
  return Machine::Apply(cluster.state(), cluster.index() + 1, {{metadata::Encode(record)}});
}

TEST_F(ConfigCommandsTest, S07_BelowItsFeatureLevelALevelIsNotRaised) {
  v1::IncrementalAlterConfigsRequest request;
  *request.add_resources() = With(Topic("t"), "durability", v1::CONFIG_OPERATION_SET, "durable");
  const auto refused =
      IncrementalAlterConfigs(AtLevel(metadata::kRaisedDurabilityLevel - 1), request);
  EXPECT_TRUE(refused.records.empty());
  EXPECT_THAT(refused.reply->resources(0).message(), HasSubstr("feature level 5"));
  EXPECT_FALSE(
      IncrementalAlterConfigs(AtLevel(metadata::kRaisedDurabilityLevel), request).records.empty());
}

}  // namespace
}  // namespace millrace::controller
