#include "tools/millrace/output.h"

#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "base/status.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::tools {
namespace {

TEST(Table, AlignsColumnsAndLeavesNoTrailingSpaces) {
  Table table({"TOPIC", "N"});
  table.Add({"a-long-name", "1"});
  EXPECT_EQ(table.ToString(), "TOPIC        N\na-long-name  1\n");
}

TEST(ReportError, TellsAnUnreachableClusterFromARefusal) {
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(ReportError(MakeError(ErrorCode::kBrokerNotAvailable, "nobody"), OutputFormat::kTable),
            kExitUnavailable);
  EXPECT_EQ(ReportError(MakeError(ErrorCode::kInvalidTopicName, "bad", {.value = "a/b"}),
                        OutputFormat::kJson),
            kExitFailed);
  EXPECT_EQ(
      ::testing::internal::GetCapturedStderr(),
      "error: nobody (BROKER_NOT_AVAILABLE)\n"
      R"({"error":{"code":"INVALID_TOPIC_NAME","message":"bad","retriable":false,"value":"a/b"}})"
      "\n");
}

// Standard output is `descriptor`, which is closed, as long as it lives.
class StandardOutputAt {
 public:
  explicit StandardOutputAt(int descriptor) {
    std::fflush(stdout);
    before_ = ::dup(STDOUT_FILENO);
    EXPECT_EQ(::dup2(descriptor, STDOUT_FILENO), STDOUT_FILENO);
    ::close(descriptor);
  }
  ~StandardOutputAt() {
    ::dup2(before_, STDOUT_FILENO);
    ::close(before_);
  }

 private:
  int before_ = -1;
};

TEST(PrintOut, WhatCouldNotBeWrittenIsAnErrorAtTheEndAndNothingFollowsIt) {
  {
    const StandardOutputAt full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
    PrintOut("lost");
    EXPECT_FALSE(FlushOut());
  }
  ::testing::internal::CaptureStdout();
  EXPECT_FALSE(PrintOut("what would follow the gap"));
  EXPECT_FALSE(FlushOut());
  EXPECT_THAT(FinishOut(), IsError(ErrorCode::kStorageFull,
                                   "cannot write 'standard output': No space left on device"));
  EXPECT_TRUE(PrintOut("of the next command"));
  EXPECT_OK(FinishOut());
  EXPECT_EQ(::testing::internal::GetCapturedStdout(), "of the next command");
}

TEST(PrintOut, AReaderThatHasGoneIsNoError) {
  std::signal(SIGPIPE, SIG_IGN);
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  ::close(ends[0]);
  const StandardOutputAt gone(ends[1]);
  PrintOut("unread");
  EXPECT_FALSE(FlushOut());
  EXPECT_OK(FinishOut());
}

TEST(UsesColour, OnlyOnATerminalThatWantsThem) {
  // Neither a file nor a pipe, whatever the environment says.
  std::FILE* const file = std::tmpfile();
  ASSERT_NE(file, nullptr);
  EXPECT_FALSE(UsesColour(fileno(file)));
  std::fclose(file);

  const int terminal = posix_openpt(O_RDWR | O_NOCTTY);
  if (terminal < 0) GTEST_SKIP() << "no pseudo-terminal to be had";
  setenv("TERM", "xterm", 1);
  unsetenv("NO_COLOR");
  EXPECT_TRUE(UsesColour(terminal));
  setenv("NO_COLOR", "", 1);
  EXPECT_TRUE(UsesColour(terminal)) << "an empty NO_COLOR counts as none";
  setenv("NO_COLOR", "1", 1);
  EXPECT_FALSE(UsesColour(terminal));
  unsetenv("NO_COLOR");
  setenv("TERM", "dumb", 1);
  EXPECT_FALSE(UsesColour(terminal));
  close(terminal);
}

TEST(NearestHint, NamesWhatWasProbablyMeant) {
  const std::vector<std::string> known = {"create", "list", "describe"};
  EXPECT_EQ(NearestHint("crate", known), "; did you mean 'create'?");
  EXPECT_EQ(NearestHint("frobnicate", known), "");
  EXPECT_EQ(NearestHint("crate", {}), "");
  EXPECT_EQ(NearestHint("x", {"t"}), "") << "every short name is near to every other";
}

}  // namespace
}  // namespace millrace::tools
