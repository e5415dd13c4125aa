#include "node/damaged_log.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/sim/sim_clock.h"
#include "base/sim/sim_executor.h"
#include "base/sim/sim_file_system.h"
#include "base/sim/sim_random.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "node/founding_file.h"
#include "raft/host/wal.h"

namespace millrace::node {
namespace {

using ::testing::EndsWith;
using ::testing::SizeIs;

// Node 1 of a cluster of three, with a vote in term 7 and ten entries.
class DamagedLogTest : public ::testing::Test {
 protected:
  DamagedLogTest() {
    dir_ = MetadataDir::Open(files_.get(), "m", NodeId(1), &random_).value();
    raft::FoundingRecord founded;
    founded.phase = raft::FoundingPhase::kFounded;
    founded.voters = {{{NodeId(1), dir_->directory_id()}, "one:1"},
                      {{NodeId(2), DirectoryId(Uuid(50, 2))}, "two:1"},
                      {{NodeId(3), DirectoryId(Uuid(50, 3))}, "three:1"}};
    founded.cluster_id = raft::FoundingClusterId(founded.voters);
    EXPECT_OK(WriteFoundingFile(*files_, "m", founded));
    EXPECT_OK(dir_->SetClusterId(founded.cluster_id));
    WriteLog(founded.voters);
    files_->SyncAll();
    before_ = dir_->directory_id();
  }

  void WriteLog(const std::vector<raft::Voter>& voters) {
    raft::WalRecovery found;
    auto wal = raft::Wal::Open(
                   {.directory = "m/wal", .segment_bytes = 1 << 20, .entry_bytes_max = 1024},
                   {.files = files_.get(),
                    .clock = &clock_,
                    .random = &random_,
                    .owner = owner_.get(),
                    .disk = disk_.get()},
                   {}, [](const absl::Status&) {}, &found)
                   .value();
    for (int64_t index = 1; index <= 10; ++index) {
      raft::WalBatch batch;
      if (index == 1) {
        batch.hard_state = raft::HardState{Term(7), voters[1].id, LogIndex(0)};
        batch.voters = raft::VoterSet{{}, voters};
      }
      batch.entries.push_back({Term(7), LogIndex(index), raft::EntryType::kPayload,
                               Bytes::FromString(std::string(100, 'x'))});
      bool durable = false;
      owner_->RunNow([&] { EXPECT_OK(wal->Append(std::move(batch), [&] { durable = true; })); });
      ASSERT_TRUE(loop_.RunUntil([&] { return durable; }, absl::Seconds(1)));
    }
    loop_.RunFor(absl::Seconds(1));
    owner_->RunNow([&] { wal.reset(); });
    ASSERT_TRUE(loop_.RunUntilIdle());
  }

  std::string Segment(FileSystem& files) {
    const auto entries = files.ListDirectory("m/wal").value();
    return JoinPath("m/wal", entries.front().name);
  }
  // One bit of the log, at a byte that was written.
  void Flip(FileSystem& files, uint64_t at) {
    auto file = files.Open(Segment(files), OpenMode::kReadWrite).value();
    char byte = 0;
    ASSERT_OK(file->ReadAt(at, absl::MakeSpan(&byte, 1)).status());
    byte = static_cast<char>(byte ^ 4);
    ASSERT_OK(file->WriteAt(at, Slice(&byte, 1)));
  }

