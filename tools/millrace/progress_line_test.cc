#include "tools/millrace/progress_line.h"

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::tools {
namespace {

// What a line prints that is updated until its text was asked for, or for a second.
std::string Printed(bool on_terminal, int* asked) {
  testing::internal::CaptureStderr();
  {
    ProgressLine line(on_terminal);
    const absl::Time deadline = absl::Now() + absl::Seconds(on_terminal ? 20 : 1);
    while (*asked == 0 && absl::Now() < deadline) {
      line.Update([asked] {
        ++*asked;
        return std::string("1 of 2");
      });
    }
  }
  return testing::internal::GetCapturedStderr();
}

TEST(ProgressLine, IsDrawnOnATerminalAndTakenAwayAtTheEnd) {
  int asked = 0;
  EXPECT_EQ(Printed(/*on_terminal=*/true, &asked), "\r\033[K1 of 2\r\033[K");
  EXPECT_EQ(asked, 1);
}

TEST(ProgressLine, LeavesFilesAndPipesAlone) {
  int asked = 0;
  EXPECT_EQ(Printed(/*on_terminal=*/false, &asked), "");
  EXPECT_EQ(asked, 0);
}

TEST(CountOf, HasAShareWhereTheTotalIsKnown) {
  EXPECT_EQ(CountOf(5, 0), "5");
  EXPECT_EQ(CountOf(5, -1), "5");
  EXPECT_EQ(CountOf(1234, 5000), "1234 of 5000 (24 %)");
}

}  // namespace
}  // namespace millrace::tools
