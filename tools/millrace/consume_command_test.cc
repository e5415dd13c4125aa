#include "tools/millrace/consume_command.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "base/posix_file_system.h"
#include "base/status_matchers.h"
#include "client/fake_log_server.h"
#include "gmock/gmock.h"
#include "record/batch_builder.h"
#include "tools/millrace/position_file.h"
#include "tools/millrace/testing/command_test_bed.h"

namespace millrace::tools {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

class ConsumeCommandTest : public testing::Test {
 protected:
  ConsumeCommandTest() {
    server_.CreateTopic("t", 1);
    record::BatchBuilder builder({});
    for (int i = 0; i < 5; ++i) {
      const std::string key = absl::StrCat("k", i);
      const std::string value = absl::StrCat("value ", i);
      builder.Add(1000 + i, Slice(key), Slice(value));
    }
    server_.Append("t", 0, builder.Build());
  }

  LineResult Run(std::vector<std::string> words) {
    words.insert(words.begin(), {"consume", "t", "--bootstrap", server_.address()});
    return RunLine(AddConsumeCommand, std::move(words));
  }

  client::FakeLogServer server_;
};

TEST_F(ConsumeCommandTest, PrintsAllThereIsAndEnds) {
  const LineResult result = Run({"--from-beginning"});
  EXPECT_EQ(result.exit_code, kExitOk) << result.err;
  EXPECT_EQ(result.out, "value 0\nvalue 1\nvalue 2\nvalue 3\nvalue 4\n");
}

TEST_F(ConsumeCommandTest, BeginsAtAnOffsetAndStopsAfterACount) {
  EXPECT_EQ(Run({"--offset", "1", "-n", "2", "--format", "{offset} {key}"}).out, "1 k1\n2 k2\n");
  const Json json = Json::parse(Run({"--offset", "4", "-o", "json"}).out);
  EXPECT_EQ(json["offset"], 4);
  EXPECT_EQ(json["value"], "value 4");
}

TEST_F(ConsumeCommandTest, TheEndsOfALogHaveKafkasTimes) {
  EXPECT_EQ(Run({"--time", "-2", "-n", "1"}).out, "value 0\n");
  const LineResult latest = Run({"--time", "-1"});
  EXPECT_EQ(latest.exit_code, kExitOk) << latest.err;
  EXPECT_EQ(latest.out, "");
  const LineResult other = Run({"--time", "-3"});
  EXPECT_EQ(other.exit_code, kExitFailed);
  EXPECT_THAT(other.err, HasSubstr("--time: -3 is no time"));
}

TEST_F(ConsumeCommandTest, GoesOnWhereTheStateFileSays) {
  const std::string state = JoinPath(testing::TempDir(), "consume_command_test.position");
  PosixFileSystem files;
  files.RemoveFile(state).IgnoreError();
  EXPECT_EQ(Run({"--state", state, "-n", "3"}).out, "value 0\nvalue 1\nvalue 2\n");
  EXPECT_EQ(Run({"--state", state}).out, "value 3\nvalue 4\n");
  EXPECT_EQ(Run({"--state", state}).out, "");
}

// Two partitions, and a state file that is not there yet.
class ConsumeStateTest : public testing::Test {
 protected:
  ConsumeStateTest() {
    server_.CreateTopic("two", 2, kTopicNumber);
    files_.RemoveFile(state_).IgnoreError();
  }

  void Append(int partition, const std::string& value) {
    record::BatchBuilder builder({});
    builder.Add(1, absl::nullopt, Slice(value));
    server_.Append("two", partition, builder.Build());
  }
  // What `consume` with these words prints.
  std::string Run(std::vector<std::string> words) {
    words.insert(words.begin(),
                 {"consume", "two", "--state", state_, "--bootstrap", server_.address()});
    const LineResult result = RunLine(AddConsumeCommand, std::move(words));
    EXPECT_EQ(result.exit_code, kExitOk) << result.err;
    return result.out;
  }
  KeptPositions Kept() {
    const auto kept = ReadPositionFile(files_, state_, kTopic);
    EXPECT_OK(kept);
    return kept.value_or(KeptPositions());
  }

  static constexpr uint64_t kTopicNumber = 70;
  // As the fake makes it of the number.
  const KeptTopic kTopic = {"two", TopicId(Uuid(1, kTopicNumber))};

