#include "tools/millrace/log_command.h"

#include <string>

#include "base/posix_file_system.h"
#include "record/testing/sample_records.h"
#include "tools/millrace/command_test_bed.h"

namespace millrace::tools {
namespace {

using ::testing::HasSubstr;

// A partition's directory with one segment.
std::string PartitionDirectory(const std::string& name) {
  PosixFileSystem files;
  const std::string path = JoinPath(testing::TempDir(), name);
  EXPECT_OK(RemoveTree(files, path));
  EXPECT_OK(files.CreateDirectory(path));
  EXPECT_OK(ReplaceFile(files, JoinPath(path, "00000000000000000000.log"),
                        record::BuildSampleBatch(3).slice()));
  return path;
}

TEST(LogCommand, DumpsAPartitionByItsDirectory) {
  const std::string path = PartitionDirectory("dump-0");
  const LineResult result = RunLine(AddLogCommands, {"log", "dump", path});
  EXPECT_EQ(result.exit_code, kExitOk) << result.err;
  EXPECT_THAT(result.out, HasSubstr(path + "/00000000000000000000.log\nposition: 0"));
  const Json json = Json::parse(RunLine(AddLogCommands, {"log", "dump", path, "-o", "json"}).out);
  EXPECT_EQ(json["records"], 3);
}

TEST(LogCommand, SaysWhatItNeedsWhereThereIsNothingToDump) {
  const LineResult empty = RunLine(AddLogCommands, {"log", "dump", testing::TempDir()});
  EXPECT_EQ(empty.exit_code, kExitFailed);
  EXPECT_THAT(empty.err, HasSubstr("name the directory of one partition"));
  EXPECT_EQ(RunLine(AddLogCommands, {"log", "dump"}).exit_code, kExitUsage);
  EXPECT_EQ(RunLine(AddLogCommands, {"log", "dump", "/no/such.log"}).exit_code, kExitFailed);
}

}  // namespace
}  // namespace millrace::tools
