#include "node/metadata_dir.h"

#include "base/sim/sim_file_system.h"
#include "base/sim/sim_random.h"
#include "base/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/dir_identity.h"

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

TEST_F(MetadataDirTest, S18_TheIdIsDurableBeforeItIsToldToAnybody) {
  const DirectoryId id = Open().value()->directory_id();
  const auto crashed = files_.CrashImage(sim::CrashMode::kLoseAll, random_);
  const auto dir = MetadataDir::Open(crashed.get(), "data/metadata", NodeId(1), &random_).value();
  EXPECT_EQ(dir->directory_id(), id);
}

// A copy of the directory would otherwise count as the same start.
TEST_F(MetadataDirTest, S19_EachStartIsCountedDurably) {
  EXPECT_EQ(Open().value()->start_count(), 1);
  auto crashed = files_.CrashImage(sim::CrashMode::kLoseAll, random_);
  for (int64_t start = 2; start <= 4; ++start) {
    EXPECT_EQ(MetadataDir::Open(crashed.get(), "data/metadata", NodeId(1), &random_)
                  .value()
                  ->start_count(),
              start);
    crashed = crashed->CrashImage(sim::CrashMode::kLoseAll, random_);
  }
}

TEST_F(MetadataDirTest, S18_BelongsToOneClusterForGood) {
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

// S-18: empty means no cluster id in the metadata directory nor in any log directory.
class CheckFoundingTest : public MetadataDirTest {
 protected:
  void MakeLogDir(const std::string& path, const std::string& meta_properties) {
    ASSERT_TRUE(CreateDirectories(files_, path).ok());
    ASSERT_TRUE(ReplaceFile(files_, JoinPath(path, "meta.properties"), meta_properties).ok());
  }
  absl::Status Check() { return CheckFounding(files_, "data/metadata", {"data/new", "data/logs"}); }
  absl::StatusOr<ClusterId> Join() {
    return ClusterToJoin(files_, "data/metadata", {"data/new", "data/logs"});
  }

  const ClusterId cluster_ = ClusterId::Draw(random_);
  const std::string identity_ = storage::EncodeDirIdentity(
      {.cluster_id = cluster_, .node_id = NodeId(1), .directory_id = DirectoryId::Draw(random_)});
};

TEST_F(CheckFoundingTest, EmptyDirectoriesMayBecomeACluster) {
  EXPECT_TRUE(Check().ok());
  ASSERT_TRUE(CreateDirectories(files_, "data/logs").ok());
  EXPECT_TRUE(Check().ok());
  EXPECT_TRUE(Open().ok());
  EXPECT_TRUE(Check().ok());
}

TEST_F(CheckFoundingTest, S18_ALogDirectoryOfAClusterWithoutItsMetadataIsRefusedAndNothingWritten) {
  MakeLogDir("data/logs", identity_);
  const absl::Status status = Check();
  EXPECT_EQ(CodeOf(status), ErrorCode::kInconsistentClusterId);
  for (const std::string& part :
       {cluster_.ToString(), std::string("'data/logs'"), std::string("'data/metadata'")}) {
    EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr(part));
  }
  EXPECT_FALSE(files_.Exists("data/metadata").value());
  EXPECT_FALSE(files_.Exists("data/new").value());
}

TEST_F(CheckFoundingTest, S18WhatTheLogDirectoriesBelongToCanBeJoined) {
  EXPECT_TRUE(Join().value().is_zero());
  MakeLogDir("data/logs", identity_);
  EXPECT_EQ(Join().value(), cluster_);
  ASSERT_TRUE(Open().ok());
  EXPECT_EQ(Join().value(), cluster_);
  ASSERT_TRUE(Open().value()->SetClusterId(cluster_).ok());
  EXPECT_TRUE(Join().value().is_zero());
}

TEST_F(CheckFoundingTest, ADirectoryThatHasNotFoundedYetCountsAsEmpty) {
  ASSERT_TRUE(Open().ok());
  MakeLogDir("data/logs", identity_);
  EXPECT_EQ(CodeOf(Check()), ErrorCode::kInconsistentClusterId);
}

TEST_F(CheckFoundingTest, TheClustersOwnDirectoriesPass) {
  ASSERT_TRUE(Open().value()->SetClusterId(cluster_).ok());
  MakeLogDir("data/logs", identity_);
  EXPECT_TRUE(Check().ok());
}

TEST_F(CheckFoundingTest, ALogDirectoryThatCannotBeReadIsNotTakenForAnEmptyOne) {
  std::string damaged = identity_;
  damaged[damaged.size() / 2] ^= 1;
  MakeLogDir("data/logs", damaged);
  EXPECT_EQ(CodeOf(Check()), ErrorCode::kCorruptLog);
}

}  // namespace
}  // namespace millrace::node