  client::FakeLogServer server_;
  PosixFileSystem files_;
  const std::string state_ = JoinPath(testing::TempDir(), "consume_command_test.two");
};

TEST_F(ConsumeStateTest, WhatIsProducedBetweenTwoRunsThatFollowIsPrinted) {
  Append(0, "before");
  EXPECT_EQ(Run({"--follow", "--timeout", "2"}), "");
  EXPECT_THAT(Kept(), ElementsAre(Pair(PartitionIndex(0), KeptPosition{.next = Offset(1)}),
                                  Pair(PartitionIndex(1), KeptPosition{.next = Offset(0)})));
  Append(0, "a");
  EXPECT_EQ(Run({"--follow", "-n", "1"}), "a\n");
  // Nothing of partition 1 was printed in either run.
  Append(1, "b");
  EXPECT_EQ(Run({"--follow", "-n", "1"}), "b\n");
}

TEST_F(ConsumeStateTest, APartitionThatTheFileDoesNotNameBeginsAtItsFirstRecord) {
  Append(0, "a");
  Append(1, "added later");
  ASSERT_OK(WritePositionFile(files_, state_, kTopic,
                              {{PartitionIndex(0), KeptPosition{.next = Offset(1)}}}));
  EXPECT_EQ(Run({"--follow", "-n", "1"}), "added later\n");
}

TEST_F(ConsumeStateTest, AFileOfATopicThatWasDeletedAndMadeAgainIsRefusedBeforeAnythingIsSkipped) {
  for (const char* const value : {"a", "b"}) Append(0, value);
  EXPECT_EQ(Run({}), "a\nb\n");
  server_.CreateTopic("two", 2);
  for (const char* const value : {"new a", "new b", "new c"}) Append(0, value);
  const LineResult refused = RunLine(
      AddConsumeCommand, {"consume", "two", "--state", state_, "--bootstrap", server_.address()});
  EXPECT_EQ(refused.exit_code, kExitFailed);
  EXPECT_EQ(refused.out, "");
  EXPECT_THAT(refused.err, HasSubstr("topic 'two' was deleted and made again"));
  EXPECT_THAT(refused.err, HasSubstr("remove it to start anew"));
  ASSERT_OK(files_.RemoveFile(state_));
  EXPECT_EQ(Run({}), "new a\nnew b\nnew c\n");
}

TEST_F(ConsumeStateTest, AFileOfAnEarlierVersionWithoutTheIdIsReadAndGetsIt) {
  for (const char* const value : {"a", "b"}) Append(0, value);
  ASSERT_OK(
      ReplaceFile(files_, state_, R"({"version":1,"topic":"two","next_offsets":{"0":1,"1":0}})"));
  EXPECT_EQ(Run({}), "b\n");
  ASSERT_OK_AND_ASSIGN(const std::string text, ReadWholeFile(files_, state_, 1 << 20));
  EXPECT_EQ(Json::parse(text)["topic_id"], kTopic.id.ToString());
}

TEST_F(ConsumeStateTest, WhatWasReadBeyondTheCountIsPrintedNextTime) {
  Append(0, "x");
  Append(1, "x");
  EXPECT_EQ(Run({"-n", "1"}), "x\n");
  EXPECT_EQ(Run({}), "x\n");
  EXPECT_EQ(Run({}), "");
}

TEST_F(ConsumeStateTest, WhatCouldNotBePrintedIsNotKept) {
  Append(0, "x");
  ASSERT_OK(WritePositionFile(files_, state_, kTopic,
                              {{PartitionIndex(0), KeptPosition{.next = Offset(0)}}}));
  std::fflush(stdout);
  const int out = ::dup(STDOUT_FILENO);
  const int full = ::open("/dev/full", O_WRONLY | O_CLOEXEC);
  ASSERT_GE(::dup2(full, STDOUT_FILENO), 0);
  GlobalOptions global;
  CLI::App app("Millrace", "millrace");
  AddConsumeCommand(&app, &global);
  const std::string server = server_.address();
  const std::vector<const char*> line = {"millrace", "consume", "two",          "-p",
                                         "0",        "--state", state_.c_str(), "--follow",
                                         "-n",       "2",       "--bootstrap",  server.c_str()};
  testing::internal::CaptureStderr();
  EXPECT_EQ(ParseAndRun(&app, global, static_cast<int>(line.size()), line.data()), kExitFailed);
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("No space left on device"));
  ASSERT_GE(::dup2(out, STDOUT_FILENO), 0);
  ::close(full);
  ::close(out);
  EXPECT_EQ(Run({}), "x\n");
}

