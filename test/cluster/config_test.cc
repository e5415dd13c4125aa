// Topic configs change what a running server does, say where each value comes from, and change
// nothing in a dry run; the command line shows and sets the same things, readable by programs.
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "test/cluster/shared_server_test.h"
#include "test/cluster/wait_until.h"

namespace millrace::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class ConfigTest : public SharedServerTest {
 protected:
  static void SetUpTestSuite() {
    StartServer({"log.segment.bytes=1048576", "log.retention.check.interval.ms=50",
                 "log.initial.task.delay.ms=0", "log.retention.ms=123456789"});
  }

  v1::ConfigDescription Describe(const std::string& topic, const std::string& name) {
    const auto config = other_->DescribeTopicConfig(topic, name);
    EXPECT_OK(config);
    return config.ok() ? *config : v1::ConfigDescription();
  }
  bool WaitUntilLevelIs(const std::string& topic, v1::DurabilityLevel level) {
    return WaitUntil([&] {
      const auto produced = other_->ProduceValues(topic, 0, {"x"});
      return produced.ok() && produced->level() == level;
    });
  }
  // The command line with -o json, parsed.
  json RunJson(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"-o", "json"});
    const ProcessResult result = server_->Run(arguments);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    json parsed = json::parse(result.out, nullptr, false);
    EXPECT_FALSE(parsed.is_discarded()) << result.out;
    return parsed;
  }
};

TEST_F(ConfigTest, MaxMessageBytesTakesEffectAtOnce) {
  ASSERT_OK(other_->CreateTopic("sizes", 1, {{"max.message.bytes", "1000"}}));
  const std::string value(5000, 'x');
  EXPECT_THAT(other_->ProduceValues("sizes", 0, {value}),
              IsError(ErrorCode::kMessageTooLarge, "1000"));
  ASSERT_OK(other_->SetTopicConfig("sizes", "max.message.bytes", "10000"));
  EXPECT_TRUE(WaitUntil([&] { return other_->ProduceValues("sizes", 0, {value}).ok(); }));
  ASSERT_OK(other_->SetTopicConfig("sizes", "max.message.bytes", "2000"));
  EXPECT_TRUE(WaitUntil([&] { return !other_->ProduceValues("sizes", 0, {value}).ok(); }));
}

TEST_F(ConfigTest, DurabilityIsWhatAcknowledgementsSay) {
  ASSERT_OK(other_->CreateTopic("lasting", 1, {{"durability", "durable"}}));
  ASSERT_OK(other_->CreateTopic("fast", 1, {{"durability", "replicated"}}));
  const auto durable = other_->ProduceValues("lasting", 0, {"x"});
  ASSERT_OK(durable);
  EXPECT_EQ(durable->level(), v1::DURABILITY_LEVEL_DURABLE);
  const auto replicated = other_->ProduceValues("fast", 0, {"x"});
  ASSERT_OK(replicated);
  EXPECT_EQ(replicated->level(), v1::DURABILITY_LEVEL_REPLICATED);
  ASSERT_OK(other_->SetTopicConfig("lasting", "durability", "replicated"));
  EXPECT_TRUE(WaitUntilLevelIs("lasting", v1::DURABILITY_LEVEL_REPLICATED));
  // S-07: only once what was acknowledged before is on the disk too.
  ASSERT_OK(other_->SetTopicConfig("fast", "durability", "durable"));
  EXPECT_TRUE(WaitUntilLevelIs("fast", v1::DURABILITY_LEVEL_DURABLE));
}

TEST_F(ConfigTest, RetentionThatIsShortenedDeletesWholeClosedSegments) {
  ASSERT_OK(other_->CreateTopic("aging"));
  for (int i = 0; i < 8; ++i) {
    ASSERT_OK(other_->ProduceValues("aging", 0, {std::string(400 << 10, 'a')}));
  }
  ASSERT_OK_AND_ASSIGN(const auto before,
                       other_->ListOffsets("aging", 0, v1::OFFSET_POSITION_EARLIEST));
  EXPECT_EQ(before.offset(), 0);
  ASSERT_OK(other_->SetTopicConfig("aging", "retention.ms", "1"));
  EXPECT_TRUE(WaitUntil([&] {
    const auto earliest = other_->ListOffsets("aging", 0, v1::OFFSET_POSITION_EARLIEST);
    return earliest.ok() && earliest->offset() > 0;
  })) << "nothing was deleted";
  const auto start = other_->ListOffsets("aging", 0, v1::OFFSET_POSITION_EARLIEST);
  ASSERT_OK(start);
  EXPECT_THAT(other_->Fetch("aging", 0, 0), HasCode(ErrorCode::kOffsetOutOfRange));
  EXPECT_OK(other_->Fetch("aging", 0, start->offset()));
}

TEST_F(ConfigTest, EachValueIsDescribedWithItsSource) {
  ASSERT_OK(other_->CreateTopic("sourced", 1, {{"max.message.bytes", "5000"}}));
  const auto set = Describe("sourced", "max.message.bytes");
  EXPECT_EQ(set.value(), "5000");
  EXPECT_EQ(set.source(), v1::CONFIG_SOURCE_TOPIC);
  EXPECT_EQ(set.default_value(), "1048588");
  EXPECT_FALSE(set.documentation().empty());
  const auto from_flag = Describe("sourced", "retention.ms");
  EXPECT_EQ(from_flag.value(), "123456789");
  EXPECT_EQ(from_flag.source(), v1::CONFIG_SOURCE_STATIC_BROKER);
  ASSERT_GE(from_flag.synonyms_size(), 2);
  EXPECT_EQ(from_flag.synonyms(0).name(), "log.retention.ms");
  const auto built_in = Describe("sourced", "flush.ms");
  EXPECT_EQ(built_in.source(), v1::CONFIG_SOURCE_DEFAULT);
  ASSERT_OK(other_->SetTopicConfig("sourced", "retention.ms", "7"));
  EXPECT_EQ(Describe("sourced", "retention.ms").source(), v1::CONFIG_SOURCE_TOPIC);
}

