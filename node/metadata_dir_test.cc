#include "node/metadata_dir.h"

#include "base/sim/sim_file_system.h"
#include "base/sim/sim_random.h"
#include "base/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::node {
namespace {

class MetadataDirTest : public ::testing::Test {
 protected:
  absl::StatusOr<std::unique_ptr<MetadataDir>> Open(int32_t node = 1) {
    return MetadataDir::Open(&files_, "data/metadata", NodeId(node), &random_);
  }

  sim::SimFileSystem files_;
  sim::SimRandom random_{7};
};

TEST_F(MetadataDirTest, ANewDirectoryGetsAnIdThatItKeeps) {
  DirectoryId id;
  {
    const auto dir = Open().value();
    EXPECT_TRUE(dir->is_new());
    EXPECT_EQ(dir->start_count(), 1);
    id = dir->directory_id();
    EXPECT_FALSE(id.is_zero());
  }
  const auto dir = Open().value();
  EXPECT_FALSE(dir->is_new());
  EXPECT_EQ(dir->directory_id(), id);
  EXPECT_EQ(dir->start_count(), 2);
}

TEST_F(MetadataDirTest, TheIdSurvivesALossOfAllThatWasNotSynced) {
  const DirectoryId id = Open().value()->directory_id();
  const auto crashed = files_.CrashImage(sim::CrashMode::kLoseAll, random_);
  const auto dir = MetadataDir::Open(crashed.get(), "data/metadata", NodeId(1), &random_).value();
  EXPECT_EQ(dir->directory_id(), id);
}

TEST_F(MetadataDirTest, BelongsToOneClusterForGood) {
  const auto dir = Open().value();
  const ClusterId cluster = ClusterId::Draw(random_);
  ASSERT_TRUE(dir->SetClusterId(cluster).ok());
  EXPECT_EQ(CodeOf(dir->SetClusterId(ClusterId::Draw(random_))), ErrorCode::kInconsistentClusterId);
  EXPECT_EQ(dir->cluster_id(), cluster);
}

TEST_F(MetadataDirTest, RefusesAnotherNodeASecondProcessAndForeignFiles) {
  {
    const auto dir = Open().value();
    EXPECT_EQ(CodeOf(Open().status()), ErrorCode::kDirectoryLocked);
  }
  EXPECT_EQ(CodeOf(Open(2).status()), ErrorCode::kInconsistentNodeId);
  ASSERT_TRUE(CreateDirectories(files_, "other/metadata").ok());
  ASSERT_TRUE(files_.Open("other/metadata/letter.txt", OpenMode::kCreate).ok());
  EXPECT_EQ(CodeOf(MetadataDir::Open(&files_, "other/metadata", NodeId(1), &random_).status()),
            ErrorCode::kInvalidDirectory);
}

}  // namespace
}  // namespace millrace::node
