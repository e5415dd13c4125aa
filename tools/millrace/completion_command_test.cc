#include "tools/millrace/completion_command.h"

#include <array>
#include <cstdio>
#include <memory>
#include <string>

#include "base/posix_file_system.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "tools/millrace/log_command.h"
#include "tools/millrace/testing/command_test_bed.h"
#include "tools/millrace/topic_command.h"

namespace millrace::tools {
namespace {

using ::testing::HasSubstr;

void AddAll(CLI::App* app, GlobalOptions* global) {
  AddTopicCommands(app, global);
  AddLogCommands(app, global);
  AddCompletionCommands(app, global);
}

// What bash prints when it runs `script`.
std::string RunBash(const std::string& script) {
  PosixFileSystem files;
  const std::string path = JoinPath(testing::TempDir(), "completion_command_test.sh");
  EXPECT_OK(ReplaceFile(files, path, script));
  std::string out;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> pipe(popen(("bash " + path).c_str(), "r"),
                                                       &pclose);
  std::array<char, 4096> piece;
  while (size_t n = std::fread(piece.data(), 1, piece.size(), pipe.get())) {
    out.append(piece.data(), n);
  }
  return out;
}

TEST(CompletionCommand, BashCompletesCommandsAndOptionsWhereTheyBelong) {
  const std::string script = RunLine(AddAll, {"completion", "bash"}).out;
  auto complete = [&](const std::string& words, int cursor) {
    return RunBash(absl::StrCat(script, "COMP_WORDS=(", words, ")\nCOMP_CWORD=", cursor,
                                "\n_millrace\necho \"${COMPREPLY[*]}\"\n"));
  };
  EXPECT_EQ(complete("millrace to", 1), "topic\n");
  EXPECT_EQ(complete("millrace topic cr", 2), "create\n");
  EXPECT_EQ(complete("millrace topic create orders --part", 4), "--partitions\n");
  EXPECT_EQ(complete("millrace log dump --rec", 3), "--records\n");
  EXPECT_EQ(complete("millrace log dump --partitions", 3), "\n");
}

TEST(CompletionCommand, ZshGetsTheSameWords) {
  const std::string script = RunLine(AddAll, {"completion", "zsh"}).out;
  EXPECT_THAT(script, testing::StartsWith("#compdef millrace\n"));
  EXPECT_THAT(script,
              HasSubstr("'topic') found='create list describe delete alter offsets --help' ;;\n"));
}

}  // namespace
}  // namespace millrace::tools