TEST_F(ConsumeCommandTest, AStateFileOfWhatAnUncleanElectionTookAwayIsAnErrorThatTellsTheWayOn) {
  const std::string state = JoinPath(testing::TempDir(), "consume_command_test.truncated");
  PosixFileSystem files;
  files.RemoveFile(state).IgnoreError();
  server_.CreateTopic("cut", 1);
  const auto append = [&](int count) {
    for (int i = 0; i < count; ++i) {
      record::BatchBuilder builder({});
      builder.Add(1, absl::nullopt, Slice("value"));
      server_.Append("cut", 0, builder.Build());
    }
  };
  const auto run = [&] {
    return RunLine(AddConsumeCommand, {"consume", "cut", "--state", state, "--timeout", "20",
                                       "--bootstrap", server_.address()});
  };
  append(10);
  EXPECT_EQ(run().exit_code, kExitOk);
  // The log is shorter than the position at first, and longer later: both are noticed.
  server_.ElectUncleanly("cut", 0, 6);
  for (const int more : {1, 20}) {
    append(more);
    const LineResult result = run();
    EXPECT_EQ(result.exit_code, kExitFailed);
    EXPECT_EQ(result.out, "");
    EXPECT_THAT(result.err, HasSubstr("cut-0: the log was truncated by an unclean election: the "
                                      "position is 10, and records from offset 6 on"));
    EXPECT_THAT(result.err, HasSubstr("set next_offsets of the partition to 6 and remove its entry "
                                      "of leader_epochs in '" +
                                      state + "'"));
  }
}

TEST_F(ConsumeStateTest, WhatTheErrorOfAnUncleanElectionAdvisesWorksWhereTheLeaderLacksTheEpoch) {
  for (const char* const value : {"0", "1"}) Append(0, value);
  server_.ElectUncleanly("two", 0, 2);
  for (const char* const value : {"2", "3"}) Append(0, value);
  EXPECT_EQ(Run({}), "0\n1\n2\n3\n");
  // The next leader has nothing of the epoch that was read last.
  server_.ElectUncleanly("two", 0, 2);
  for (const char* const value : {"new 2", "new 3", "new 4"}) Append(0, value);
  const LineResult refused = RunLine(
      AddConsumeCommand, {"consume", "two", "--state", state_, "--bootstrap", server_.address()});
  EXPECT_EQ(refused.exit_code, kExitFailed);
  EXPECT_THAT(refused.err,
              HasSubstr("set next_offsets of the partition to 2 and remove its entry of "
                        "leader_epochs in '" +
                        state_ + "'"));
  ASSERT_OK_AND_ASSIGN(std::string text, ReadWholeFile(files_, state_, 1 << 20));
  Json json = Json::parse(text);
  json["next_offsets"]["0"] = 2;
  json["leader_epochs"].erase("0");
  ASSERT_OK(ReplaceFile(files_, state_, json.dump()));
  EXPECT_EQ(Run({}), "new 2\nnew 3\nnew 4\n");
}

TEST_F(ConsumeStateTest, ADeletedPositionIsAnErrorThatNamesTheWayOn) {
  for (const char* const value : {"0", "1", "2"}) Append(0, value);
  EXPECT_EQ(Run({"-n", "1"}), "0\n");
  server_.DeleteRecordsBefore("two", 0, 2);
  const auto run = [&](std::vector<std::string> words) {
    words.insert(words.begin(),
                 {"consume", "two", "--state", state_, "--bootstrap", server_.address()});
    return RunLine(AddConsumeCommand, std::move(words));
  };
  const LineResult refused = run({});
  EXPECT_EQ(refused.exit_code, kExitFailed);
  EXPECT_EQ(refused.out, "");
  EXPECT_THAT(refused.err, HasSubstr("two-0: the next offset in '" + state_ +
                                     "' is 1, and the log begins at 2 now"));
  EXPECT_THAT(refused.err, HasSubstr("--property auto.offset.reset=earliest, at 2"));
  const LineResult reset = run({"--property", "auto.offset.reset=earliest"});
  EXPECT_EQ(reset.exit_code, kExitOk);
  EXPECT_EQ(reset.out, "2\n");
  EXPECT_THAT(reset.err, HasSubstr("note: two-0: the next offset"));
  // It is in the log again.
  EXPECT_EQ(run({}).err, "");
}

TEST_F(ConsumeStateTest, ADeletedPositionThatIsResetToTheLatestIsKept) {
  for (const char* const value : {"0", "1", "2"}) Append(0, value);
  EXPECT_EQ(Run({"-n", "1"}), "0\n");
  server_.DeleteRecordsBefore("two", 0, 2);
  EXPECT_EQ(Run({"--property", "auto.offset.reset=latest"}), "");
  EXPECT_EQ(Kept().at(PartitionIndex(0)).next, Offset(3));
  Append(0, "3");
  EXPECT_EQ(Run({}), "3\n");
}

