#include "tools/millrace/scrub_command.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "tools/millrace/log_command.h"
#include "tools/millrace/testing/command_test_bed.h"

namespace millrace::tools {
namespace {

using ::testing::HasSubstr;

class ScrubCommandTest : public ::testing::Test {
 protected:
  ScrubCommandTest() {
    v1::BrokerDescription* broker = server_.describe_cluster.response.add_brokers();
    broker->set_broker_id(101);
    broker->add_listeners(absl::StrCat("PLAINTEXT://", server_.address()));
    v1::LogDirDescription* dir = server_.describe_log_dirs.response.add_log_dirs();
    for (const int partition : {0, 1}) {
      v1::LogDirPartition* held = dir->add_partitions();
      held->set_topic("orders");
      held->set_partition(partition);
    }
    AddTopic("orders", 2);
    v1::ChecksumReplicaResponse& sum = server_.checksum_replica.response;
    sum.set_log_start_offset(5);
    sum.set_end_offset(40);
    sum.set_next_offset(40);
    sum.set_bytes(400);
  }
  // To what every question about topics is answered with.
  void AddTopic(const std::string& name, int partitions) {
    v1::TopicDescription* topic = server_.describe_topics.response.add_topics();
    topic->set_name(name);
    for (int i = 0; i < partitions; ++i) topic->add_partitions()->set_partition(i);
    server_.list_topics.response.add_topics()->set_name(name);
  }
  LineResult Run(std::vector<std::string> words) {
    words.insert(words.begin(), {"log", "scrub"});
    return RunLine(AddLogCommands, server_.At(std::move(words)));
  }

  FakeAdminServer server_;
};

TEST_F(ScrubCommandTest, ReadsEveryReplicaUpToItsHighWatermark) {
  const LineResult line = Run({});
  EXPECT_EQ(line.exit_code, kExitOk) << line.err;
  EXPECT_EQ(line.out, "2 replicas, 800 bytes read: 0 damaged\n");
  EXPECT_EQ(server_.checksum_replica.request.from_offset(), 5);
  EXPECT_EQ(server_.checksum_replica.request.to_offset(), 40);
  EXPECT_EQ(server_.checksum_replica.request.partition(), 1);
  EXPECT_THAT(Run({"orders:0"}).out, HasSubstr("1 replicas, 400 bytes"));
}

TEST_F(ScrubCommandTest, WhatDoesNotExistIsNotGood) {
  const LineResult broker = Run({"--broker", "102"});
  EXPECT_EQ(broker.exit_code, kExitFailed);
  EXPECT_EQ(broker.out, "");
  EXPECT_THAT(broker.err, HasSubstr("broker 102 is not registered; registered are 101 "));
  const LineResult partition = Run({"orders:2"});
  EXPECT_EQ(partition.exit_code, kExitFailed);
  EXPECT_THAT(partition.err, HasSubstr("topic 'orders' has no partition 2; it has 2: 0 to 1"));
  v1::TopicDescription* missing = server_.describe_topics.response.mutable_topics(0);
  missing->set_name("order");
  missing->set_code(v1::ERROR_CODE_UNKNOWN_TOPIC_OR_PARTITION);
  missing->set_message("there is no topic 'order'");
  const LineResult topic = Run({"order"});
  EXPECT_EQ(topic.exit_code, kExitFailed);
  EXPECT_EQ(topic.out, "");
  EXPECT_EQ(topic.err,
            "error: there is no topic 'order'; did you mean 'orders'? "
            "(UNKNOWN_TOPIC_OR_PARTITION)\n");
}

TEST_F(ScrubCommandTest, DamageFailsItAndIsNamed) {
  server_.checksum_replica.response.set_code(v1::ERROR_CODE_CORRUPT_LOG);
  server_.checksum_replica.response.set_message("a batch is damaged");
  const LineResult line = Run({"orders:1"});
  EXPECT_EQ(line.exit_code, kExitFailed);
  EXPECT_THAT(line.out, HasSubstr("a batch is damaged"));
  EXPECT_THAT(line.out, HasSubstr("1 damaged"));
  EXPECT_THAT(line.err, HasSubstr("broker 101, partition orders:1"));
  const Json json = Json::parse(Run({"-o", "json"}).out);
  EXPECT_EQ(json["damaged"], 2);
  EXPECT_EQ(json["replicas"][0]["error"], "CORRUPT_LOG");
}

}  // namespace
}  // namespace millrace::tools
