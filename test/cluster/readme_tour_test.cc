// The tour in README.md, command by command as it stands there.
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "test/cluster/shell_session.h"
#include "test/cluster/transcript.h"

namespace millrace::test {
namespace {

using testing::HasSubstr;
using testing::Not;

// The lines of the first block under "A first tour".
std::vector<std::string> TourCommands() {
  const std::string readme = ReadDocument("README.md");
  const size_t tour = readme.find("## A first tour");
  EXPECT_NE(tour, std::string::npos);
  const size_t begin = readme.find("```\n", tour) + 4;
  return absl::StrSplit(readme.substr(begin, readme.find("```", begin) - begin), '\n',
                        absl::SkipEmpty());
}

// What the reader has done already, or what this machine cannot do.
bool IsLeftOut(const std::string& command, ShellSession* shell) {
  if (absl::StartsWith(command, "bazel build") || absl::StartsWith(command, "alias ")) return true;
  return absl::StartsWith(command, "curl ") && shell->Run("command -v curl").exit_code != 0;
}

void ExpectWhatIsPromised(const std::string& output) {
  for (const char* promised :
       {"created topic fruit: 3 partition(s)", " a apple\n", " b banana\n", " c cherry\n",
        "PARTITION", "position: 0", "crc: ", "0 damaged, 0 wrong hints, 0 torn"}) {
    EXPECT_THAT(output, HasSubstr(promised));
  }
}

TEST(ReadmeTourTest, EveryCommandSucceedsAndShowsWhatItPromises) {
  ShellSession shell;
  std::string all;
  int run = 0;
  for (const std::string& command : TourCommands()) {
    if (IsLeftOut(command, &shell)) continue;
    const ShellSession::Outcome outcome = shell.Run(command);
    EXPECT_EQ(outcome.exit_code, 0) << command << "\n" << outcome.output;
    absl::StrAppend(&all, "$ ", command, "\n", outcome.output);
    ++run;
  }
  EXPECT_GE(run, 8);
  ExpectWhatIsPromised(all);
}

TEST(ReadmeTourTest, ItCanBePastedAsABlock) {
  ShellSession shell;
  std::string block;
  for (const std::string& command : TourCommands()) {
    if (!IsLeftOut(command, &shell)) absl::StrAppend(&block, command, "\n");
  }
  const ShellSession::Outcome outcome = shell.RunBlock(block);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
  EXPECT_THAT(outcome.output, Not(HasSubstr("error:")));
  ExpectWhatIsPromised(outcome.output);
}

}  // namespace
}  // namespace millrace::test
