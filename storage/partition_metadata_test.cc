#include "storage/partition_metadata.h"

#include "base/sim/sim_file_system.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::storage {
namespace {

TEST(PartitionMetadataTest, ADirectoryTellsWhoseItIsUnlessItsFileIsMissingOrDamaged) {
  sim::SimFileSystem files;
  ASSERT_OK(files.CreateDirectory("topic-3"));
  EXPECT_EQ(ReadTopicIdOf(files, "topic-3").value(), std::nullopt);
  const TopicId id(Uuid(5, 6));
  const std::string text = EncodePartitionMetadata({id, PartitionIndex(3)});
  ASSERT_OK(ReplaceFile(files, "topic-3/partition.metadata", text));
  EXPECT_EQ(ReadTopicIdOf(files, "topic-3").value(), id);
  for (uint64_t bit = 0; bit < text.size() * 8; ++bit) {
    files.FlipBit("topic-3/partition.metadata", bit);
    EXPECT_EQ(ReadTopicIdOf(files, "topic-3").value(), std::nullopt) << bit;
    files.FlipBit("topic-3/partition.metadata", bit);
  }
  ASSERT_OK(ReplaceFile(files, "topic-3/partition.metadata", std::string(100 << 10, 'x')));
  EXPECT_EQ(ReadTopicIdOf(files, "topic-3").value(), std::nullopt);
  files.SetFaults([](const sim::SimCall&) { return sim::SimFault::kIoError; });
  EXPECT_THAT(ReadTopicIdOf(files, "topic-3"), HasCode(ErrorCode::kStorageError));
}

}  // namespace
}  // namespace millrace::storage
