// The n-th file-system call fails, for every n: with EIO, ENOSPC, once or from then on. Nothing is
// acknowledged that a power loss right afterwards would take; the directory says that it failed,
// and the next start finds everything acknowledged. Where there is only no room, it does not fail.

#include <map>
#include <optional>
#include <string>

#include "absl/strings/match.h"
#include "base/sim/sample_step.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/testing/log_fixture.h"

namespace millrace::storage {
namespace {

struct FaultPlan {
  sim::SimFault fault;
  bool sticky;
};

class DiskFaultTest : public testing::TestWithParam<FaultPlan> {
 protected:
  void Configure(LogFixture& world) {
    world.options.checkpoint_interval = absl::Milliseconds(2);
    world.options.checkpoint_bytes_min = 100;
    world.config.segment_bytes = 500;
    world.config.index_interval_bytes = 150;
    world.config.preallocate_bytes_min = 256;
    world.config.preallocate_bytes_max = 512;
    world.config.file_delete_delay_ms = 1;
  }

  // Runs as far as it gets. Returns the calls it made.
  uint64_t RunWorkload(std::shared_ptr<sim::SimFileSystem> files) {
    acknowledged_.clear();
    log_start_ = Offset(0);
    LogFixture world(files);
    Configure(world);
    if (!world.Open().ok()) return files->calls();
    if (!world.Begin(1).ok()) return files->calls();
    absl::StatusOr<std::unique_ptr<Log>> opened = world.OpenLog();
    if (!opened.ok()) return files->calls();
    Log& log = **opened;
    RecordingListener listener;
    log.SetListener(&listener);
    std::map<Offset, std::pair<Offset, std::string>> staged;
    for (int i = 0; i < 16; ++i) {
      if (i == 12) {
        log.SetHighWatermark(log.durable_offset());
        log_start_ = std::min(Offset(5), log.durable_offset());
        log.RaiseLogStart(log_start_, nullptr);
      }
      const auto range =
          log.StageAsLeader(MakeBatch(absl::StrCat("v", i)), LeaderEpoch(1 + i / 5), world.Now());
      if (!range.ok()) break;
      const auto plan = log.Read(range->base_offset, {range->end_offset});
      if (!plan.ok()) break;
      staged[range->base_offset] = {range->end_offset,
                                    ReadPlan(*plan).TakeResult().pieces[0].ToString()};
      world.Run(absl::Milliseconds(i % 4 == 0 ? 30 : 1));
    }
    world.Run(absl::Seconds(1));
    if (GetParam().fault == sim::SimFault::kNoSpace) EXPECT_FALSE(world.dir->failed());
    if (!GetParam().sticky && !world.dir->failed()) {
      EXPECT_EQ(log.durable_offset(), log.end_offset());
    }
    // What was acknowledged before a failure stays acknowledged.
    for (const auto& [base, batch] : staged) {
      if (batch.first <= log.durable_offset()) acknowledged_[base] = batch.second;
    }
    EXPECT_EQ(world.dir->failed(), !listener.failure.ok());
    if (!listener.failure.ok()) {
      EXPECT_FALSE(log.StageAsLeader(MakeBatch("x"), LeaderEpoch(9), world.Now()).ok());
    } else if (log.durable_offset() == log.end_offset()) {
      if (world.Close(log).ok()) world.CloseDir().IgnoreError();
    }
    return files->calls();
  }

  void CheckAfter(std::shared_ptr<sim::SimFileSystem> files) {
    LogFixture world(files);
    Configure(world);
    ASSERT_OK(world.Open());
    if (acknowledged_.empty()) return;
    ASSERT_OK(world.Begin(2));
    ASSERT_OK_AND_ASSIGN(std::unique_ptr<Log> log, world.OpenLog());
    EXPECT_LE(log->log_start_offset(), log_start_);
    for (const auto& [base, bytes] : acknowledged_) {
      if (base < log->log_start_offset()) continue;
      ASSERT_LT(base, log->end_offset());
      EXPECT_EQ(ReadAll(*log, base, base + 1), bytes);
    }
  }

