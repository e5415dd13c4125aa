#include "node/quorum_recovery.h"

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/sim/sim_file_system.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "metadata/image_snapshot.h"
#include "metadata/test_image.h"
#include "node/founding_file.h"
#include "node/testing/controller_fixture.h"
#include "node/testing/silent_network.h"
#include "raft/host/wal.h"
#include "rsm/entry_codec.h"

namespace millrace::node {
namespace {

using metadata::Image;

// Node 1 of three, whose log has five entries of term 3, three of them known to be committed.
class QuorumRecoveryTest : public ControllerFixture {
 protected:
  QuorumRecoveryTest() {
    auto dir = MetadataDir::Open(&files_, "m", NodeId(1), &random_).value();
    self_ = {NodeId(1), dir->directory_id()};
    founders_.voters = {{self_, "one:1"},
                        {{NodeId(2), Directory(2)}, "two:1"},
                        {{NodeId(3), Directory(3)}, "three:1"}};
    raft::FoundingRecord founded;
    founded.phase = raft::FoundingPhase::kFounded;
    founded.voters = founders_.voters;
    founded.cluster_id = raft::FoundingClusterId(founded.voters);
    EXPECT_OK(WriteFoundingFile(files_, "m", founded));
    EXPECT_OK(dir->SetClusterId(founded.cluster_id));
    cluster_id_ = founded.cluster_id;
    WriteLog();
    files_.SyncAll();
  }
  static DirectoryId Directory(uint64_t n) { return DirectoryId(Uuid(50, n)); }

  void WriteLog() {
    raft::WalRecovery found;
    auto wal = raft::Wal::Open(
                   {.directory = "m/wal"},
                   {.files = &files_,
                    .clock = &clock_,
                    .random = &random_,
                    .owner = owner_.get(),
                    .disk = disk_.get()},
                   {}, [](const absl::Status&) {}, &found)
                   .value();
    raft::WalBatch batch;
    batch.hard_state = raft::HardState{Term(4), std::nullopt, LogIndex(3)};
    batch.voters = founders_;
    const std::vector<std::vector<rsm::Record>> entries = {
        {metadata::Founded()},
        {metadata::Registered(1, 1)},
        {metadata::TopicMade(1, "t"), metadata::PartitionMade(1, 0)},
        {metadata::TopicMade(2, "u"), metadata::PartitionMade(2, 0)},
        {metadata::ProducerIdsUpTo(1000)}};
    for (const std::vector<rsm::Record>& records : entries) {
      const LogIndex index(static_cast<int64_t>(batch.entries.size()) + 1);
      batch.entries.push_back(
          {Term(3), index, raft::EntryType::kPayload, *rsm::EncodeEntry(records)});
      image_ = metadata::Apply(image_, index, records);
    }
    bool durable = false;
    owner_->RunNow([&] { EXPECT_OK(wal->Append(std::move(batch), [&] { durable = true; })); });
    ASSERT_TRUE(loop_.RunUntil([&] { return durable; }, absl::Seconds(1)));
    owner_->RunNow([&] { wal.reset(); });
    ASSERT_TRUE(loop_.RunUntilIdle());
  }

  // The controller of node 1 as a server would run it, leading.
  void Lead(FileSystem* files) {
    dir_ = MetadataDir::Open(files, "m", NodeId(1), &random_).value();
    ASSERT_OK_AND_ASSIGN(const raft::FoundingRecord founding,
                         ReadFoundingFile(*files, "m", dir_->cluster_id()));
    QuorumPlace place;
    place.founders.voters = founding.voters;
    place.transport = &network_.transport();
    ASSERT_NO_FATAL_FAILURE(OpenHost(files, std::move(place)));
    ControllerFixture::Lead();
  }
  void Stop() {
    host_.reset();
    dir_.reset();
    ASSERT_TRUE(loop_.RunUntilIdle());
  }

