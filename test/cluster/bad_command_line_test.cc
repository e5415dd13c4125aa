// What people type wrong: the exit code says of which kind the mistake is (1: refused, 2: the line
// itself, 3: no server), and the message names what was given and what is allowed.
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "test/cluster/shared_server_test.h"

namespace millrace::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr int kFailed = 1;
constexpr int kUsage = 2;
constexpr int kUnavailable = 3;

// A server that is to fail over its settings, before it touches any directory.
ProcessResult ServerWith(const std::vector<std::string>& arguments) {
  const TemporaryDirectory directory;
  std::vector<std::string> all = {
      "server",      "--data-dir", directory.path() + "/data", "--listen",
      "127.0.0.1:0", "--set",      "http.listener=127.0.0.1:0"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  return RunMillrace(all);
}

TEST(CommandLineTest, LinesThatMakeNoSenseExitWithTwoAndSayWhy) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> lines = {
      {{}, "subcommand"},
      {{"frobnicate"}, "frobnicate"},
      {{"topic"}, "subcommand"},
      {{"topic", "create"}, "topic is required"},
      {{"topic", "create", "t", "--partitions", "-1"}, "-1"},
      {{"topic", "create", "t", "--partitions", "many"}, "many"},
      {{"topic", "create", "t", "--frobnicate"}, "frobnicate"},
      {{"topic", "list", "-o", "xml"}, "xml"},
      {{"consume", "t", "--offset", "3", "--from-beginning"}, "--from-beginning"},
      {{"consume", "t", "--offset", "3", "--time", "0"}, "--time"},
      {{"consume", "t", "--state", "f", "--offset", "3"}, "--offset"},
      {{"consume", "t", "--state", "f", "--from-beginning"}, "--from-beginning"},
      {{"consume", "t", "--offset", "-4"}, "-4"},
      {{"consume", "t", "--isolation", "wishful"}, "wishful"},
      {{"produce"}, "topic is required"},
      {{"produce", "t", "--acks", "some"}, "some"},
      {{"produce", "t", "--compression", "rar"}, "rar"},
      {{"produce", "t", "--key-separator", ":", "--key-regex", "x"}, "--key-regex"},
      {{"server", "--frobnicate"}, "frobnicate"},
  };
  for (const auto& [line, text] : lines) {
    const ProcessResult result = RunMillrace(line);
    EXPECT_EQ(result.exit_code, kUsage) << testing::PrintToString(line) << result.err;
    EXPECT_THAT(result.err, HasSubstr(text)) << testing::PrintToString(line);
    EXPECT_EQ(result.out, "") << testing::PrintToString(line);
  }
}

TEST(CommandLineTest, HelpAndVersionSucceedOnStandardOutput) {
  for (const std::vector<std::string>& line :
       std::vector<std::vector<std::string>>{{"--help"},
                                             {"server", "--help"},
                                             {"topic", "create", "--help"},
                                             {"produce", "--help"},
                                             {"consume", "--help"},
                                             {"log", "dump", "--help"},
                                             {"version"}}) {
    const ProcessResult result = RunMillrace(line);
    EXPECT_EQ(result.exit_code, 0) << testing::PrintToString(line);
    EXPECT_THAT(result.out, HasSubstr("illrace")) << testing::PrintToString(line);
    EXPECT_EQ(result.err, "") << testing::PrintToString(line);
  }
}

TEST(CommandLineTest, EveryCommandsHelpHasExamples) {
  for (const char* command : {"server", "produce", "consume"}) {
    EXPECT_THAT(RunMillrace({command, "--help"}).out,
                HasSubstr(absl::StrCat("millrace ", command)));
  }
}

TEST(CommandLineTest, NoServerExitsWithThreeAndNamesTheAddress) {
  // Port 1 is never listened on.
  for (const std::vector<std::string>& line : std::vector<std::vector<std::string>>{
           {"topic", "list"}, {"topic", "create", "t"}, {"consume", "t"}}) {
    std::vector<std::string> all = line;
    all.insert(all.end(), {"--bootstrap", "127.0.0.1:1", "--timeout", "2"});
    const ProcessResult result = RunMillrace(all);
    EXPECT_EQ(result.exit_code, kUnavailable) << testing::PrintToString(line) << result.err;
    EXPECT_THAT(result.err, HasSubstr("127.0.0.1:1")) << testing::PrintToString(line);
  }
}

