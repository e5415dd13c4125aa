// `millrace produce` and `millrace consume`: what goes in comes out, byte for byte, with
// delimiters, keys, partitions and starting points as they were asked for.
#include <algorithm>
#include <csignal>
#include <fstream>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "test/cluster/shared_server_test.h"
#include "test/cluster/wait_until.h"

namespace millrace::test {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class CommandLineRecordsTest : public SharedServerTest {
 protected:
  void Produce(const std::string& topic, const std::string& input,
               std::vector<std::string> options = {}) {
    options.insert(options.begin(), {"produce", topic});
    const ProcessResult result = server_->Run(options, input);
    ASSERT_EQ(result.exit_code, 0) << result.err;
  }
  std::string Consume(const std::string& topic, std::vector<std::string> options = {}) {
    options.insert(options.begin(), {"consume", topic});
    const ProcessResult result = server_->Run(options);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return result.out;
  }
};

TEST_F(CommandLineRecordsTest, LinesComeBackAsTheyWentIn) {
  ASSERT_OK(other_->CreateTopic("lines"));
  const std::string text = "one\ntwo\n\nfour, after an empty one\n";
  Produce("lines", text);
  EXPECT_EQ(Consume("lines", {"--from-beginning"}), text);
  EXPECT_EQ(Consume("lines"), text);
}

TEST_F(CommandLineRecordsTest, BinaryDataSurvivesWithADelimiterOfItsOwn) {
  ASSERT_OK(other_->CreateTopic("binary"));
  std::mt19937 random(1);
  std::string text;
  for (int i = 0; i < 200; ++i) {
    std::string record(random() % 5000, '\0');
    for (char& c : record) c = static_cast<char>(random());
    // The delimiter must not occur by itself.
    std::replace(record.begin(), record.end(), '\xFE', '\0');
    text += record + "\xFE\xFF|";
  }
  Produce("binary", text, {"--delimiter", "\\xFE\\xFF|", "--compression", "zstd"});
  EXPECT_EQ(Consume("binary", {"--delimiter", "\\xFE\\xFF|"}), text);
  const auto values = other_->ReadValues("binary", 0);
  ASSERT_OK(values);
  EXPECT_EQ(values->size(), 200u);
}

TEST_F(CommandLineRecordsTest, EveryCodecComesBackTheSame) {
  std::string text;
  for (int i = 0; i < 1000; ++i) absl::StrAppend(&text, "a record like others, number ", i, "\n");
  for (const char* codec : {"none", "gzip", "snappy", "lz4", "zstd"}) {
    const std::string topic = absl::StrCat("codec-", codec);
    ASSERT_OK(other_->CreateTopic(topic));
    Produce(topic, text, {"--compression", codec});
    EXPECT_EQ(Consume(topic), text) << codec;
  }
}

TEST_F(CommandLineRecordsTest, KeysComeFromASeparatorOrAnExpression) {
  ASSERT_OK(other_->CreateTopic("keys"));
  Produce("keys", "a=1\nb=2=3\n", {"--key-separator", "="});
  Produce("keys", "Package: gcc\nVersion: 12\n\nPackage: bazel\nVersion: 4\n\n",
          {"--delimiter", "\\n\\n", "--key-regex", "^Package: (.*)$"});
  EXPECT_EQ(Consume("keys", {"--format", "{offset} {key}"}), "0 a\n1 b\n2 gcc\n3 bazel\n");
  EXPECT_EQ(Consume("keys", {"--format", "{value}", "--count", "2"}), "1\n2=3\n");
  EXPECT_THAT(Consume("keys", {"--offset", "2", "--count", "1"}), HasSubstr("Package: gcc"));
}

TEST_F(CommandLineRecordsTest, TheSameKeyGoesToTheSamePartition) {
  ASSERT_OK(other_->CreateTopic("spread", 4));
  std::string text;
  for (int i = 0; i < 400; ++i) absl::StrAppend(&text, "key", i % 40, ":", i, "\n");
  Produce("spread", text, {"--key-separator", ":"});
  std::map<std::string, std::set<std::string>> partitions_of;
  std::map<std::string, std::vector<int>> values_of;
  const std::vector<std::string> lines = absl::StrSplit(
      Consume("spread", {"--format", "{key} {partition} {value}"}), '\n', absl::SkipEmpty());
  for (const std::string& line : lines) {
    const std::vector<std::string> words = absl::StrSplit(line, ' ');
    partitions_of[words[0]].insert(words[1]);
    values_of[words[0]].push_back(std::stoi(words[2]));
  }
  EXPECT_EQ(partitions_of.size(), 40u);
  std::set<std::string> used;
  for (const auto& [key, partitions] : partitions_of) {
    EXPECT_EQ(partitions.size(), 1u) << key;
    used.insert(*partitions.begin());
    EXPECT_TRUE(std::is_sorted(values_of[key].begin(), values_of[key].end())) << key;
  }
  EXPECT_EQ(used.size(), 4u);
}

TEST_F(CommandLineRecordsTest, OnePartitionCanBeWrittenAndReadAlone) {
  ASSERT_OK(other_->CreateTopic("parts", 3));
  Produce("parts", "zero\n", {"--partition", "0"});
  Produce("parts", "two\n", {"--partition", "2"});
  EXPECT_EQ(Consume("parts", {"--partition", "2"}), "two\n");
  EXPECT_EQ(Consume("parts", {"--partition", "1"}), "");
  EXPECT_EQ(
      Consume("parts", {"--partition", "0", "--partition", "2", "--format", "{partition}"}).size(),
      4u);
}

TEST_F(CommandLineRecordsTest, ATimeIsWhereTheFirstRecordAtOrAfterItIs) {
  ASSERT_OK(other_->CreateTopic("times"));
  v1::ProducePartition partition;
  partition.set_topic("times");
  // In the past of any machine that runs this.
  const int64_t begin_ms = 1'700'000'000'000;
  for (int i = 0; i < 10; ++i) {
    v1::Record* record = partition.add_records();
    record->set_timestamp_ms(begin_ms + i * 1000);
    record->set_value(absl::StrCat(i));
  }
  ASSERT_OK(other_->Produce(partition));
  EXPECT_EQ(Consume("times", {"--time", absl::StrCat(begin_ms + 7000)}), "7\n8\n9\n");
  EXPECT_EQ(Consume("times", {"--time", absl::StrCat(begin_ms + 7001)}), "8\n9\n");
  EXPECT_EQ(Consume("times", {"--time", "2023-11-14T22:13:28Z"}), "8\n9\n");
  EXPECT_EQ(Consume("times", {"--time", "2024-01-01"}), "");
}

TEST_F(CommandLineRecordsTest, AStateFileGoesOnWhereItStopped) {
  ASSERT_OK(other_->CreateTopic("states"));
  const TemporaryDirectory directory;
  const std::string state = directory.path() + "/position";
  Produce("states", "a\nb\nc\n");
  EXPECT_EQ(Consume("states", {"--state", state, "--count", "2"}), "a\nb\n");
  EXPECT_EQ(Consume("states", {"--state", state}), "c\n");
  EXPECT_EQ(Consume("states", {"--state", state}), "");
  Produce("states", "d\n");
  EXPECT_EQ(Consume("states", {"--state", state}), "d\n");
  const ProcessResult other_topic = server_->Run({"consume", kOthersTopic, "--state", state});
  EXPECT_EQ(other_topic.exit_code, 1);
  EXPECT_THAT(other_topic.err, HasSubstr(kOthersTopic));
}

TEST_F(CommandLineRecordsTest, FollowPrintsWhatComesAndStopsAtASignal) {
  ASSERT_OK(other_->CreateTopic("followed"));
  Produce("followed", "before\n");
  std::vector<std::string> arguments = server_->ClientArguments(
      {MillraceBinary(), "consume", "followed", "--follow", "--from-beginning"});
  ChildProcess consume(arguments);
  const auto printed = [&](const std::string& text) {
    return consume.out().WaitFor(
        [&](const std::string& out) { return out.find(text) != std::string::npos; },
        absl::Seconds(20));
  };
  EXPECT_TRUE(printed("before\n"));
  Produce("followed", "after\n");
  EXPECT_TRUE(printed("after\n"));
  consume.Signal(SIGINT);
  EXPECT_EQ(consume.WaitForExit(absl::Seconds(10)), 0) << consume.err().text();
  EXPECT_EQ(consume.out().text(), "before\nafter\n");
}

TEST_F(CommandLineRecordsTest, JsonHasOneObjectPerRecord) {
  ASSERT_OK(other_->CreateTopic("json"));
  v1::ProducePartition partition;
  partition.set_topic("json");
  v1::Record* record = partition.add_records();
  record->set_timestamp_ms(1'700'000'000'000);
  record->set_key("k");
  record->set_value("v");
  record->add_headers()->set_key("h");
  partition.add_records();
  ASSERT_OK(other_->Produce(partition));
  const std::vector<std::string> lines =
      absl::StrSplit(Consume("json", {"-o", "json"}), '\n', absl::SkipEmpty());
  ASSERT_EQ(lines.size(), 2u);
  const json first = json::parse(lines[0]);
  EXPECT_EQ(first["offset"], 0);
  EXPECT_EQ(first["key"], "k");
  EXPECT_EQ(first["value"], "v");
  const json second = json::parse(lines[1]);
  EXPECT_TRUE(second["key"].is_null());
  EXPECT_TRUE(second["value"].is_null());
}

TEST_F(CommandLineRecordsTest, AReaderOfThePipeThatGoesAwayEndsIt) {
  ASSERT_OK(other_->CreateTopic("piped"));
  std::string text;
  for (int i = 0; i < 20'000; ++i) absl::StrAppend(&text, "line ", i, "\n");
  Produce("piped", text);
  const ProcessResult result =
      RunProcess({"/bin/sh", "-c",
                  absl::StrCat(MillraceBinary(), " consume piped --bootstrap ", server_->address(),
                               " | head -n 1")});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.out, "line 0\n");
}

TEST_F(CommandLineRecordsTest, ARecordIsSentWhenItIsCompleteAndASignalSendsWhatWasRead) {
  ASSERT_OK(other_->CreateTopic("typed"));
  ChildProcess produce(server_->ClientArguments({MillraceBinary(), "produce", "typed"}));
  const auto sent = [&](const std::vector<std::string>& values) {
    return WaitUntil([&] {
      const auto read = other_->ReadValues("typed", 0);
      return read.ok() && *read == values;
    });
  };
  ASSERT_TRUE(produce.WriteInput("one\n"));
  EXPECT_TRUE(sent({"one"})) << "the input is not at its end, and need not be";
  ASSERT_TRUE(produce.WriteInput("two\nthree, without its e"));
  EXPECT_TRUE(sent({"one", "two"}));
  produce.Signal(SIGINT);
  EXPECT_EQ(produce.WaitForExit(absl::Seconds(20)), 1);
  EXPECT_THAT(produce.err().text(), HasSubstr("produced 2 records"));
  EXPECT_THAT(produce.err().text(), HasSubstr("stopped by a signal"));
  EXPECT_TRUE(sent({"one", "two"})) << "half of a record is none";
}

TEST_F(CommandLineRecordsTest, TopicOffsetsTellsWherePartitionsBeginAndEnd) {
  ASSERT_OK(other_->CreateTopic("offsets", 2));
  Produce("offsets", "a\nb\nc\n", {"--partition", "1"});
  ASSERT_EQ(server_->Run({"partition", "delete-records", "offsets:1", "--before", "2"}).exit_code,
            0);
  EXPECT_EQ(server_->Run({"topic", "offsets", "offsets"}).out,
            "PARTITION  LOG START  HIGH WATERMARK\n"
            "0          0          0\n"
            "1          2          3\n");
  const json one =
      json::parse(server_->Run({"topic", "offsets", "offsets", "-p", "1", "-o", "json"}).out);
  EXPECT_EQ(one["topic"], "offsets");
  ASSERT_EQ(one["partitions"].size(), 1u);
  EXPECT_EQ(one["partitions"][0]["log_start_offset"], 2);
  EXPECT_EQ(one["partitions"][0]["high_watermark"], 3);
}

TEST_F(CommandLineRecordsTest, AnEmptyInputProducesNothing) {
  ASSERT_OK(other_->CreateTopic("empty"));
  Produce("empty", "");
  EXPECT_EQ(Consume("empty"), "");
}

TEST_F(CommandLineRecordsTest, AFileIsReadAsStandardInputIs) {
  ASSERT_OK(other_->CreateTopic("files"));
  const TemporaryDirectory directory;
  const std::string path = directory.path() + "/records";
  std::ofstream(path) << "from\na file, the last line without its end";
  Produce("files", "", {"--file", path});
  EXPECT_EQ(Consume("files"), "from\na file, the last line without its end\n");
}

}  // namespace
}  // namespace millrace::test
