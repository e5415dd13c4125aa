// docs/first_hour.md, as a newcomer would type it: every command is run, in order, and prints what
// the document says it prints.
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "test/cluster/shell_session.h"
#include "test/cluster/transcript.h"

namespace millrace::test {
namespace {

TEST(FirstHourTest, EveryCommandPrintsWhatTheDocumentSays) {
  const std::vector<TranscriptStep> steps = ReadTranscript(ReadDocument("docs/first_hour.md"));
  ASSERT_GE(steps.size(), 40u);
  ShellSession shell;
  for (const TranscriptStep& step : steps) {
    const ShellSession::Outcome outcome = shell.Run(step.command);
    EXPECT_TRUE(OutputMatches(step.output, outcome.output))
        << "line " << step.line << "\n$ " << step.command << "\n"
        << outcome.output << "---- the document says ----\n"
        << step.output;
    EXPECT_EQ(outcome.exit_code != 0, step.fails())
        << "line " << step.line << ": " << step.command << " exited with " << outcome.exit_code;
  }
}

TEST(TranscriptTest, PlaceholdersAndDotsStandForWhatChanges) {
  EXPECT_TRUE(OutputMatches("topic a  id <id>\n", "topic a  id x1_-\n"));
  EXPECT_FALSE(OutputMatches("topic a  id <id>\n", "topic b  id x1\n"));
  EXPECT_FALSE(OutputMatches("topic a  id <id>\n", "topic a  id \n"));
  EXPECT_TRUE(OutputMatches("a.b (c) [d]\n", "a.b (c) [d]\n"));
  EXPECT_FALSE(OutputMatches("a.b\n", "axb\n"));
  EXPECT_TRUE(OutputMatches("first\n...\nlast\n", "first\n1\n2\nlast\n"));
  EXPECT_TRUE(OutputMatches("first\n...\nlast\n", "first\nlast\n"));
  EXPECT_FALSE(OutputMatches("first\n...\nlast\n", "first\n1\n"));
  EXPECT_TRUE(OutputMatches("", ""));
  EXPECT_FALSE(OutputMatches("", "surprise\n"));
}

TEST(TranscriptTest, StepsAreCommandsWithTheirOutput) {
  const auto steps = ReadTranscript(
      "text\n```console\n$ one \\\n> more\nout\n$ two\nerror: no\n```\n```\n$ not this\n```\n");
  ASSERT_EQ(steps.size(), 2u);
  EXPECT_EQ(steps[0].command, "one \\\nmore");
  EXPECT_EQ(steps[0].output, "out\n");
  EXPECT_FALSE(steps[0].fails());
  EXPECT_TRUE(steps[1].fails());
  EXPECT_EQ(steps[1].line, 6);
}

}  // namespace
}  // namespace millrace::test
