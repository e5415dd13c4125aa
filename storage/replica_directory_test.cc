#include "storage/replica_directory.h"

#include "absl/strings/str_cat.h"
#include "base/sim/sim_file_system.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/file_names.h"

namespace millrace::storage {
namespace {

class ReplicaDirectoryTest : public testing::Test {
 protected:
  void SetUp() override {
    replica_.topic_partition = {TopicId(Uuid(1, 1)), PartitionIndex(0)};
    replica_.topic_name = "topic";
    stray_ =
        absl::StrCat("d/", AsideName("topic", replica_.topic_partition, kStrayDirectorySuffix));
    ASSERT_OK(files_.CreateDirectory("d"));
    ASSERT_OK(files_.SyncDirectory(ParentPath("d")));
  }
  void Create() {
    ASSERT_OK(files_.CreateDirectory("d/topic-0"));
    ASSERT_OK(ReplaceFile(files_, "d/topic-0/x", "x"));
    ASSERT_OK(files_.SyncDirectory("d"));
  }
  bool Exists(const std::string& path) { return files_.Exists(path).value(); }
  // The same after a loss of power.
  bool IsDurable(const std::string& path) {
    sim::SimRandom random(1);
    return files_.CrashImage(sim::CrashMode::kLoseAll, random)->Exists(path).value();
  }

  sim::SimFileSystem files_;
  ReplicaRecord replica_;
  std::string stray_;
};

TEST_F(ReplicaDirectoryTest, WhatIsSetAsideComesBackWithItsFiles) {
  Create();
  ASSERT_OK(SetReplicaDirectoryAside(files_, "d", replica_));
  EXPECT_FALSE(Exists("d/topic-0"));
  EXPECT_TRUE(IsDurable(stray_));
  ASSERT_OK(TakeReplicaDirectoryBack(files_, "d", replica_));
  EXPECT_FALSE(Exists(stray_));
  EXPECT_TRUE(IsDurable("d/topic-0/x"));
}

TEST_F(ReplicaDirectoryTest, WhatWasNeverAppendedToHasNoDirectoryToMove) {
  EXPECT_OK(SetReplicaDirectoryAside(files_, "d", replica_));
  EXPECT_OK(TakeReplicaDirectoryBack(files_, "d", replica_));
  EXPECT_OK(RemoveReplicaDirectory(files_, "d", replica_));
}

TEST_F(ReplicaDirectoryTest, NothingIsTakenBackOverWhatLiesThere) {
  Create();
  ASSERT_OK(SetReplicaDirectoryAside(files_, "d", replica_));
  Create();
  EXPECT_THAT(TakeReplicaDirectoryBack(files_, "d", replica_),
              IsError(ErrorCode::kInvalidDirectory, "topic-0"));
  EXPECT_TRUE(Exists(stray_));
}

// As where too many files are open: in the middle, and again later.
TEST_F(ReplicaDirectoryTest, WhatFoundNoRoomInTheMiddleIsFinishedByTheNextCall) {
  using Kind = sim::SimCall::Kind;
  const std::string deleted =
      absl::StrCat("d/", AsideName("topic", replica_.topic_partition, kDeletedDirectorySuffix));
  const auto twice = [&](Kind step, const std::string& path, auto move) {
    files_.SetFaults([&](const sim::SimCall& call) {
      return call.kind == step && call.path == path ? std::optional(sim::SimFault::kNoSpace)
                                                    : std::nullopt;
    });
    const absl::Status first = move(files_, "d", replica_);
    files_.SetFaults(nullptr);
    EXPECT_THAT(first, HasCode(ErrorCode::kStorageFull));
    EXPECT_OK(move(files_, "d", replica_));
  };
  Create();
  twice(Kind::kSyncDirectory, "d", SetReplicaDirectoryAside);
  EXPECT_TRUE(IsDurable(stray_));
  twice(Kind::kSyncDirectory, "d", TakeReplicaDirectoryBack);
  EXPECT_TRUE(IsDurable("d/topic-0/x"));
  twice(Kind::kSyncDirectory, "d", RemoveReplicaDirectory);
  EXPECT_FALSE(Exists(deleted));
  EXPECT_FALSE(IsDurable("d/topic-0"));
  Create();
  twice(Kind::kRemove, absl::StrCat(deleted, "/x"), RemoveReplicaDirectory);
  EXPECT_FALSE(Exists(deleted));
}

TEST_F(ReplicaDirectoryTest, OnlyTheOneThatTheJournalNamesIsRemoved) {
  Create();
  ASSERT_OK(SetReplicaDirectoryAside(files_, "d", replica_));
  Create();
  replica_.stray = true;
  ASSERT_OK(RemoveReplicaDirectory(files_, "d", replica_));
  EXPECT_FALSE(Exists(stray_));
  EXPECT_TRUE(Exists("d/topic-0"));
  replica_.stray = false;
  ASSERT_OK(RemoveReplicaDirectory(files_, "d", replica_));
  EXPECT_FALSE(Exists("d/topic-0"));
}

}  // namespace
}  // namespace millrace::storage