TEST(CommandLineTest, ABootstrapAddressWithoutAPortIsNamed) {
  const ProcessResult result =
      RunMillrace({"topic", "list", "--bootstrap", "here:and:there", "--timeout", "2"});
  EXPECT_NE(result.exit_code, 0);
  EXPECT_THAT(result.err, HasSubstr("here:and:there"));
}

TEST(ServerSettingsTest, UnknownKeysAreRefusedWithTheNearestName) {
  const ProcessResult result = ServerWith({"--set", "log.retention.mss=1"});
  EXPECT_EQ(result.exit_code, kFailed);
  EXPECT_THAT(result.err, AllOf(HasSubstr("INVALID_CONFIG"), HasSubstr("log.retention.mss"),
                                HasSubstr("'log.retention.ms'")));
}

TEST(ServerSettingsTest, ValuesOutOfRangeAreRefusedWithKeyValueAndRange) {
  const std::vector<std::pair<std::string, std::string>> settings = {
      {"num.shards", "-1"},          {"num.shards", "two"},
      {"memory.budget.bytes", "17"}, {"log.level", "loud"},
      {"listeners", "nowhere"},      {"listeners", "127.0.0.1:70000"},
      {"log.retention.ms", "-2"},    {"process.roles", "gardener"},
      {"max.connections", "-1"},     {"advertised.listeners", "EXTERNAL://a:1"},
  };
  for (const auto& [key, value] : settings) {
    // The last of two settings counts, so this overrides the test's own listeners.
    const ProcessResult result = RunMillrace({"server", "--data-dir", "/nonexistent/never-made",
                                              "--set", absl::StrCat(key, "=", value)});
    EXPECT_EQ(result.exit_code, kFailed) << key << result.err;
    EXPECT_THAT(result.err, AllOf(HasSubstr("INVALID_CONFIG"), HasSubstr(key), HasSubstr(value)));
  }
}

TEST(ServerSettingsTest, ASettingWithoutAValueIsRefused) {
  const ProcessResult result = ServerWith({"--set", "num.shards"});
  EXPECT_EQ(result.exit_code, kFailed);
  EXPECT_THAT(result.err, HasSubstr("num.shards"));
}

TEST(ServerSettingsTest, KafkasKeysWithoutMeaningHereAreAcceptedWithAWarning) {
  ServerProcess server({"num.io.threads=8"});
  ASSERT_OK(server.Start());
  EXPECT_THAT(server.log(), HasSubstr("num.io.threads"));
  EXPECT_EQ(server.Stop().code, 0);
}

TEST(ServerSettingsTest, ConfigFilesThatAreMissingOrMalformedAreNamed) {
  const TemporaryDirectory directory;
  const std::string path = directory.path() + "/server.yaml";
  ProcessResult result = ServerWith({"--config", path});
  EXPECT_EQ(result.exit_code, kFailed);
  EXPECT_THAT(result.err, HasSubstr(path));
  for (const char* text : {"listeners: [unclosed", "- a list\n- not a map\n", "no.such.key: 1\n",
                           "num.shards: {a: b}\n"}) {
    std::ofstream(path) << text;
    result = ServerWith({"--config", path});
    EXPECT_EQ(result.exit_code, kFailed) << text;
    EXPECT_THAT(result.err, HasSubstr("INVALID_CONFIG")) << text;
  }
}

class CommandAgainstServerTest : public SharedServerTest {};