TEST_F(ConfigTest, ADryRunChecksAndChangesNothing) {
  ASSERT_OK(other_->CreateTopic("dry"));
  ASSERT_OK(other_->SetTopicConfig("dry", "max.message.bytes", "1234", /*validate_only=*/true));
  EXPECT_EQ(Describe("dry", "max.message.bytes").source(), v1::CONFIG_SOURCE_DEFAULT);
  EXPECT_THAT(other_->SetTopicConfig("dry", "max.message.bytes", "-1", /*validate_only=*/true),
              HasCode(ErrorCode::kInvalidConfig));
  EXPECT_EQ(RunJson({"topic", "create", "never", "--dry-run"})["created"], false);
  EXPECT_THAT(other_->TopicIdOf("never"), HasCode(ErrorCode::kUnknownTopicOrPartition));
  EXPECT_EQ(RunJson({"topic", "alter", "dry", "--partitions", "9", "--dry-run"})["dry_run"], true);
  EXPECT_EQ(RunJson({"topic", "delete", "dry", "--dry-run"})["topics"][0]["deleted"], false);
  EXPECT_EQ(RunJson({"topic", "describe", "dry"})["topics"][0]["partitions"].size(), 1u);
}

TEST_F(ConfigTest, TopicsAreCreatedAlteredListedAndDeletedFromTheCommandLine) {
  json created = RunJson({"topic", "create", "line", "--partitions", "3", "--config",
                          "retention.ms=1000", "--config", "durability=replicated"});
  EXPECT_EQ(created["name"], "line");
  EXPECT_EQ(created["partitions"], 3);
  EXPECT_EQ(created["replication_factor"], 1);
  EXPECT_EQ(created["created"], true);
  EXPECT_EQ(RunJson({"topic", "create", "line", "--if-not-exists"})["created"], false);

  json topic = RunJson({"topic", "describe", "line"})["topics"][0];
  EXPECT_EQ(topic["topic_id"], created["topic_id"]);
  EXPECT_EQ(topic["configs"]["retention.ms"], "1000");
  ASSERT_EQ(topic["partitions"].size(), 3u);
  EXPECT_EQ(topic["partitions"][2]["partition"], 2);
  EXPECT_EQ(topic["partitions"][2]["leader"], 1);

  RunJson({"topic", "alter", "line", "--partitions", "5", "--config", "retention.ms=2000",
           "--delete-config", "max.message.bytes"});
  topic = RunJson({"topic", "describe", "line"})["topics"][0];
  EXPECT_EQ(topic["partitions"].size(), 5u);
  EXPECT_EQ(topic["configs"]["retention.ms"], "2000");
  const ProcessResult fewer = server_->Run({"topic", "alter", "line", "--partitions", "2"});
  EXPECT_EQ(fewer.exit_code, 1);
  EXPECT_THAT(fewer.err, HasSubstr("INVALID_PARTITIONS"));
  // New partitions take records.
  EXPECT_TRUE(WaitUntil([&] { return other_->ProduceValues("line", 4, {"x"}).ok(); }));

  bool listed = false;
  const json topics = RunJson({"topic", "list"});
  for (const json& each : topics["topics"]) listed |= each["name"] == "line";
  EXPECT_TRUE(listed);
  EXPECT_EQ(RunJson({"topic", "delete", "line"})["topics"][0]["deleted"], true);
  EXPECT_THAT(other_->TopicIdOf("line"), HasCode(ErrorCode::kUnknownTopicOrPartition));
  EXPECT_EQ(RunJson({"topic", "delete", "line", "--if-exists"})["topics"][0]["deleted"], false);
}

TEST_F(ConfigTest, ATopicCreatedAgainUnderItsNameIsAnother) {
  ASSERT_OK(other_->CreateTopic("again"));
  ASSERT_OK(other_->ProduceValues("again", 0, {"of the first"}));
  ASSERT_OK_AND_ASSIGN(const std::string first, other_->TopicIdOf("again"));
  EXPECT_EQ(server_->Run({"topic", "delete", "again"}).exit_code, 0);
  ASSERT_OK(other_->CreateTopic("again"));
  ASSERT_OK_AND_ASSIGN(const std::string second, other_->TopicIdOf("again"));
  EXPECT_NE(first, second);
  EXPECT_TRUE(WaitUntil([&] {
    const auto values = other_->ReadValues("again", 0);
    return values.ok() && values->empty();
  }));
}

TEST_F(ConfigTest, WhatWasSetOutlivesARestart) {
  ServerProcess server;
  ASSERT_OK(server.Start());
  ASSERT_OK(ApiClient(server.address()).CreateTopic("lasting", 3, {{"retention.ms", "77"}}));
  server.Kill();
  ASSERT_OK(server.Start());
  const auto config = ApiClient(server.address()).DescribeTopicConfig("lasting", "retention.ms");
  ASSERT_OK(config);
  EXPECT_EQ(config->value(), "77");
  EXPECT_OK(ApiClient(server.address()).ProduceValues("lasting", 2, {"x"}));
}

}  // namespace
}  // namespace millrace::test
