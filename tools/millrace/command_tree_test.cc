#include "tools/millrace/command_tree.h"

#include "CLI/CLI.hpp"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::tools {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

struct Leaf {
  std::vector<std::string> words;
  CLI::App* command;
};

void CollectLeaves(CLI::App* app, std::vector<std::string> words, std::vector<Leaf>* leaves) {
  const std::vector<CLI::App*> children = app->get_subcommands({});
  if (children.empty()) leaves->push_back({words, app});
  for (CLI::App* child : children) {
    std::vector<std::string> path = words;
    path.push_back(child->get_name());
    CollectLeaves(child, std::move(path), leaves);
  }
}

int RunProgram(std::vector<std::string> words, std::string* out, std::string* err) {
  GlobalOptions global;
  const auto app = MakeCommandTree(&global);
  std::vector<const char*> argv = {"millrace"};
  for (const std::string& word : words) argv.push_back(word.c_str());
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  const int code = ParseAndRun(app.get(), global, static_cast<int>(argv.size()), argv.data());
  *out = testing::internal::GetCapturedStdout();
  *err = testing::internal::GetCapturedStderr();
  return code;
}

TEST(CommandTree, HelpOfEveryCommandHasExamplesAndADescriptionOfEachOption) {
  GlobalOptions global;
  const auto tree = MakeCommandTree(&global);
  std::vector<Leaf> leaves;
  CollectLeaves(tree.get(), {}, &leaves);
  ASSERT_GE(leaves.size(), 9u);
  for (Leaf& leaf : leaves) {
    for (const CLI::Option* option : leaf.command->get_options()) {
      EXPECT_FALSE(option->get_description().empty())
          << leaf.command->get_name() << " " << option->get_name();
    }
    leaf.words.push_back("--help");
    std::string out;
    std::string err;
    EXPECT_EQ(RunProgram(leaf.words, &out, &err), kExitOk) << leaf.words.front();
    EXPECT_THAT(out, AllOf(HasSubstr("\nExamples:\n  "), HasSubstr("millrace ")))
        << leaf.words.front();
    EXPECT_EQ(err, "");
  }
}

TEST(CommandTree, NoCommandAndAnUnknownOneAreUsageErrors) {
  std::string out;
  std::string err;
  EXPECT_EQ(RunProgram({}, &out, &err), kExitUsage);
  EXPECT_THAT(err, HasSubstr("subcommand is required"));
  EXPECT_EQ(RunProgram({"topics"}, &out, &err), kExitUsage);
  EXPECT_EQ(RunProgram({"topic"}, &out, &err), kExitUsage);
  EXPECT_EQ(RunProgram({"topic", "list", "--colour"}, &out, &err), kExitUsage);
  EXPECT_THAT(err, HasSubstr("--colour"));
}

}  // namespace
}  // namespace millrace::tools
