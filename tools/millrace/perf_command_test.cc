#include "tools/millrace/perf_command.h"

#include "client/fake_log_server.h"
#include "gmock/gmock.h"
#include "tools/millrace/testing/command_test_bed.h"

namespace millrace::tools {
namespace {

using ::testing::HasSubstr;

class PerfCommandTest : public testing::Test {
 protected:
  PerfCommandTest() { server_.CreateTopic("t", 1); }

  LineResult Run(std::vector<std::string> words) {
    words.insert(words.begin(), "perf");
    words.insert(words.end(), {"--bootstrap", server_.address()});
    return RunLine(AddPerfCommands, std::move(words));
  }

  client::FakeLogServer server_;
};

TEST_F(PerfCommandTest, KeysOfTheJsonAreTheOnesPromised) {
  const LineResult result =
      Run({"produce",     "t",   "--records",     "10",  "--size",        "50",
           "--acks",      "all", "--linger-ms",   "1",   "--batch-bytes", "1000",
           "--producers", "2",   "--compression", "lz4", "--rate",        "1000",
           "-o",          "json"});
  ASSERT_EQ(result.exit_code, kExitOk) << result.err;
  const Json json = Json::parse(result.out);
  for (const char* key : {"records_per_s", "mib_per_s", "client_cpu_s", "errors"}) {
    EXPECT_TRUE(json[key].is_number()) << key;
  }
  for (const char* key : {"p50", "p90", "p99", "p999", "max"}) {
    EXPECT_GT(json["latency_ms"][key].get<double>(), 0) << key;
  }
  const Json read = Json::parse(Run({"consume", "t", "--records", "10", "-o", "json"}).out);
  EXPECT_EQ(read["records"], 10);
  EXPECT_FALSE(read.contains("latency_ms"));
  const Json e2e =
      Json::parse(Run({"e2e", "t", "--records", "3", "--rate", "100", "-o", "json"}).out);
  EXPECT_GT(e2e["latency_ms"]["p50"].get<double>(), 0);
}

TEST_F(PerfCommandTest, TextHasTheFiguresOnTwoLines) {
  const LineResult result = Run({"produce", "t", "--records", "10"});
  EXPECT_THAT(result.out, HasSubstr("10 records in "));
  EXPECT_THAT(result.out, HasSubstr("\nlatency in ms: p50 "));
}

TEST_F(PerfCommandTest, LinesThatMakeNoSenseAreUsageErrors) {
  EXPECT_EQ(Run({"produce", "t"}).exit_code, kExitUsage);
  EXPECT_EQ(Run({"produce", "t", "--records", "0"}).exit_code, kExitUsage);
  EXPECT_EQ(Run({"produce", "t", "--records", "1", "--rate", "-1"}).exit_code, kExitUsage);
  EXPECT_EQ(Run({"e2e", "t", "--records", "1", "--size", "15"}).exit_code, kExitUsage);
  const LineResult result = Run({"e2e", "t", "--records", "1", "--producers", "2"});
  EXPECT_EQ(result.exit_code, kExitFailed);
  EXPECT_THAT(result.err, HasSubstr("one record at a time"));
}

}  // namespace
}  // namespace millrace::tools
