#include "tools/millrace/position_file.h"

#include "base/sim/sim_file_system.h"
#include "base/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::tools {
namespace {

TEST(PositionFile, GivesBackWhatWasWritten) {
  sim::SimFileSystem files;
  const KeptPositions positions = {{PartitionIndex(0), {Offset(17), LeaderEpoch(3)}},
                                   {PartitionIndex(3), {Offset(0)}}};
  ASSERT_TRUE(WritePositionFile(files, "t.position", "t", positions).ok());
  EXPECT_EQ(ReadPositionFile(files, "t.position", "t").value(), positions);
}

TEST(PositionFile, OneWithoutEpochsIsReadAsWell) {
  sim::SimFileSystem files;
  const char* const text = "{\"version\":1,\"topic\":\"t\",\"next_offsets\":{\"0\":17}}";
  ASSERT_TRUE(ReplaceFile(files, "t.position", text).ok());
  EXPECT_EQ(ReadPositionFile(files, "t.position", "t").value(),
            (KeptPositions{{PartitionIndex(0), {Offset(17)}}}));
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
                           "{\"version\":1,\"topic\":\"t\",\"next_offsets\":{\"0\":-1}}",
                           "{\"version\":1,\"topic\":\"t\",\"next_offsets\":{},"
                           "\"leader_epochs\":3}"}) {
    ASSERT_TRUE(ReplaceFile(files, "q", text).ok());
    EXPECT_EQ(CodeOf(ReadPositionFile(files, "q", "t").status()), ErrorCode::kInvalidRequest)
        << text;
  }
}

}  // namespace
}  // namespace millrace::tools
