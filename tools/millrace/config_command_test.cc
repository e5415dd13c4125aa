#include "tools/millrace/config_command.h"

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "tools/millrace/testing/command_test_bed.h"

namespace millrace::tools {
namespace {

using ::testing::HasSubstr;

class ConfigCommandTest : public testing::Test {
 protected:
  LineResult Run(std::vector<std::string> words) {
    words.insert(words.begin(), "config");
    return RunLine(AddConfigCommands, server_.At(std::move(words)));
  }

  FakeAdminServer server_;
};

TEST(ParseConfigResource, KnowsTopicsBrokersAndAllBrokers) {
  ASSERT_OK_AND_ASSIGN(const v1::ConfigResource topic, ParseConfigResource("topic:a:b"));
  EXPECT_EQ(topic.type(), v1::CONFIG_RESOURCE_TYPE_TOPIC);
  EXPECT_EQ(topic.name(), "a:b");
  ASSERT_OK_AND_ASSIGN(const v1::ConfigResource broker, ParseConfigResource("broker:7"));
  EXPECT_EQ(broker.type(), v1::CONFIG_RESOURCE_TYPE_BROKER);
  EXPECT_EQ(broker.name(), "7");
  ASSERT_OK_AND_ASSIGN(const v1::ConfigResource brokers, ParseConfigResource("brokers"));
  EXPECT_EQ(brokers.type(), v1::CONFIG_RESOURCE_TYPE_BROKER);
  EXPECT_EQ(brokers.name(), "");
  for (const char* text : {"", "orders", "topic:", "broker:", "broker:x", "broker:-1"}) {
    EXPECT_THAT(ParseConfigResource(text),
                IsError(ErrorCode::kInvalidRequest, "write topic:NAME, broker:ID"))
        << text;
  }
}

TEST_F(ConfigCommandTest, DescribeShowsSourcesAndListOnlyWhatIsSet) {
  v1::DescribeConfigsResult* result = server_.describe_configs.response.add_resources();
  v1::ConfigDescription* set = result->add_configs();
  set->set_name("retention.ms");
  set->set_value("5");
  set->set_source(v1::CONFIG_SOURCE_TOPIC);
  set->set_default_value("604800000");
  v1::ConfigDescription* unset = result->add_configs();
  unset->set_name("segment.bytes");
  unset->set_value("1073741824");
  unset->set_source(v1::CONFIG_SOURCE_DEFAULT);
  v1::ConfigDescription* unknown = result->add_configs();
  unknown->set_name("num.shards");
  unknown->set_read_only(true);
  EXPECT_THAT(Run({"describe", "topic:t"}).out, HasSubstr("segment.bytes  1073741824  default"));
  EXPECT_THAT(Run({"describe", "topic:t"}).out, HasSubstr("unknown (read only)"));
  EXPECT_EQ(server_.describe_configs.request.resources(0).name(), "t");
  EXPECT_EQ(Run({"list", "topic:t"}).out,
            "NAME          VALUE  SOURCE  DEFAULT\n"
            "retention.ms  5      topic   604800000\n");
  const Json json = Json::parse(Run({"describe", "topic:t", "retention.ms", "-o", "json"}).out);
  EXPECT_EQ(json["configs"][0]["source"], "topic");
  EXPECT_EQ(json["configs"][0]["default"], "604800000");
  EXPECT_EQ(server_.describe_configs.request.names(0), "retention.ms");
}

TEST_F(ConfigCommandTest, AlterSendsEveryOperationAndTellsADryRun) {
  server_.alter_configs.response.add_resources();
  const LineResult result = Run({"alter", "broker:1", "--set", "a=1", "--delete", "b", "--append",
                                 "c=x", "--subtract", "d=y", "--dry-run"});
  EXPECT_EQ(result.exit_code, kExitOk) << result.err;
  EXPECT_EQ(result.out, "would alter broker:1\n");
  const v1::IncrementalAlterConfigsRequest& request = server_.alter_configs.request;
  EXPECT_TRUE(request.validate_only());
  ASSERT_EQ(request.resources(0).alterations_size(), 4);
  EXPECT_EQ(request.resources(0).alterations(0).operation(), v1::CONFIG_OPERATION_SET);
  EXPECT_EQ(request.resources(0).alterations(1).operation(), v1::CONFIG_OPERATION_DELETE);
  EXPECT_EQ(request.resources(0).alterations(2).operation(), v1::CONFIG_OPERATION_APPEND);
  EXPECT_EQ(request.resources(0).alterations(3).value(), "y");
}

TEST_F(ConfigCommandTest, AConfigThatChangesNothingIsTold) {
  server_.alter_configs.response.add_resources()->set_message("config key a has no effect");
  const LineResult result = Run({"alter", "topic:t", "--set", "a=1"});
  EXPECT_EQ(result.exit_code, kExitOk);
  EXPECT_EQ(result.err, "warning: config key a has no effect\n");
  EXPECT_EQ(Json::parse(Run({"alter", "topic:t", "--set", "a=1", "-o", "json"}).out)["warning"],
            "config key a has no effect");
}

TEST_F(ConfigCommandTest, SaysWhatIsWrong) {
  const LineResult nothing = Run({"alter", "topic:t"});
  EXPECT_EQ(nothing.exit_code, kExitFailed);
  EXPECT_THAT(nothing.err, HasSubstr("nothing to change; give --set"));
  EXPECT_THAT(Run({"alter", "topic:t", "--set", "a"}).err, HasSubstr("--set: 'a' is not"));
  EXPECT_EQ(Run({"describe"}).exit_code, kExitUsage);
  v1::AlterConfigsResult* refused = server_.alter_configs.response.add_resources();
  refused->set_code(v1::ERROR_CODE_INVALID_CONFIG);
  refused->set_message("retention.ms: 'x' is no number");
  EXPECT_THAT(Run({"alter", "topic:t", "--set", "retention.ms=x"}).err,
              HasSubstr("'x' is no number (INVALID_CONFIG)"));
}

}  // namespace
}  // namespace millrace::tools
