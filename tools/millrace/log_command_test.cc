#include "tools/millrace/log_command.h"

#include <string>

#include "base/posix_file_system.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "metadata/image_snapshot.h"
#include "raft/host/snapshot_format.h"
#include "record/testing/sample_records.h"
#include "tools/millrace/testing/command_test_bed.h"

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
  // What a clean stop leaves of its producers: no snapshot of the metadata.
  EXPECT_OK(ReplaceFile(files, JoinPath(path, "00000000000000000003.snapshot"), "producers"));
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

TEST(LogCommand, DumpsASnapshotByItsFileAndByItsDirectory) {
  PosixFileSystem files;
  const std::string directory = JoinPath(testing::TempDir(), "snapshots");
  ASSERT_OK(RemoveTree(files, directory));
  ASSERT_OK(files.CreateDirectory(directory));
  const std::string path = JoinPath(directory, raft::SnapshotFileName({Term(2), LogIndex(7)}));
  ASSERT_OK_AND_ASSIGN(
      const std::string bytes,
      raft::EncodeSnapshotFile({Term(2), LogIndex(7)}, {}, metadata::EncodeImageSnapshot({})));
  ASSERT_OK(ReplaceFile(files, path, bytes));
  for (const std::string& of : {path, directory}) {
    const LineResult result = RunLine(AddLogCommands, {"log", "dump", of});
    EXPECT_EQ(result.exit_code, kExitOk) << result.err;
    EXPECT_THAT(result.out, HasSubstr("snapshot: " + path));
    EXPECT_THAT(result.out, HasSubstr("last_index: 7"));
  }
  const LineResult verified = RunLine(AddLogCommands, {"log", "verify", path, "-o", "json"});
  EXPECT_EQ(verified.exit_code, kExitOk) << verified.err;
  EXPECT_EQ(Json::parse(verified.out)["snapshots"], 1);
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
