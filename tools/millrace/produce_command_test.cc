#include "tools/millrace/produce_command.h"

#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <string>

#include "base/posix_file_system.h"
#include "base/status_matchers.h"
#include "client/fake_log_server.h"
#include "gmock/gmock.h"
#include "tools/millrace/consume_command.h"
#include "tools/millrace/testing/command_test_bed.h"

namespace millrace::tools {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ProduceCommandTest : public testing::Test {
 protected:
  ProduceCommandTest() { server_.CreateTopic("t", 1); }

  LineResult Run(std::vector<std::string> words) {
    words.insert(words.begin(), {"produce", "t", "--bootstrap", server_.address()});
    return RunLine(AddProduceCommand, std::move(words));
  }
  std::string FileWith(const std::string& text) {
    PosixFileSystem files;
    const std::string path = JoinPath(testing::TempDir(), "produce_command_test.txt");
    EXPECT_OK(ReplaceFile(files, path, text));
    return path;
  }

  client::FakeLogServer server_;
};

TEST_F(ProduceCommandTest, SendsTheRecordsOfAFileInOrder) {
  const LineResult result = Run({"--file", FileWith("one\ntwo\nthree")});
  EXPECT_EQ(result.exit_code, kExitOk) << result.err;
  EXPECT_EQ(result.out, "");
  EXPECT_THAT(result.err, HasSubstr("produced 3 records"));
  EXPECT_THAT(server_.Values("t", 0), ElementsAre("one", "two", "three"));
}

TEST_F(ProduceCommandTest, CountsInJsonWhatWasAcknowledged) {
  const LineResult result =
      Run({"--file", FileWith("k1:aa||k2:b"), "-d", "||", "--key-separator", ":", "-o", "json"});
  const Json json = Json::parse(result.out);
  EXPECT_EQ(json["records"], 2);
  EXPECT_EQ(json["failed"], 0);
  EXPECT_EQ(json["bytes"], 3);
  EXPECT_THAT(server_.Values("t", 0), ElementsAre("aa", "b"));
}

TEST_F(ProduceCommandTest, TheKeySeparatorKnowsTheEscapesOfDelimiters) {
  const LineResult result =
      Run({"--file", FileWith("k\\t1\ta\nk2\tb\tc\n"), "--key-separator", "\\t"});
  EXPECT_EQ(result.exit_code, kExitOk) << result.err;
  EXPECT_THAT(server_.Values("t", 0), ElementsAre("a", "b\tc"));
  const LineResult byte = Run({"--file", FileWith("k\xFFv"), "--key-separator", "\\xFF"});
  EXPECT_EQ(byte.exit_code, kExitOk) << byte.err;
  EXPECT_THAT(server_.Values("t", 0), ElementsAre("a", "b\tc", "v"));
  EXPECT_EQ(Run({"--file", FileWith("a"), "--key-separator", "\\q"}).exit_code, kExitFailed);
}

TEST_F(ProduceCommandTest, SendsHeadersAndNullsThatConsumeShows) {
  const LineResult result =
      Run({"--file", FileWith("k:v\nk:NULL\nNULL:NULL,\n"), "--key-separator", ":", "--null-marker",
           "NULL", "--header", "source=a=b", "--header", "trace=NULL", "-o", "json"});
  EXPECT_EQ(result.exit_code, kExitOk) << result.err;
  EXPECT_EQ(Json::parse(result.out)["bytes"], 6) << "a null has none";
  const auto consume = [&](std::vector<std::string> words) {
    words.insert(words.begin(), {"consume", "t", "--bootstrap", server_.address()});
    return RunLine(AddConsumeCommand, std::move(words)).out;
  };
  EXPECT_EQ(consume({"--format", "{key}|{value}|{headers}"}),
            "k|v|source=a=b,trace=\nk||source=a=b,trace=\n|NULL,|source=a=b,trace=\n");
  EXPECT_EQ(consume({"--format", "{key}|{value}|{headers}", "--null-marker", "-", "-n", "2"}),
            "k|v|source=a=b,trace=-\nk|-|source=a=b,trace=-\n");
  const Json json = Json::parse(consume({"--offset", "1", "-n", "1", "-o", "json"}));
  EXPECT_TRUE(json["value"].is_null());
  EXPECT_EQ(json["headers"][0]["value"], "a=b");
  EXPECT_TRUE(json["headers"][1]["value"].is_null());
  const LineResult header = Run({"--file", FileWith("x"), "--header", "novalue"});
  EXPECT_EQ(header.exit_code, kExitFailed);
  EXPECT_THAT(header.err, HasSubstr("--header: 'novalue' is not of the form name=value"));
}

TEST_F(ProduceCommandTest, AnEmptyMarkerMakesEmptyValuesNullAndNoMarkerMakesNone) {
  EXPECT_EQ(Run({"--file", FileWith("a\n\n")}).exit_code, kExitOk);
  EXPECT_EQ(Run({"--file", FileWith("\n"), "--null-marker", ""}).exit_code, kExitOk);
  const LineResult all = RunLine(AddConsumeCommand, {"consume", "t", "--null-marker", "null",
                                                     "--bootstrap", server_.address()});
  EXPECT_EQ(all.out, "a\n\nnull\n");
}

TEST_F(ProduceCommandTest, ARefusedRecordIsTheErrorOfTheCommand) {
  server_.RefuseProduce(1, ErrorCode::kMessageTooLarge);
  const LineResult result = Run({"--file", FileWith("one")});
  EXPECT_EQ(result.exit_code, kExitFailed);
  EXPECT_THAT(result.err, HasSubstr("MESSAGE_TOO_LARGE"));
}

// The kernel is asked for SIGTERM as soon as somebody has read from the pipe: it comes when read(2)
// returns, before anything is done with what was read.
TEST_F(ProduceCommandTest, ASignalAfterAReadTakesNothingFromWhatWasRead) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const std::string text = "one\ntwo\nincomplete";
  ASSERT_EQ(::write(ends[1], text.data(), text.size()), static_cast<ssize_t>(text.size()));
  const f_owner_ex reader = {.type = F_OWNER_TID, .pid = ::gettid()};
  ASSERT_EQ(::fcntl(ends[1], F_SETOWN_EX, &reader), 0);
  ASSERT_EQ(::fcntl(ends[1], F_SETSIG, SIGTERM), 0);
  ASSERT_EQ(::fcntl(ends[1], F_SETFL, O_ASYNC), 0);
  const LineResult result = Run({"--file", absl::StrCat("/dev/fd/", ends[0])});
  ::close(ends[1]);
  ::close(ends[0]);
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
  EXPECT_EQ(result.exit_code, kExitFailed);
  EXPECT_THAT(result.err, HasSubstr("complete records that were read are sent"));
  EXPECT_THAT(server_.Values("t", 0), ElementsAre("one", "two"));
}

TEST_F(ProduceCommandTest, SaysWhatIsWrongWithTheInput) {
  const LineResult missing = Run({"--file", "/no/such/file"});
  EXPECT_EQ(missing.exit_code, kExitFailed);
  EXPECT_THAT(missing.err, HasSubstr("cannot read '/no/such/file': No such file"));
  const LineResult directory = Run({"--file", testing::TempDir()});
  EXPECT_EQ(directory.exit_code, kExitFailed);
  EXPECT_THAT(directory.err, HasSubstr("Is a directory"));
  const LineResult delimiter = Run({"--file", FileWith("one"), "--delimiter", ""});
  EXPECT_THAT(delimiter.err, HasSubstr("--delimiter"));
  EXPECT_NE(delimiter.exit_code, kExitOk);
  EXPECT_EQ(Run({"--acks", "most"}).exit_code, kExitUsage);
  EXPECT_EQ(Run({"--compression", "rar"}).exit_code, kExitUsage);
  EXPECT_EQ(Run({"--property", "linger.ms"}).exit_code, kExitFailed);
}

}  // namespace
}  // namespace millrace::tools