TEST_F(ConsumeStateTest, APositionBeyondTheEndGoesOnByTheResetAndIsKept) {
  for (const char* const value : {"0", "1"}) Append(0, value);
  const auto keep = [&] {
    ASSERT_OK(WritePositionFile(files_, state_, kTopic,
                                {{PartitionIndex(0), KeptPosition{.next = Offset(9)}},
                                 {PartitionIndex(1), KeptPosition{.next = Offset(0)}}}));
  };
  keep();
  const LineResult refused = RunLine(
      AddConsumeCommand, {"consume", "two", "--state", state_, "--bootstrap", server_.address()});
  EXPECT_EQ(refused.exit_code, kExitFailed);
  EXPECT_THAT(refused.err, HasSubstr("(--property auto.offset.reset=earliest, or =latest)"));
  EXPECT_EQ(Run({"--property", "auto.offset.reset=earliest"}), "0\n1\n");
  keep();
  EXPECT_EQ(Run({"--property", "auto.offset.reset=latest"}), "");
  EXPECT_EQ(Kept().at(PartitionIndex(0)).next, Offset(2));
  keep();
  EXPECT_EQ(Run({"--property", "auto.offset.reset=earliest", "-n", "1"}), "0\n");
  EXPECT_EQ(Kept().at(PartitionIndex(0)).next, Offset(1));
}

TEST_F(ConsumeCommandTest, RawIsTheValuesAndNothingElse) {
  EXPECT_EQ(Run({"--format", "raw", "-n", "2"}).out, "value 0value 1");
  EXPECT_EQ(Run({"--format", "raw", "-n", "2", "--delimiter", "|"}).out, "value 0|value 1|");
}

TEST_F(ConsumeCommandTest, TemplatesKnowTheEscapesOfDelimiters) {
  EXPECT_EQ(Run({"--format", "{key}\\t{value}", "-n", "1"}).out, "k0\tvalue 0\n");
}

TEST_F(ConsumeCommandTest, EndsAtTheEndAtACountOrAfterSilence) {
  EXPECT_EQ(Run({"--until-end", "--offset", "3"}).out, "value 3\nvalue 4\n");
  EXPECT_EQ(Run({"--until-end", "--follow"}).exit_code, kExitUsage);
  // Following goes on at the end; only a time-out that was asked for ends it, and is no error.
  const LineResult followed = Run({"--follow", "--offset", "4", "--timeout", "0.3"});
  EXPECT_EQ(followed.exit_code, kExitOk) << followed.err;
  EXPECT_EQ(followed.out, "value 4\n");
}

TEST_F(ConsumeCommandTest, HelpSaysHowLongFollowWaits) {
  EXPECT_THAT(Run({"--help"}).out, HasSubstr("--follow waits for ever"));
}

TEST_F(ConsumeCommandTest, RecordsThatDoNotComeBeforeTheEndAreAnError) {
  server_.Hold(true);
  const LineResult result = Run({"--timeout", "1"});
  EXPECT_EQ(result.exit_code, kExitUnavailable);
  EXPECT_THAT(result.err, HasSubstr("nothing came from topic 't' for 1s, after 0 records"));
}

TEST_F(ConsumeCommandTest, APartitionThatDoesNotExistIsRefusedAtOnceWithHowManyThereAre) {
  server_.CreateTopic("three", 3);
  const LineResult result =
      RunLine(AddConsumeCommand, {"consume", "three", "--partition", "1", "--partition", "9",
                                  "--timeout", "600", "--bootstrap", server_.address()});
  EXPECT_EQ(result.exit_code, kExitFailed);
  EXPECT_EQ(result.err,
            "error: --partition: topic 'three' has no partition 9; it has 3: 0 to 2 "
            "(UNKNOWN_TOPIC_OR_PARTITION)\n");
  EXPECT_EQ(Run({"--partition", "0", "--partition", "0", "-n", "1"}).out, "value 0\n");
}

TEST_F(ConsumeCommandTest, StartsThatContradictEachOtherAreUsageErrors) {
  EXPECT_EQ(Run({"--from-beginning", "--offset", "3"}).exit_code, kExitUsage);
  EXPECT_EQ(Run({"--time", "5", "--offset", "3"}).exit_code, kExitUsage);
  EXPECT_EQ(Run({"--state", "f", "--time", "5"}).exit_code, kExitUsage);
  EXPECT_EQ(Run({"--offset", "-3"}).exit_code, kExitUsage);
}

TEST_F(ConsumeCommandTest, SaysWhatIsWrongWithAFormatOrATime) {
  const LineResult format = Run({"--format", "{colour}"});
  EXPECT_EQ(format.exit_code, kExitFailed);
  EXPECT_THAT(format.err, HasSubstr("unknown field {colour}"));
  const LineResult time = Run({"--time", "yesterday"});
  EXPECT_EQ(time.exit_code, kExitFailed);
  EXPECT_THAT(time.err, HasSubstr("yesterday"));
  const LineResult property = Run({"--property", "auto.offset.reset=now"});
  EXPECT_EQ(property.exit_code, kExitFailed);
  EXPECT_THAT(property.err, HasSubstr("auto.offset.reset"));
}

}  // namespace
}  // namespace millrace::tools