  std::map<Offset, std::string> acknowledged_;
  Offset log_start_;
};

TEST_P(DiskFaultTest, NothingAcknowledgedIsLostWhenTheNthCallFails) {
  auto healthy = std::make_shared<sim::SimFileSystem>(1);
  const uint64_t calls = RunWorkload(healthy);
  ASSERT_EQ(acknowledged_.size(), 16u);
  for (uint64_t n = 1; n <= calls; n += sim::SampleStep()) {
    SCOPED_TRACE(n);
    auto files = std::make_shared<sim::SimFileSystem>(1);
    files->FailCallAt(n, GetParam().fault, GetParam().sticky);
    RunWorkload(files);
    files->ClearFaults();
    for (const sim::CrashMode mode :
         {sim::CrashMode::kLoseAll, sim::CrashMode::kKeepAll, sim::CrashMode::kTorn}) {
      sim::SimRandom random(n);
      CheckAfter(files->CrashImage(mode, random));
    }
    // A process that is started again on the page cache that is left.
    CheckAfter(files);
    if (HasFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(Faults, DiskFaultTest,
                         testing::Values(FaultPlan{sim::SimFault::kIoError, false},
                                         FaultPlan{sim::SimFault::kIoError, true},
                                         FaultPlan{sim::SimFault::kNoSpace, false},
                                         FaultPlan{sim::SimFault::kNoSpace, true}));

// A write or sync of a journal that failed is as bad as one of a log: what the page cache says of
// it is not what the disk has, and no second try can tell (ATC'20).
struct JournalFault {
  const char* file;
  sim::SimCall::Kind kind;
};

class JournalFaultTest : public testing::TestWithParam<JournalFault> {
 protected:
  void SetUp() override {
    ASSERT_OK(world_.Open());
    ASSERT_OK(world_.Begin(1));
    ASSERT_OK_AND_ASSIGN(log_, world_.OpenLog());
    Stage();
    // A lone frame seals the sync journal: nothing is pending any more.
    world_.Run();
    ASSERT_EQ(log_->durable_offset(), Offset(1));
  }
  void TearDown() override { log_.reset(); }

  void Stage() { ASSERT_OK(log_->StageAsLeader(MakeBatch("v"), LeaderEpoch(1), world_.Now())); }
  void Fail() {
    world_.files->SetFaults([](const sim::SimCall& call) -> std::optional<sim::SimFault> {
      if (!absl::EndsWith(call.path, GetParam().file) || call.kind != GetParam().kind) {
        return std::nullopt;
      }
      return sim::SimFault::kIoError;
    });
  }
  // The disk is well again, and nobody touches it.
  void ExpectGivenUp() {
    EXPECT_TRUE(world_.dir->failed());
    world_.files->SetFaults(nullptr);
    int changes = 0;
    world_.files->SetOnCall([&](const sim::SimCall&) { ++changes; });
    EXPECT_FALSE(log_->StageAsLeader(MakeBatch("x"), LeaderEpoch(1), world_.Now()).ok());
    const auto refused = HasCode(ErrorCode::kStorageError);
    EXPECT_THAT(world_.OpenLog(7), refused);
    EXPECT_THAT(world_.Begin(2), refused);
    EXPECT_THAT(world_.Close(*log_), refused);
    EXPECT_THAT(world_.CloseDir(), refused);
    EXPECT_THAT(world_.Await([&](LogDir::Done done) {
      world_.dir->DeleteReplica(LogFixture::Partition(), world_.shard.get(), std::move(done));
    }),
                refused);
    world_.Run(absl::Seconds(100));
    EXPECT_EQ(changes, 0);
    world_.files->SetOnCall(nullptr);
  }

  LogFixture world_;
  std::unique_ptr<Log> log_;
};

TEST_P(JournalFaultTest, NothingIsAcknowledgedBehindIt) {
  // Brings an entry of either journal into the next round.
  log_->SetHighWatermark(Offset(1));
  std::optional<absl::Status> raised;
  Fail();
  log_->RaiseLogStart(Offset(1), [&](const absl::Status& status) { raised = status; });
  Stage();
  world_.Run();
  EXPECT_EQ(log_->durable_offset(), Offset(1));
  ASSERT_TRUE(raised.has_value());
  EXPECT_THAT(*raised, HasCode(ErrorCode::kStorageError));
  ExpectGivenUp();
}

TEST_P(JournalFaultTest, NoReplicaIsMadeBehindIt) {
  Fail();
  Stage();
  world_.Run();
  EXPECT_THAT(world_.OpenLog(5), HasCode(ErrorCode::kStorageError));
  world_.Run();
  ExpectGivenUp();
}

INSTANTIATE_TEST_SUITE_P(Journals, JournalFaultTest,
                         testing::Values(JournalFault{"/partitions", sim::SimCall::Kind::kWrite},
                                         JournalFault{"/partitions", sim::SimCall::Kind::kSync},
                                         JournalFault{"/sync-journal", sim::SimCall::Kind::kWrite},
                                         JournalFault{"/sync-journal", sim::SimCall::Kind::kSync}));

// The frame of an idle directory, of which no acknowledgement waits.
TEST(FailedSealTest, ItFailsTheDirectoryAndTakesNothing_S08) {
  LogFixture world;
  ASSERT_OK(world.Open());
  ASSERT_OK(world.Begin(1));
  {
    ASSERT_OK_AND_ASSIGN(std::unique_ptr<Log> log, world.OpenLog());
    ASSERT_OK(log->StageAsLeader(MakeBatch("v"), LeaderEpoch(1), world.Now()));
    world.RunBriefly();
    EXPECT_EQ(log->durable_offset(), Offset(1));
    world.files->FailSyncs(true);
    world.Run();
    EXPECT_TRUE(world.dir->failed());
    EXPECT_FALSE(log->StageAsLeader(MakeBatch("x"), LeaderEpoch(1), world.Now()).ok());
  }
  sim::SimRandom random(1);
  LogFixture after(std::shared_ptr<sim::SimFileSystem>(
      world.files->CrashImage(sim::CrashMode::kLoseAll, random)));
  ASSERT_OK(after.Open());
  ASSERT_OK(after.Begin(2));
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Log> log, after.OpenLog());
  EXPECT_EQ(log->end_offset(), Offset(1));
}

// A `replicated` topic is acknowledged before the journal knows that it has data. If it has the
// name of one that was deleted, its directory must not be taken for that one's.
TEST(FailedJournalTest, ARecordOfATopicThatWasMadeAgainOutlivesItsProcess) {
  const TopicPartition old_partition = {TopicId(Uuid(1, 1)), PartitionIndex(0)};
  const TopicPartition partition = {TopicId(Uuid(2, 2)), PartitionIndex(0)};
  LogFixture world;
  world.config.durability = Durability::kReplicated;
  ASSERT_OK(world.Open());
  ASSERT_OK(world.Begin(1));
  {
    ASSERT_OK_AND_ASSIGN(std::unique_ptr<Log> log, world.OpenLog(old_partition, "topic"));
    ASSERT_OK(log->StageAsLeader(MakeBatch("old"), LeaderEpoch(1), world.Now()));
    world.RunBriefly();
  }
  ASSERT_OK(world.Await([&](LogDir::Done done) {
    world.dir->DeleteReplica(old_partition, world.shard.get(), std::move(done));
  }));
  {
    ASSERT_OK_AND_ASSIGN(std::unique_ptr<Log> log, world.OpenLog(partition, "topic"));
    world.files->SetFaults([](const sim::SimCall& call) -> std::optional<sim::SimFault> {
      if (!absl::EndsWith(call.path, "/partitions")) return std::nullopt;
      return sim::SimFault::kIoError;
    });
    ASSERT_OK(log->StageAsLeader(MakeBatch("new"), LeaderEpoch(1), world.Now()));
    world.RunBriefly();
    EXPECT_EQ(log->counted_offset(), Offset(1));
    EXPECT_TRUE(world.dir->failed());
  }
  world.Stop();
  world.files->SetFaults(nullptr);
  LogFixture again(world.files);
  ASSERT_OK(again.Open());
  ASSERT_OK(again.Begin(2));
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Log> log, again.OpenLog(partition, "topic"));
  EXPECT_EQ(log->end_offset(), Offset(1));
}

// After a failed sync the page cache calls clean what the disk does not have (ATC'20).
TEST(FailedSyncTest, WhatTheNextStartShowsIsOnTheDisk_S08) {
  LogFixture world;
  ASSERT_OK(world.Open());
  ASSERT_OK(world.Begin(1));
  {
    ASSERT_OK_AND_ASSIGN(std::unique_ptr<Log> log, world.OpenLog());
    ASSERT_OK(log->StageAsLeader(MakeBatch("durable"), LeaderEpoch(1), world.Now()));
    world.Run(absl::Milliseconds(50));
    world.files->FailSyncs(true);
    ASSERT_OK(log->StageAsLeader(MakeBatch("in the cache"), LeaderEpoch(1), world.Now()));
    world.Run(absl::Milliseconds(50));
    EXPECT_TRUE(world.dir->failed());
  }
  world.Stop();
  world.files->FailSyncs(false);

  LogFixture again(world.files);
  ASSERT_OK(again.Open());
  ASSERT_OK(again.Begin(2));
  Offset shown;
  {
    ASSERT_OK_AND_ASSIGN(std::unique_ptr<Log> log, again.OpenLog());
    shown = log->durable_offset();
    ASSERT_OK(log->StageAsLeader(MakeBatch("behind it"), LeaderEpoch(2), again.Now()));
    again.Run(absl::Milliseconds(50));
    EXPECT_EQ(log->durable_offset(), shown + 1);
  }
  sim::SimRandom random(1);
  LogFixture after(std::shared_ptr<sim::SimFileSystem>(
      again.files->CrashImage(sim::CrashMode::kLoseAll, random)));
  ASSERT_OK(after.Open());
  ASSERT_OK(after.Begin(3));
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Log> log, after.OpenLog());
  EXPECT_EQ(log->end_offset(), shown + 1);
}

}  // namespace
}  // namespace millrace::storage
