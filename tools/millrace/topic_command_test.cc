#include "tools/millrace/topic_command.h"

#include "gmock/gmock.h"
#include "tools/millrace/testing/command_test_bed.h"

namespace millrace::tools {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class TopicCommandTest : public testing::Test {
 protected:
  LineResult Run(std::vector<std::string> words) {
    words.insert(words.begin(), "topic");
    return RunLine(AddTopicCommands, server_.At(std::move(words)));
  }

  FakeAdminServer server_;
};

TEST_F(TopicCommandTest, CreateSendsWhatWasGivenAndPrintsWhatWasMade) {
  v1::CreateTopicResult* made = server_.create_topics.response.add_topics();
  made->set_name("orders");
  made->set_partitions(6);
  made->set_replication_factor(1);
  made->set_min_insync_replicas(1);
  const LineResult result =
      Run({"create", "orders", "-p", "6", "--config", "retention.ms=-1", "-c", "x=y=z"});
  EXPECT_EQ(result.exit_code, kExitOk) << result.err;
  EXPECT_EQ(result.out,
            "created topic orders: 6 partition(s), replication factor 1, min.insync.replicas 1\n");
  const v1::CreateTopicsRequest& request = server_.create_topics.request;
  ASSERT_EQ(request.topics_size(), 1);
  EXPECT_EQ(request.topics(0).partitions(), 6);
  ASSERT_EQ(request.topics(0).configs_size(), 2);
  EXPECT_EQ(request.topics(0).configs(1).value(), "y=z");
  const Json json = Json::parse(Run({"create", "orders", "--dry-run", "-o", "json"}).out);
  EXPECT_TRUE(server_.create_topics.request.validate_only());
  EXPECT_EQ(json["created"], false);
  EXPECT_EQ(json["dry_run"], true);
}

TEST_F(TopicCommandTest, ConfigsThatChangeNothingAreTold) {
  const std::string text = "config key preallocate has no effect: segments are always preallocated";
  server_.create_topics.response.add_topics()->set_message(text);
  const LineResult created = Run({"create", "orders", "--config", "preallocate=false"});
  EXPECT_EQ(created.exit_code, kExitOk);
  EXPECT_EQ(created.err, "warning: " + text + "\n");
  const LineResult json = Run({"create", "orders", "--config", "preallocate=false", "-o", "json"});
  EXPECT_EQ(Json::parse(json.out)["warning"], text);
  EXPECT_EQ(json.err, "");
  server_.alter_configs.response.add_resources()->set_message(text);
  EXPECT_EQ(Run({"alter", "orders", "--config", "preallocate=false"}).err, created.err);
}

TEST_F(TopicCommandTest, ATopicThatExistsIsAnErrorUnlessAllowed) {
  v1::CreateTopicResult* made = server_.create_topics.response.add_topics();
  made->set_name("orders");
  made->set_code(v1::ERROR_CODE_TOPIC_ALREADY_EXISTS);
  made->set_message("topic 'orders' exists already");
  EXPECT_EQ(Run({"create", "orders"}).exit_code, kExitFailed);
  const LineResult allowed = Run({"create", "orders", "--if-not-exists"});
  EXPECT_EQ(allowed.exit_code, kExitOk);
  EXPECT_EQ(allowed.out, "topic orders exists already\n");
}

TEST_F(TopicCommandTest, WrongFlagsAreUsageErrorsAndReachNoServer) {
  EXPECT_EQ(Run({"create"}).exit_code, kExitUsage);
  EXPECT_EQ(Run({"create", "orders", "--partitions", "0"}).exit_code, kExitUsage);
  EXPECT_EQ(Run({"create", "orders", "--partitions", "many"}).exit_code, kExitUsage);
  EXPECT_EQ(server_.create_topics.request.topics_size(), 0);
  const LineResult config = Run({"create", "orders", "--config", "retention.ms"});
  EXPECT_EQ(config.exit_code, kExitFailed);
  EXPECT_THAT(config.err, HasSubstr("'retention.ms' is not of the form name=value"));
  const LineResult nothing = Run({"alter", "orders"});
  EXPECT_EQ(nothing.exit_code, kExitFailed);
  EXPECT_THAT(nothing.err, HasSubstr("nothing to change"));
}

TEST_F(TopicCommandTest, ListAlignsItsTable) {
  for (const char* name : {"audit", "long-topic-name"}) {
    v1::TopicListing* topic = server_.list_topics.response.add_topics();
    topic->set_name(name);
    topic->set_partitions(3);
    topic->set_replication_factor(1);
  }
  EXPECT_EQ(Run({"list"}).out,
            "TOPIC            PARTITIONS  REPLICAS\n"
            "audit            3           1\n"
            "long-topic-name  3           1\n");
  const Json json = Json::parse(Run({"list", "--internal", "-o", "json"}).out);
  EXPECT_EQ(json["topics"][1]["name"], "long-topic-name");
  EXPECT_TRUE(server_.list_topics.request.include_internal());
}

TEST_F(TopicCommandTest, DescribeShowsPartitionsAndConfigs) {
  v1::TopicDescription* topic = server_.describe_topics.response.add_topics();
  topic->set_name("orders");
  v1::ConfigEntry* config = topic->add_configs();
  config->set_name("retention.ms");
  config->set_value("1000");
  v1::PartitionDescription* partition = topic->add_partitions();
  partition->set_leader_id(-1);
  partition->add_replicas(1);
  partition->add_replicas(2);
  partition->add_in_sync_replicas(2);
  const LineResult result = Run({"describe", "orders"});
  EXPECT_THAT(result.out, HasSubstr("  retention.ms = 1000\n"));
  EXPECT_THAT(result.out, HasSubstr("  0          none    0      1,2       2\n"));
  const Json json = Json::parse(Run({"describe", "-o", "json"}).out);
  EXPECT_EQ(json["topics"][0]["configs"]["retention.ms"], "1000");
  EXPECT_EQ(json["topics"][0]["partitions"][0]["replicas"], Json({1, 2}));
}

TEST_F(TopicCommandTest, DescribeSaysWhatPartitionsWithoutALeaderWaitFor) {
  v1::TopicDescription* topic = server_.describe_topics.response.add_topics();
  topic->set_name("orders");
  for (int32_t index = 0; index < 4; ++index) {
    v1::PartitionDescription* partition = topic->add_partitions();
    partition->set_partition(index);
    partition->set_leader_id(index == 3 ? 1 : -1);
    for (const int32_t broker : {1, 2, 3}) partition->add_replicas(broker);
    partition->add_offline_replicas(1);
    partition->add_offline_replicas(2);
    if (index == 1) continue;
    partition->add_in_sync_replicas(1);
    partition->add_eligible_leader_replicas(3);
    partition->add_impaired_replicas(3);
  }
  const LineResult result = Run({"describe", "orders"});
  EXPECT_THAT(
      result.out,
      HasSubstr("  no leader for partition 0,2: in sync or eligible: 1,3; offline: 1; cut or "
                "damaged when they started, so that others lead if any comes: 3\n"));
  EXPECT_THAT(result.out,
              HasSubstr("  no leader for partition 1: no replica is known to have all"));
  EXPECT_THAT(result.out, Not(HasSubstr("no leader for partition 3")));
  const Json json = Json::parse(Run({"describe", "-o", "json"}).out);
  EXPECT_EQ(json["topics"][0]["partitions"][0]["impaired"], Json({3}));
}

TEST_F(TopicCommandTest, DescribeShowsWhatIsOffline) {
  v1::TopicDescription* topic = server_.describe_topics.response.add_topics();
  topic->set_name("orders");
  for (int32_t index = 0; index < 3; ++index) {
    v1::PartitionDescription* partition = topic->add_partitions();
    partition->set_partition(index);
    partition->add_replicas(1);
    partition->set_leader_id(index == 0 ? -1 : 1);
    if (index == 0) partition->add_offline_replicas(1);
  }
  server_.describe_cluster.response.add_brokers()->set_broker_id(1);
  server_.describe_log_dirs.response.set_broker_id(1);
  v1::LogDirPartition* damaged =
      server_.describe_log_dirs.response.add_log_dirs()->add_partitions();
  damaged->set_topic("orders");
  damaged->set_partition(2);
  damaged->set_code(v1::ERROR_CODE_CORRUPT_LOG);
  damaged->set_message("bits rot");
  const LineResult result = Run({"describe", "orders"});
  EXPECT_THAT(result.out, HasSubstr("REPLICAS  ISR  OFFLINE\n"));
  EXPECT_THAT(result.out, HasSubstr("  1          1       0      1"));
  EXPECT_THAT(result.out, HasSubstr("  no leader for partition 0: no replica can be used; "
                                    "offline: 1. The broker does not run, or has not"));
  EXPECT_THAT(result.out, HasSubstr("  partition 2 is offline on broker 1: bits rot\n"));
  // One that leads and cannot serve is as good as none.
  const Json json = Json::parse(Run({"describe", "orders", "--unavailable", "-o", "json"}).out);
  const Json& partitions = json["topics"][0]["partitions"];
  ASSERT_EQ(partitions.size(), 2u);
  EXPECT_EQ(partitions[1]["partition"], 2);
  EXPECT_EQ(partitions[1]["offline"], Json({1}));
}

TEST_F(TopicCommandTest, DeleteReportsEachTopicAndFailsIfOneWasRefused) {
  server_.delete_topics.response.add_topics()->set_name("one");
  v1::DeleteTopicResult* missing = server_.delete_topics.response.add_topics();
  missing->set_name("two");
  missing->set_code(v1::ERROR_CODE_UNKNOWN_TOPIC_OR_PARTITION);
  missing->set_message("there is no topic 'two'");
  const LineResult strict = Run({"delete", "one", "two"});
  EXPECT_EQ(strict.exit_code, kExitFailed);
  EXPECT_EQ(strict.out, "deleted topic one\n");
  EXPECT_THAT(strict.err, HasSubstr("there is no topic 'two'"));
  EXPECT_EQ(Run({"delete", "one", "two", "--if-exists"}).exit_code, kExitOk);
}

TEST_F(TopicCommandTest, AlterChangesConfigsBeforeItAddsPartitions) {
  server_.alter_configs.response.add_resources();
  v1::CreatePartitionsResult* refused = server_.create_partitions.response.add_topics();
  refused->set_code(v1::ERROR_CODE_INVALID_PARTITIONS);
  refused->set_message("it has 6 already");
  const LineResult result = Run({"alter", "orders", "-p", "3", "--config", "retention.ms=5",
                                 "--delete-config", "durability"});
  EXPECT_EQ(result.exit_code, kExitFailed);
  EXPECT_THAT(result.err, HasSubstr("it has 6 already"));
  ASSERT_EQ(server_.alter_configs.request.resources_size(), 1);
  const auto& alterations = server_.alter_configs.request.resources(0).alterations();
  ASSERT_EQ(alterations.size(), 2);
  EXPECT_EQ(alterations[0].operation(), v1::CONFIG_OPERATION_SET);
  EXPECT_EQ(alterations[1].operation(), v1::CONFIG_OPERATION_DELETE);
}

}  // namespace
}  // namespace millrace::tools
