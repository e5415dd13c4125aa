#include "tools/millrace/position_file.h"

#include "base/sim/sim_file_system.h"
#include "base/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::tools {
namespace {

TEST(PositionFile, GivesBackWhatWasWritten) {
  sim::SimFileSystem files;
  const NextOffsets offsets = {{PartitionIndex(0), Offset(17)}, {PartitionIndex(3), Offset(0)}};
  ASSERT_TRUE(WritePositionFile(files, "t.position", "t", offsets).ok());
  EXPECT_EQ(ReadPositionFile(files, "t.position", "t").value(), offsets);
}

TEST(PositionFile, NoFileMeansNoPositions) {
  sim::SimFileSystem files;
  EXPECT_TRUE(ReadPositionFile(files, "t.position", "t").value().empty());
}

TEST(PositionFile, RefusesTheFileOfAnotherTopicAndWhatIsNoPositionFile) {
  sim::SimFileSystem files;
  ASSERT_TRUE(WritePositionFile(files, "p", "t", {}).ok());
  EXPECT_EQ(CodeOf(ReadPositionFile(files, "p", "u").status()), ErrorCode::kInvalidRequest);
  for (const char* text : {"", "[]", "{\"version\":2}", "nonsense",
                           "{\"version\":1,\"topic\":\"t\",\"next_offsets\":{\"x\":1}}",
                           "{\"version\":1,\"topic\":\"t\",\"next_offsets\":{\"0\":-1}}"}) {
    ASSERT_TRUE(ReplaceFile(files, "q", text).ok());
    EXPECT_EQ(CodeOf(ReadPositionFile(files, "q", "t").status()), ErrorCode::kInvalidRequest)
        << text;
  }
}

}  // namespace
}  // namespace millrace::tools
