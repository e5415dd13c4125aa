#include "tools/millrace/position_file.h"

#include "base/sim/sim_file_system.h"
#include "base/status.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::tools {
namespace {

const KeptTopic kTopic = {"t", TopicId(Uuid(1, 2))};

TEST(PositionFile, GivesBackWhatWasWritten) {
  sim::SimFileSystem files;
  const KeptPositions positions = {{PartitionIndex(0), {Offset(17), LeaderEpoch(3)}},
                                   {PartitionIndex(3), {Offset(0)}}};
  ASSERT_TRUE(WritePositionFile(files, "t.position", kTopic, positions).ok());
  EXPECT_EQ(ReadPositionFile(files, "t.position", kTopic).value(), positions);
}

TEST(PositionFile, OneWithoutEpochsAndIdIsReadAsWell) {
  sim::SimFileSystem files;
  const char* const text = "{\"version\":1,\"topic\":\"t\",\"next_offsets\":{\"0\":17}}";
  ASSERT_TRUE(ReplaceFile(files, "t.position", text).ok());
  EXPECT_EQ(ReadPositionFile(files, "t.position", kTopic).value(),
            (KeptPositions{{PartitionIndex(0), {Offset(17)}}}));
}

TEST(PositionFile, OneOfAnEarlierTopicOfThatNameIsRefused) {
  sim::SimFileSystem files;
  ASSERT_OK(WritePositionFile(files, "p", kTopic, {{PartitionIndex(0), {Offset(17)}}}));
  EXPECT_THAT(ReadPositionFile(files, "p", {"t", TopicId(Uuid(3, 4))}),
              IsError(ErrorCode::kInvalidRequest, "deleted and made again"));
  ASSERT_TRUE(ReplaceFile(files, "p", "{\"version\":1,\"topic\":\"t\",\"topic_id\":7}").ok());
  EXPECT_THAT(ReadPositionFile(files, "p", kTopic),
              IsError(ErrorCode::kInvalidRequest, "deleted and made again"));
}

TEST(PositionFile, NoFileMeansNoPositions) {
  sim::SimFileSystem files;
  EXPECT_TRUE(ReadPositionFile(files, "t.position", kTopic).value().empty());
}

TEST(PositionFile, RefusesTheFileOfAnotherTopicAndWhatIsNoPositionFile) {
  sim::SimFileSystem files;
  ASSERT_TRUE(WritePositionFile(files, "p", kTopic, {}).ok());
  EXPECT_EQ(CodeOf(ReadPositionFile(files, "p", {"u", kTopic.id}).status()),
            ErrorCode::kInvalidRequest);
  for (const char* text : {"", "[]", "{\"version\":2}", "nonsense",
                           "{\"version\":1,\"topic\":\"t\",\"next_offsets\":{\"x\":1}}",
                           "{\"version\":1,\"topic\":\"t\",\"next_offsets\":{\"0\":-1}}",
                           "{\"version\":1,\"topic\":\"t\",\"next_offsets\":{},"
                           "\"leader_epochs\":3}"}) {
    ASSERT_TRUE(ReplaceFile(files, "q", text).ok());
    EXPECT_EQ(CodeOf(ReadPositionFile(files, "q", kTopic).status()), ErrorCode::kInvalidRequest)
        << text;
  }
}

}  // namespace
}  // namespace millrace::tools
