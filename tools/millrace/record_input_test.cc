#include "tools/millrace/record_input.h"

#include <unistd.h>

#include <csignal>
#include <string>

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "tools/millrace/stop_signals.h"

namespace millrace::tools {
namespace {

using ::testing::HasSubstr;

// Standard input is a pipe as long as the test runs; its writing end is the test's.
class RecordInputTest : public testing::Test {
 protected:
  RecordInputTest() : before_(::dup(STDIN_FILENO)) {
    int ends[2];
    EXPECT_EQ(::pipe(ends), 0);
    EXPECT_EQ(::dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
    ::close(ends[0]);
    writer_ = ends[1];
    CatchStopSignals();
  }
  ~RecordInputTest() override {
    CloseWriter();
    ::dup2(before_, STDIN_FILENO);
    ::close(before_);
    std::signal(SIGINT, SIG_DFL);
    std::signal(SIGTERM, SIG_DFL);
  }

  void Write(const std::string& text) {
    EXPECT_EQ(::write(writer_, text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  void CloseWriter() {
    if (writer_ >= 0) ::close(writer_);
    writer_ = -1;
  }

  const int before_;
  int writer_ = -1;
};

TEST_F(RecordInputTest, GivesWhatIsThereWithoutWaitingForMore) {
  ASSERT_OK_AND_ASSIGN(RecordInput input, RecordInput::Open(""));
  Write("one");
  ASSERT_OK_AND_ASSIGN(Slice piece, input.Read());
  EXPECT_EQ(piece, "one");
  Write("two");
  ASSERT_OK_AND_ASSIGN(piece, input.Read());
  EXPECT_EQ(piece, "two");
  CloseWriter();
  ASSERT_OK_AND_ASSIGN(piece, input.Read());
  EXPECT_EQ(piece, "");
  EXPECT_FALSE(StopRequested());
}

TEST_F(RecordInputTest, AStopSignalEndsTheWaitForMore) {
  ASSERT_OK_AND_ASSIGN(RecordInput input, RecordInput::Open("-"));
  std::raise(SIGTERM);
  ASSERT_OK_AND_ASSIGN(const Slice piece, input.Read());
  EXPECT_EQ(piece, "");
  EXPECT_TRUE(StopRequested());
  CatchStopSignals();
  EXPECT_FALSE(StopRequested());
  Write("more");
  ASSERT_OK_AND_ASSIGN(const Slice more, input.Read());
  EXPECT_EQ(more, "more");
}

TEST_F(RecordInputTest, SaysWhyItCannotRead) {
  EXPECT_THAT(RecordInput::Open("/no/such/file"),
              IsError(ErrorCode::kDirectoryUnavailable,
                      "cannot read '/no/such/file': No such file or directory"));
  ASSERT_OK_AND_ASSIGN(RecordInput directory, RecordInput::Open(testing::TempDir()));
  EXPECT_THAT(directory.Read(), IsError(ErrorCode::kDirectoryUnavailable, "Is a directory"));
}

}  // namespace
}  // namespace millrace::tools
