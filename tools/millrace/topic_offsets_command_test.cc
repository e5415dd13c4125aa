#include "tools/millrace/topic_offsets_command.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "tools/millrace/testing/command_test_bed.h"
#include "tools/millrace/topic_command.h"

namespace millrace::tools {
namespace {

using ::testing::HasSubstr;

// Offsets themselves are a real server's: test/cluster/command_line_records_test.cc.
class TopicOffsetsCommandTest : public ::testing::Test {
 protected:
  TopicOffsetsCommandTest() {
    v1::TopicDescription* topic = server_.describe_topics.response.add_topics();
    topic->set_name("orders");
    for (int i = 0; i < 2; ++i) {
      topic->add_partitions()->set_partition(i);
      topic->mutable_partitions(i)->set_leader_id(-1);
    }
    server_.list_topics.response.add_topics()->set_name("orders");
  }
  LineResult Run(std::vector<std::string> words) {
    words.insert(words.begin(), {"topic", "offsets"});
    return RunLine(AddTopicCommands, server_.At(std::move(words)));
  }

  FakeAdminServer server_;
};

TEST_F(TopicOffsetsCommandTest, APartitionWithoutALeaderIsListedAndFailsIt) {
  const LineResult line = Run({"orders"});
  EXPECT_EQ(line.exit_code, kExitUnavailable);
  EXPECT_EQ(line.out,
            "PARTITION  LOG START  HIGH WATERMARK\n"
            "0          -          -\n"
            "1          -          -\n");
  EXPECT_THAT(line.err, HasSubstr("orders-0: it has no leader"));
  const Json json = Json::parse(Run({"orders", "-p", "1", "-o", "json"}).out);
  ASSERT_EQ(json["partitions"].size(), 1u);
  EXPECT_EQ(json["partitions"][0]["partition"], 1);
  EXPECT_EQ(json["partitions"][0]["high_watermark"], -1);
  EXPECT_EQ(json["partitions"][0]["error"], "BROKER_NOT_AVAILABLE");
}

TEST_F(TopicOffsetsCommandTest, WhatDoesNotExistIsNamed) {
  const LineResult partition = Run({"orders", "-p", "2"});
  EXPECT_EQ(partition.exit_code, kExitFailed);
  EXPECT_THAT(partition.err, HasSubstr("topic 'orders' has no partition 2; it has 2: 0 to 1"));
  v1::TopicDescription* missing = server_.describe_topics.response.mutable_topics(0);
  missing->set_code(v1::ERROR_CODE_UNKNOWN_TOPIC_OR_PARTITION);
  missing->set_message("there is no topic 'order'");
  const LineResult topic = Run({"order"});
  EXPECT_EQ(topic.exit_code, kExitFailed);
  EXPECT_THAT(topic.err, HasSubstr("did you mean 'orders'?"));
}

}  // namespace
}  // namespace millrace::tools