  sim::SimLoop loop_{1};
  sim::SimClock clock_{loop_.time()};
  sim::SimRandom random_{1};
  std::unique_ptr<sim::SimFileSystem> files_ = std::make_unique<sim::SimFileSystem>();
  std::unique_ptr<sim::SimExecutor> owner_ = loop_.MakeExecutor("owner", &clock_);
  std::unique_ptr<sim::SimExecutor> disk_ = loop_.MakeExecutor("disk", &clock_);
  std::unique_ptr<MetadataDir> dir_;
  DirectoryId before_;
};

TEST_F(DamagedLogTest, AWholeLogAndNoLogBeforeThereIsAClusterAreFine) {
  EXPECT_OK(CheckVotersLog(*files_, *dir_));
  const auto other = MetadataDir::Open(files_.get(), "n", NodeId(1), &random_).value();
  EXPECT_OK(CheckVotersLog(*files_, *other));
}

// It would vote again in terms in which it voted, and for logs that lack what it acknowledged.
TEST_F(DamagedLogTest, S17AClustersDirectoryWithoutItsLogIsNotThatVoter) {
  ASSERT_OK(RemoveTree(*files_, "m/wal"));
  EXPECT_THAT(CheckVotersLog(*files_, *dir_), HasCode(ErrorCode::kInvalidDirectory));
  ASSERT_OK(files_->CreateDirectory("m/wal"));
  EXPECT_THAT(CheckVotersLog(*files_, *dir_), HasCode(ErrorCode::kInvalidDirectory));
  ASSERT_OK(SetDamagedLogAside(*files_, dir_.get(), &random_).status());
  EXPECT_NE(dir_->directory_id(), before_);
}

TEST_F(DamagedLogTest, WhetherOthersVoteIsWhatTheNewestSetSaysAndNotTheConfig) {
  EXPECT_TRUE(OthersVote(*files_, *dir_, {}).value());
  // One that was alone at first, and one that is alone by now; a learner cannot add anybody.
  std::vector<raft::Voter> voters = {{{NodeId(1), before_}, "one:1"},
                                     {{NodeId(2), DirectoryId(Uuid(50, 2))}, "two:1"}};
  ASSERT_OK(RemoveTree(*files_, "m/wal"));
  WriteLog(voters);
  ASSERT_NO_FATAL_FAILURE(Flip(*files_, 4 * 4096 + 40));
  EXPECT_TRUE(OthersVote(*files_, *dir_, {{NodeId(1), "one:1"}}).value());
  voters[1].learner = true;
  ASSERT_OK(RemoveTree(*files_, "m/wal"));
  WriteLog(voters);
  ASSERT_NO_FATAL_FAILURE(Flip(*files_, 4 * 4096 + 40));
  EXPECT_FALSE(OthersVote(*files_, *dir_, {{NodeId(1), "one:1"}, {NodeId(2), "two:1"}}).value());
}

TEST_F(DamagedLogTest, WithoutAnySetTheFoundersAndTheConfigSayWhetherOthersVote) {
  ASSERT_OK(RemoveTree(*files_, "m/wal"));
  EXPECT_TRUE(OthersVote(*files_, *dir_, {{NodeId(1), "one:1"}}).value());
  raft::FoundingRecord founding = ReadFoundingFile(*files_, "m", dir_->cluster_id()).value();
  founding.voters.clear();
  ASSERT_OK(WriteFoundingFile(*files_, "m", founding));
  EXPECT_FALSE(OthersVote(*files_, *dir_, {{NodeId(1), "one:1"}}).value());
  EXPECT_TRUE(OthersVote(*files_, *dir_, {{NodeId(1), "one:1"}, {NodeId(2), "two:1"}}).value());
}

// It grew out of a quorum of one, or its config names itself only; nothing is left to be kept.
TEST_F(DamagedLogTest, S17WhoseLogIsLostIsSetAsideAgainAfterACrash) {
  ASSERT_OK(RemoveTree(*files_, "m/wal"));
  ASSERT_TRUE(OthersVote(*files_, *dir_, {{NodeId(1), "one:1"}}).value());
  ASSERT_OK(SetDamagedLogAside(*files_, dir_.get(), &random_).status());
  dir_.reset();
  for (int i = 0; i < 3; ++i) {
    files_ = files_->CrashImage(sim::CrashMode::kLoseAll, random_);
    dir_ = MetadataDir::Open(files_.get(), "m", NodeId(1), &random_).value();
    EXPECT_THAT(CheckVotersLog(*files_, *dir_), HasCode(ErrorCode::kInvalidDirectory));
    ASSERT_TRUE(OthersVote(*files_, *dir_, {{NodeId(1), "one:1"}}).value());
    ASSERT_OK(SetDamagedLogAside(*files_, dir_.get(), &random_).status());
    dir_.reset();
  }
}

// Once it is alone, and loses its log again, nobody can add it.
TEST_F(DamagedLogTest, S17ALogThatWasSetAsideSaysNothingOnceItsSuccessorHasLed) {
  ASSERT_OK(RemoveTree(*files_, "m/wal"));
  ASSERT_OK(SetDamagedLogAside(*files_, dir_.get(), &random_).status());
  ASSERT_TRUE(OthersVote(*files_, *dir_, {{NodeId(1), "one:1"}}).value());
  ASSERT_OK(NoteLeads(*files_, *dir_));
  dir_.reset();
  files_ = files_->CrashImage(sim::CrashMode::kLoseAll, random_);
  dir_ = MetadataDir::Open(files_.get(), "m", NodeId(1), &random_).value();
  EXPECT_FALSE(OthersVote(*files_, *dir_, {{NodeId(1), "one:1"}}).value());
  // The next one that is set aside does.
  ASSERT_OK(SetDamagedLogAside(*files_, dir_.get(), &random_).status());
  EXPECT_TRUE(OthersVote(*files_, *dir_, {{NodeId(1), "one:1"}}).value());
}

TEST_F(DamagedLogTest, S35FlippedBitsAreFoundBeforeAnyVote) {
  // Groups of one page each; the head of the segment has the hard state and the voters.
  int found = 0;
  for (uint64_t page = 0; page < 8; ++page) {
    const auto copy = files_->CrashImage(sim::CrashMode::kKeepAll, random_);
    ASSERT_NO_FATAL_FAILURE(Flip(*copy, page * 4096 + 40));
    if (CodeOf(CheckVotersLog(*copy, *dir_)) == ErrorCode::kCorruptLog) ++found;
  }
  EXPECT_EQ(found, 8);
}

TEST_F(DamagedLogTest, S35ItBecomesANewcomerAndTheDamagedFilesAreKept) {
  ASSERT_NO_FATAL_FAILURE(Flip(*files_, 2 * 4096 + 40));
  ASSERT_THAT(CheckVotersLog(*files_, *dir_), HasCode(ErrorCode::kCorruptLog));
  ASSERT_OK_AND_ASSIGN(const std::string aside, SetDamagedLogAside(*files_, dir_.get(), &random_));
  EXPECT_THAT(aside, EndsWith("damaged-" + before_.ToString()));
  EXPECT_THAT(files_->ListDirectory(JoinPath(aside, "wal")).value(), SizeIs(1));
  const ClusterId cluster = dir_->cluster_id();
  dir_.reset();
  const auto after = files_->CrashImage(sim::CrashMode::kLoseAll, random_);
  const auto dir = MetadataDir::Open(after.get(), "m", NodeId(1), &random_).value();
  EXPECT_NE(dir->directory_id(), before_);
  EXPECT_EQ(dir->cluster_id(), cluster);
  EXPECT_FALSE(after->Exists("m/wal").value());
  ASSERT_OK_AND_ASSIGN(const raft::FoundingRecord founding,
                       ReadFoundingFile(*after, "m", dir->cluster_id()));
  EXPECT_EQ(founding.phase, raft::FoundingPhase::kFounded);
  EXPECT_THAT(founding.voters, SizeIs(0));
}

// Never the old identity without its log: that would be a voter that forgot its vote.
TEST_F(DamagedLogTest, S17ACrashInBetweenLeavesNoVoterWithoutItsLog) {
  ASSERT_NO_FATAL_FAILURE(Flip(*files_, 2 * 4096 + 40));
  files_->SyncAll();
  std::vector<std::unique_ptr<sim::SimFileSystem>> images;
  files_->SetOnCall([&](const sim::SimCall&) {
    for (const auto mode :
         {sim::CrashMode::kKeepAll, sim::CrashMode::kLoseAll, sim::CrashMode::kTorn}) {
      images.push_back(files_->CrashImage(mode, random_));
    }
  });
  ASSERT_OK(SetDamagedLogAside(*files_, dir_.get(), &random_).status());
  files_->SetOnCall(nullptr);
  EXPECT_GE(images.size(), 30u);
  for (const auto& image : images) {
    auto dir = MetadataDir::Open(image.get(), "m", NodeId(1), &random_).value();
    // Found damaged or gone again: the next start sets it aside once more.
    const bool is_before = dir->directory_id() == before_;
    EXPECT_TRUE(OthersVote(*image, *dir, {{NodeId(1), "one:1"}}).value());
    EXPECT_THAT(CheckVotersLog(*image, *dir), HasCode(is_before || image->Exists("m/wal").value()
                                                          ? ErrorCode::kCorruptLog
                                                          : ErrorCode::kInvalidDirectory));
    EXPECT_OK(SetDamagedLogAside(*image, dir.get(), &random_).status());
    EXPECT_FALSE(image->Exists("m/wal").value());
    EXPECT_NE(dir->directory_id(), before_);
  }
}

}  // namespace
}  // namespace millrace::node
