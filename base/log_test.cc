#include "base/log.h"

#include "base/ids.h"
#include "base/status_matchers.h"

namespace millrace {
namespace {

using ::testing::ElementsAre;

TEST(LogTest, LineHasLevelComponentMessageAndFields) {
  LogCapture capture;
  LOG_INFO("broker", "topic created", {{"topic", "orders"}, {"partitions", 3}});
  LOG_WARN("broker", "slow");
  LOG_ERROR("raft", "stopped", {{"term", Term(7)}, {"clean", false}, {"share", 0.5}});
  EXPECT_THAT(capture.lines(),
              ElementsAre("INFO broker message=\"topic created\" topic=orders partitions=3",
                          "WARN broker message=slow",
                          "ERROR raft message=stopped term=7 clean=false share=0.5"));
}

TEST(LogTest, StatusAndIdsPrintThemselves) {
  LogCapture capture;
  LOG_INFO("x", "y", {{"error", absl::NotFoundError("no file")}, {"id", TopicId()}});
  EXPECT_THAT(capture.lines(), ElementsAre("INFO x message=y error=\"NOT_FOUND: no file\" "
                                           "id=AAAAAAAAAAAAAAAAAAAAAA"));
}

TEST(LogTest, ValuesCannotBreakTheLineOrTheTerminal) {
  EXPECT_EQ(FormatLogLine("m", {{"a", "two words"}, {"b", ""}, {"c", "x=y"}}),
            "message=m a=\"two words\" b=\"\" c=\"x=y\"");
  EXPECT_EQ(FormatLogLine("m", {{"a", "say \"hi\"\\"}}), "message=m a=\"say \\\"hi\\\"\\\\\"");
  EXPECT_EQ(FormatLogLine("m", {{"a", "1\n2\x1b[31m"}}), "message=m a=\"1\\n2\\x1b[31m\"");
  EXPECT_EQ(FormatLogLine("m", {{"a", "größe"}}), "message=m a=größe");
}

TEST(LogTest, BracesAreNoFormat) {
  LogCapture capture;
  LOG_INFO("x", "{} {0} %s", {{"a", "{}"}});
  EXPECT_THAT(capture.lines(), ElementsAre("INFO x message=\"{} {0} %s\" a={}"));
}

TEST(LogTest, FieldsOfALevelThatIsOffAreNotBuilt) {
  LogCapture capture(LogLevel::kWarn);
  int built = 0;
  LOG_INFO("x", "y", {{"n", ++built}});
  EXPECT_EQ(built, 0);
  LOG_WARN("x", "y", {{"n", ++built}});
  EXPECT_THAT(capture.lines(), ElementsAre("WARN x message=y n=1"));
}

TEST(LogTest, LevelIsSetByName) {
  LogCapture capture;
  ASSERT_OK(SetLogLevel("error"));
  EXPECT_FALSE(IsLogged(LogLevel::kWarn));
  ASSERT_OK(SetLogLevel("debug"));
  EXPECT_TRUE(IsLogged(LogLevel::kDebug));
  EXPECT_THAT(SetLogLevel("loud"), IsError(ErrorCode::kInvalidConfig, "'loud'"));
}

TEST(LogTest, ThrottleLetsOneLinePassPerInterval) {
  LogCapture capture;
  LogThrottle throttle(absl::Seconds(10));
  MonotonicTime now;
  for (int i = 0; i < 25; ++i) {
    LOG_THROTTLED(throttle, now, LOG_WARN, "disk", "is slow", {{"second", i}});
    now = now + absl::Seconds(1);
  }
  EXPECT_THAT(capture.lines(),
              ElementsAre("WARN disk message=\"is slow\" second=0",
                          "WARN disk message=\"is slow\" second=10",
                          "WARN disk message=\"similar lines were held back\" count=9",
                          "WARN disk message=\"is slow\" second=20",
                          "WARN disk message=\"similar lines were held back\" count=9"));
}

TEST(LogTest, CaptureGivesTheLoggerBack) {
  LogCapture outer;
  {
    LogCapture inner;
    LOG_INFO("x", "inner");
  }
  LOG_INFO("x", "outer");
  EXPECT_THAT(outer.lines(), ElementsAre("INFO x message=outer"));
}

TEST(LogTest, LinesGoToStderrWithTheTimeInFront) {
  LogCapture restores_the_default_logger;
  ::testing::internal::CaptureStderr();
  InitLogging(LogLevel::kInfo);
  LOG_DEBUG("x", "hidden");
  LOG_INFO("x", "shown");
  EXPECT_THAT(::testing::internal::GetCapturedStderr(),
              ::testing::MatchesRegex("20[0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:"
                                      "[0-9][0-9]\\.[0-9][0-9][0-9]Z INFO x message=shown\n"));
}

}  // namespace
}  // namespace millrace