TEST_F(CommandAgainstServerTest, RefusalsExitWithOneAndNameTheValue) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> lines = {
      {{"topic", "create", "a/b"}, "INVALID_TOPIC_NAME"},
      {{"topic", "create", "t", "--config", "novalue"}, "novalue"},
      {{"topic", "create", "t", "--config", "retention.mss=1"}, "retention.ms"},
      {{"topic", "describe", "nowhere"}, "nowhere"},
      {{"topic", "delete", "nowhere"}, "nowhere"},
      {{"topic", "alter", "nowhere", "--partitions", "2"}, "nowhere"},
      {{"topic", "alter", kOthersTopic}, "nothing to change"},
      {{"topic", "create", kOthersTopic}, "TOPIC_ALREADY_EXISTS"},
      {{"consume", "nowhere", "--timeout", "2"}, "nowhere"},
      {{"consume", kOthersTopic, "--offset", "123456"}, "123456"},
      {{"consume", kOthersTopic, "--format", "{nonsense}"}, "nonsense"},
      {{"consume", kOthersTopic, "--format", "vlaue"}, "vlaue"},
      {{"consume", kOthersTopic, "--time", "yesterday"}, "yesterday"},
      {{"consume", kOthersTopic, "--partition", "9", "--timeout", "2"}, "9"},
      {{"produce", kOthersTopic, "--file", "/no/such/file"}, "/no/such/file"},
      {{"produce", kOthersTopic, "--delimiter", ""}, "delimiter"},
      {{"produce", kOthersTopic, "--key-regex", "("}, "("},
      {{"log", "dump", "/no/such/path"}, "/no/such/path"},
  };
  for (const auto& [line, text] : lines) {
    const ProcessResult result = line[0] == "log" ? RunMillrace(line) : server_->Run(line);
    EXPECT_EQ(result.exit_code, kFailed) << testing::PrintToString(line) << result.err;
    EXPECT_THAT(result.err, HasSubstr(text)) << testing::PrintToString(line);
  }
}

TEST_F(CommandAgainstServerTest, ProduceToAnUnknownTopicOrPartitionFailsInBoundedTime) {
  ProcessResult result = server_->Run(
      {"produce", "nowhere", "--property", "delivery.timeout.ms=3000", "--timeout", "3"}, "x\n");
  EXPECT_EQ(result.exit_code, kFailed) << result.err;
  EXPECT_THAT(result.err, HasSubstr("nowhere"));
  result = server_->Run(
      {"produce", kOthersTopic, "--partition", "7", "--property", "delivery.timeout.ms=3000"},
      "x\n");
  EXPECT_EQ(result.exit_code, kFailed) << result.err;
}

TEST_F(CommandAgainstServerTest, ErrorsAsJsonCarryCodeNameAndValue) {
  const ProcessResult result = server_->Run({"topic", "describe", "nowhere", "-o", "json"});
  EXPECT_EQ(result.exit_code, kFailed);
  EXPECT_EQ(result.out, "");
  const nlohmann::json error = nlohmann::json::parse(result.err, nullptr, false);
  ASSERT_FALSE(error.is_discarded()) << result.err;
  EXPECT_EQ(error["error"]["code"], "UNKNOWN_TOPIC_OR_PARTITION");
  EXPECT_THAT(error["error"]["message"].get<std::string>(), HasSubstr("nowhere"));
}

TEST_F(CommandAgainstServerTest, OutputThatCannotBeWrittenIsAnError) {
  const std::string at = absl::StrCat(" --bootstrap ", server_->address());
  ASSERT_EQ(server_->Run({"produce", kOthersTopic}, "x\n").exit_code, 0);
  for (const std::string& line :
       {"topic list" + at, "topic list -o json" + at, "topic describe" + at,
        "cluster describe" + at, absl::StrCat("consume ", kOthersTopic, at), std::string("version"),
        std::string("--help"), std::string("completion bash")}) {
    const ProcessResult result =
        RunProcess({"/bin/sh", "-c", absl::StrCat(MillraceBinary(), " ", line, " >/dev/full")});
    EXPECT_EQ(result.exit_code, kFailed) << line;
    EXPECT_THAT(result.err, HasSubstr("cannot write 'standard output': No space left")) << line;
  }
}

TEST_F(CommandAgainstServerTest, ARecordLargerThanTheTopicTakesNamesTheLimit) {
  const ProcessResult result =
      server_->Run({"produce", kOthersTopic}, std::string(3 << 20, 'x') + "\n");
  EXPECT_EQ(result.exit_code, kFailed) << result.err;
  EXPECT_THAT(result.err, HasSubstr("MESSAGE_TOO_LARGE"));
}

}  // namespace
}  // namespace millrace::test
