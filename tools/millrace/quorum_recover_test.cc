#include "tools/millrace/quorum_recover.h"

#include "gmock/gmock.h"
#include "tools/millrace/quorum_command.h"
#include "tools/millrace/testing/command_test_bed.h"

namespace millrace::tools {
namespace {

using ::testing::HasSubstr;

// test/cluster has the recovery itself.
TEST(QuorumRecover, ADirectoryThatIsNoVotersIsRefusedByName) {
  const LineResult result = RunLine(
      AddQuorumCommands, {"quorum", "recover", "--metadata-dir", "/nowhere", "--accept-loss"});
  EXPECT_EQ(result.exit_code, kExitFailed);
  EXPECT_THAT(result.err, HasSubstr("'/nowhere' is no metadata directory"));
}

TEST(QuorumRecover, TheDirectoryMustBeNamed) {
  EXPECT_EQ(RunLine(AddQuorumCommands, {"quorum", "recover"}).exit_code, kExitUsage);
}

}  // namespace
}  // namespace millrace::tools