  SilentNetwork network_;
  raft::VoterId self_;
  raft::VoterSet founders_;
  ClusterId cluster_id_;
  Image image_;
};

TEST_F(QuorumRecoveryTest, SaysWhatIsKnownAndWhatMayBeLost) {
  ASSERT_OK_AND_ASSIGN(const auto recovery, QuorumRecovery::Open(&files_, "m"));
  const QuorumRecovery::Findings& found = recovery->findings();
  EXPECT_EQ(found.self, self_);
  EXPECT_EQ(found.cluster_id, cluster_id_);
  EXPECT_EQ(found.term, Term(4));
  EXPECT_EQ(found.committed, LogIndex(3));
  EXPECT_EQ(found.last, (EntryId{Term(3), LogIndex(5)}));
  EXPECT_EQ(found.voters.voters.size(), 3u);
  EXPECT_EQ(found.topics, 2u);
  // Servers stay out.
  EXPECT_THAT(MetadataDir::Open(&files_, "m", NodeId(1), &random_),
              HasCode(ErrorCode::kDirectoryLocked));
}

TEST_F(QuorumRecoveryTest, S20ItLeadsAloneAsAnotherVoterWithAllThatItHad) {
  raft::VoterId recovered;
  {
    ASSERT_OK_AND_ASSIGN(const auto recovery, QuorumRecovery::Open(&files_, "m"));
    ASSERT_OK_AND_ASSIGN(recovered, recovery->Recover(&random_));
  }
  EXPECT_NE(recovered.directory, self_.directory);
  for (int start = 0; start < 2; ++start) {
    ASSERT_NO_FATAL_FAILURE(Lead(&files_));
    EXPECT_EQ(dir_->directory_id(), recovered.directory);
    EXPECT_GT(host_->term(), Term(4));
    const Image& image = host_->committed_image();
    EXPECT_EQ(image.cluster_id(), image_.cluster_id());
    EXPECT_EQ(image.topic_count(), 2u);
    EXPECT_EQ(image.index(), LogIndex(5 + kRecoveryIndexJump));
    // Nothing that the lost voters can have given out is given out again.
    EXPECT_EQ(image.next_producer_id(), ProducerId(1000 + kRecoveryProducerIdJump));
    image.ForEachTopic([&](const metadata::TopicImage& topic) {
      const metadata::PartitionImage* before = image_.FindPartition({topic.id, PartitionIndex(0)});
      const metadata::PartitionImage* after = topic.FindPartition(PartitionIndex(0));
      EXPECT_EQ(after->leader_epoch, before->leader_epoch + kRecoveryEpochJump);
      EXPECT_EQ(after->isr, before->isr);
    });
    const raft::VoterSet& voters = host_->log().node().voters();
    ASSERT_EQ(voters.voters.size(), 1u);
    EXPECT_EQ(voters.voters[0], (raft::Voter{recovered, "one:1"}));
    Stop();
  }
  EXPECT_EQ(ReadFoundingFile(files_, "m", cluster_id_)->generation, 1);
}

TEST_F(QuorumRecoveryTest, TheOnlyVoterNeedsNoRecovery) {
  ASSERT_OK(QuorumRecovery::Open(&files_, "m").value()->Recover(&random_).status());
  EXPECT_THAT(QuorumRecovery::Open(&files_, "m"),
              IsError(ErrorCode::kInvalidDirectory, "only voter"));
}

TEST_F(QuorumRecoveryTest, WhatIsNoVotersDirectoryIsRefused) {
  EXPECT_THAT(QuorumRecovery::Open(&files_, "nowhere"),
              IsError(ErrorCode::kInvalidDirectory, "no metadata directory"));
  ASSERT_OK(MetadataDir::Open(&files_, "n", NodeId(9), &random_).status());
  EXPECT_THAT(QuorumRecovery::Open(&files_, "n"),
              IsError(ErrorCode::kInvalidDirectory, "belongs to no cluster"));
  // A node that came back under another directory.
  ASSERT_OK(MetadataDir::OpenExisting(&files_, "m").value()->BecomeDirectory(Directory(77)));
  const absl::Status status = QuorumRecovery::Open(&files_, "m").status();
  EXPECT_THAT(status, IsError(ErrorCode::kInvalidDirectory, "no voter"));
}

// Whatever a crash leaves is the old voter's directory, or what another run finishes.
TEST_F(QuorumRecoveryTest, S20ACrashAnywhereIsTheOldVoterOrIsFinishedByAnotherRun) {
  std::vector<std::unique_ptr<sim::SimFileSystem>> images;
  auto recovery = QuorumRecovery::Open(&files_, "m").value();
  files_.SetOnCall([&](const sim::SimCall&) {
    for (const auto mode : {sim::CrashMode::kKeepAll, sim::CrashMode::kLoseAll}) {
      images.push_back(files_.CrashImage(mode, random_));
    }
  });
  ASSERT_OK(recovery->Recover(&random_).status());
  files_.SetOnCall(nullptr);
  recovery.reset();
  EXPECT_GE(images.size(), 20u);
  for (const auto& image : images) {
    auto again = QuorumRecovery::Open(image.get(), "m");
    // Done already, or the old voter, or begun.
    if (again.ok()) {
      EXPECT_EQ((*again)->findings().topics, 2u);
      ASSERT_OK((*again)->Recover(&random_).status());
      again->reset();
    } else {
      ASSERT_THAT(again.status(), IsError(ErrorCode::kInvalidDirectory, "only voter"));
    }
    ASSERT_NO_FATAL_FAILURE(Lead(image.get()));
    EXPECT_EQ(host_->committed_image().topic_count(), 2u);
    Stop();
  }
}

}  // namespace
}  // namespace millrace::node
