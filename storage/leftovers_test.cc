#include "storage/leftovers.h"

#include "absl/strings/str_cat.h"
#include "base/sim/sim_file_system.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/file_names.h"
#include "storage/partition_metadata.h"

namespace millrace::storage {
namespace {

constexpr char kMetadata[] = "d/topic-0/partition.metadata";

// A log directory whose journal named a replica of topic 1, and then perhaps one of topic 2 that
// has the same name; "d/topic-0" is there.
class LeftoversTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK(files_.CreateDirectory("d"));
    ASSERT_OK(files_.CreateDirectory("d/topic-0"));
    ASSERT_OK(syncs_.Rewrite());
    ASSERT_OK(partitions_.Rewrite());
    first_ = partitions_.Create(Partition(1), "topic");
    partitions_.SetHasData(first_);
  }
  static TopicPartition Partition(uint64_t topic) {
    return {TopicId(Uuid(topic, topic)), PartitionIndex(0)};
  }
  void DirectoryIsOf(uint64_t topic) {
    ASSERT_OK(ReplaceFile(files_, kMetadata, EncodePartitionMetadata(Partition(topic))));
  }
  bool Exists(const std::string& path) { return files_.Exists(path).value(); }
  // As the next process does, with what the journal says by then.
  void Remove() {
    ASSERT_OK(partitions_.Flush());
    SyncJournal syncs(&files_, "d/sync-journal", 1 << 20);
    PartitionsJournal partitions(&files_, "d/partitions", 1 << 20, &syncs);
    ASSERT_OK(syncs.Load());
    ASSERT_OK(partitions.Load());
    ASSERT_OK(RemoveLeftovers(files_, "d", partitions));
  }

  sim::SimFileSystem files_;
  SyncJournal syncs_{&files_, "d/sync-journal", 1 << 20};
  PartitionsJournal partitions_{&files_, "d/partitions", 1 << 20, &syncs_};
  uint32_t first_ = 0;
};

TEST_F(LeftoversTest, WhatWasDeletedGoesAndTheRestStays) {
  DirectoryIsOf(1);
  ASSERT_OK(files_.CreateDirectory("d/topic-7.abc-delete"));
  ASSERT_OK(ReplaceFile(files_, "d/topic-7.abc-delete/x", "x"));
  ASSERT_OK(ReplaceFile(files_, "d/open-record.tmp", "x"));
  Remove();
  EXPECT_TRUE(Exists("d/topic-0"));
  EXPECT_FALSE(Exists("d/topic-7.abc-delete"));
  EXPECT_FALSE(Exists("d/open-record.tmp"));
  partitions_.Delete(first_);
  Remove();
  EXPECT_FALSE(Exists("d/topic-0"));
}

// The entry that says that the successor has data is written when its first record is acknowledged
// already, if it asked for the page cache only.
TEST_F(LeftoversTest, ADeletedTopicsSuccessorKeepsItsDirectory) {
  partitions_.Delete(first_);
  partitions_.Create(Partition(2), "topic");
  DirectoryIsOf(2);
  Remove();
  EXPECT_TRUE(Exists("d/topic-0"));
}

// Its partition was moved to other brokers, and back here.
TEST_F(LeftoversTest, AReplicaThatWasDeletedAndMadeAgainKeepsItsDirectory) {
  partitions_.Delete(first_);
  partitions_.SetHasData(partitions_.Create(Partition(1), "topic"));
  DirectoryIsOf(1);
  Remove();
  EXPECT_TRUE(Exists("d/topic-0"));
}

TEST_F(LeftoversTest, ADeletedTopicsDirectoryGoesThoughItsNameIsUsedAgain) {
  partitions_.Delete(first_);
  partitions_.Create(Partition(2), "topic");
  DirectoryIsOf(1);
  Remove();
  EXPECT_FALSE(Exists("d/topic-0"));
}

TEST_F(LeftoversTest, ADirectoryThatCannotSayWhoseItIsStaysIfTheSuccessorHasData) {
  partitions_.Delete(first_);
  partitions_.SetHasData(partitions_.Create(Partition(2), "topic"));
  DirectoryIsOf(2);
  files_.FlipBit(kMetadata, 100);
  Remove();
  EXPECT_TRUE(Exists("d/topic-0"));
}

TEST_F(LeftoversTest, AStrayReplicasDirectoryIsSetAside) {
  partitions_.SetStray(first_);
  DirectoryIsOf(2);
  Remove();
  EXPECT_TRUE(Exists("d/topic-0"));
  DirectoryIsOf(1);
  Remove();
  EXPECT_FALSE(Exists("d/topic-0"));
  EXPECT_TRUE(Exists(absl::StrCat("d/", AsideName("topic", Partition(1), kStrayDirectorySuffix))));
}

}  // namespace
}  // namespace millrace::storage
