#include "storage/log_dir.h"

#include <cstdlib>
#include <new>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/testing/log_fixture.h"

namespace {

// Bytes that are allocated now, each block with the 16 bytes that an allocator adds.
size_t allocated_bytes = 0;
constexpr size_t kBlockHead = 16;

}  // namespace

// The whole program's allocations go through these, so that a test can say what an object costs.
[[gnu::noinline]] void* operator new(size_t size) {
  auto* const head = static_cast<size_t*>(std::malloc(size + kBlockHead));
  if (head == nullptr) std::abort();
  *head = size + kBlockHead;
  allocated_bytes += *head;
  return reinterpret_cast<char*>(head) + kBlockHead;
}
[[gnu::noinline]] void operator delete(void* block) noexcept {
  if (block == nullptr) return;
  auto* const head = reinterpret_cast<size_t*>(static_cast<char*>(block) - kBlockHead);
  allocated_bytes -= *head;
  std::free(head);
}
void operator delete(void* block, size_t) noexcept { operator delete(block); }

namespace millrace::storage {
namespace {

class LogDirTest : public testing::Test {
 protected:
  std::unique_ptr<LogFixture> World() { return std::make_unique<LogFixture>(files_); }
  void Create() {
    auto world = World();
    ASSERT_OK(world->Open());
    EXPECT_TRUE(world->dir->opened().is_new);
  }
  std::shared_ptr<sim::SimFileSystem> files_ = std::make_shared<sim::SimFileSystem>(3);
};

TEST_F(LogDirTest, IdentityIsDrawnOnceAndKept) {
  Create();
  auto first = World();
  ASSERT_OK(first->Open());
  const DirectoryId id = first->dir->directory_id();
  EXPECT_FALSE(first->dir->opened().is_new);
  first.reset();
  auto second = World();
  ASSERT_OK(second->Open());
  EXPECT_EQ(second->dir->directory_id(), id);
}

TEST_F(LogDirTest, SecondProcessIsLockedOut) {
  auto first = World();
  ASSERT_OK(first->Open());
  EXPECT_THAT(World()->Open(), HasCode(ErrorCode::kDirectoryLocked));
}

TEST_F(LogDirTest, DirectoryOfSomebodyElseIsRefused) {
  Create();
  auto other_cluster = World();
  other_cluster->options.cluster_id = ClusterId(Uuid(9, 9));
  EXPECT_THAT(other_cluster->Open(), IsError(ErrorCode::kInconsistentClusterId, "belongs to"));
  auto other_node = World();
  other_node->options.node_id = NodeId(4);
  EXPECT_THAT(other_node->Open(), IsError(ErrorCode::kInconsistentNodeId, "node 3"));
}

TEST_F(LogDirTest, ForeignFilesAreRefused) {
  ASSERT_OK(files_->CreateDirectory("data"));
  ASSERT_OK(files_->Open("data/thesis.txt", OpenMode::kCreate));
  EXPECT_THAT(World()->Open(), IsError(ErrorCode::kInvalidDirectory, "thesis.txt"));
  ASSERT_OK(files_->RemoveFile("data/thesis.txt"));
  ASSERT_OK(ReplaceFile(*files_, "data/meta.properties", "#\nversion=1\nbroker.id=1\n"));
  EXPECT_THAT(World()->Open(), HasCode(ErrorCode::kInvalidDirectory));
}

TEST_F(LogDirTest, SuspicionSticksUntilARegistrationThatCarriesItIsCommitted_KAFKA18635) {
  {
    auto world = World();
    ASSERT_OK(world->Open());
    EXPECT_FALSE(world->dir->opened().suspect);
    ASSERT_OK(world->Begin(5));
  }
  {
    // Stopped uncleanly; and the next one, before it registers, too.
    auto world = World();
    ASSERT_OK(world->Open());
    EXPECT_TRUE(world->dir->opened().suspect);
    EXPECT_FALSE(world->dir->opened().clean);
    EXPECT_EQ(world->dir->opened().last_broker_epoch, BrokerEpoch(5));
    ASSERT_OK(world->CloseDir());
  }
  {
    // A clean stop does not make it good.
    auto world = World();
    ASSERT_OK(world->Open());
    EXPECT_TRUE(world->dir->opened().clean);
    EXPECT_TRUE(world->dir->opened().suspect);
    ASSERT_OK(world->Begin(7));
    ASSERT_OK(world->Await([&](LogDir::Done done) {
      world->dir->RegistrationCommitted(BrokerEpoch(7), world->shard.get(), std::move(done));
    }));
    ASSERT_OK(world->CloseDir());
  }
  auto world = World();
  ASSERT_OK(world->Open());
  EXPECT_TRUE(world->dir->opened().clean);
  EXPECT_FALSE(world->dir->opened().suspect);
  EXPECT_EQ(world->dir->opened().last_broker_epoch, BrokerEpoch(7));
}

TEST_F(LogDirTest, ACutIsToldUntilARegistrationHasToldIt_S08) {
  {
    auto world = World();
    ASSERT_OK(world->Open());
    ASSERT_OK(world->Begin(5));
    for (const int partition : {0, 1}) {
      ASSERT_OK_AND_ASSIGN(auto log, world->OpenLog(partition));
      ASSERT_OK(log->StageAsLeader(MakeBatch("a"), LeaderEpoch(1), world->Now()));
      world->RunBriefly();
    }
  }
  const auto was_cut = [](const LogFixture& world) {
    std::vector<bool> cut;
    for (const ReplicaReport& replica : world.dir->opened().replicas) cut.push_back(replica.cut);
    return cut;
  };
  {
    ASSERT_OK_AND_ASSIGN(const auto file, files_->Open("data/topic-0/00000000000000000000.log",
                                                       OpenMode::kReadWrite));
    const uint64_t size = MakeStampedBatch(Offset(0), LeaderEpoch(1), "a").size();
    ASSERT_OK(file->WriteAt(size, "half a batch"));
    ASSERT_OK(file->Sync());
  }
  // Power goes before any call of the start that cuts: the next one tells it all the same.
  std::vector<std::shared_ptr<sim::SimFileSystem>> images;
  sim::SimRandom random(1);
  files_->SetOnCall([&](const sim::SimCall&) {
    for (const sim::CrashMode mode : {sim::CrashMode::kKeepAll, sim::CrashMode::kLoseAll}) {
      images.push_back(files_->CrashImage(mode, random));
    }
  });
  ASSERT_OK(World()->Open());
  files_->SetOnCall(nullptr);
  ASSERT_GT(images.size(), 10u);
  for (const auto& image : images) {
    LogFixture world(image);
    ASSERT_OK(world.Open());
    ASSERT_THAT(was_cut(world), testing::ElementsAre(true, false));
  }
  {
    auto world = World();
    ASSERT_OK(world->Open());
    EXPECT_THAT(was_cut(*world), testing::ElementsAre(true, false));
    ASSERT_OK(world->Begin(7));
    for (const int epoch : {6, 7}) {
      EXPECT_TRUE(files_->Exists("data/topic-0/cut").value());
      ASSERT_OK(world->Await([&](LogDir::Done done) {
        world->dir->RegistrationCommitted(BrokerEpoch(epoch), world->shard.get(), std::move(done));
      }));
    }
  }
  auto world = World();
  ASSERT_OK(world->Open());
  EXPECT_THAT(was_cut(*world), testing::ElementsAre(false, false));
}

TEST_F(LogDirTest, MarksOfCutsAreForgottenWhenTheDiskLetsThem) {
  {
    auto world = World();
    ASSERT_OK(world->Open());
    ASSERT_OK(world->Begin(5));
    for (const int partition : {0, 1}) {
      ASSERT_OK_AND_ASSIGN(auto log, world->OpenLog(partition));
      ASSERT_OK(log->StageAsLeader(MakeBatch("a"), LeaderEpoch(1), world->Now()));
      world->RunBriefly();
    }
  }
  const uint64_t size = MakeStampedBatch(Offset(0), LeaderEpoch(1), "a").size();
  for (const int partition : {0, 1}) {
    ASSERT_OK_AND_ASSIGN(const auto file, files_->Open(absl::StrCat("data/topic-", partition,
                                                                    "/00000000000000000000.log"),
                                                       OpenMode::kReadWrite));
    ASSERT_OK(file->WriteAt(size, "half a batch"));
    ASSERT_OK(file->Sync());
  }
  auto world = World();
  ASSERT_OK(world->Open());
  ASSERT_OK(world->Begin(7));
  ASSERT_TRUE(files_->Exists("data/topic-1/cut").value());
  // Where names are copied on write, even that one goes needs room.
  files_->SetFaults([](const sim::SimCall& call) -> std::optional<sim::SimFault> {
    const bool needs = call.path == "data/topic-1/cut" && call.kind == sim::SimCall::Kind::kRemove;
    return needs ? std::optional(sim::SimFault::kNoSpace) : std::nullopt;
  });
  std::optional<absl::Status> told;
  world->dir->RegistrationCommitted(BrokerEpoch(7), world->shard.get(),
                                    [&](const absl::Status& status) { told = status; });
  world->Run(absl::Seconds(1));
  EXPECT_FALSE(told.has_value());
  EXPECT_FALSE(world->dir->failed());
  files_->SetFaults(nullptr);
  world->Run(absl::Seconds(1));
  ASSERT_TRUE(told.has_value());
  EXPECT_OK(*told);
  for (const int partition : {0, 1}) {
    EXPECT_FALSE(files_->Exists(absl::StrCat("data/topic-", partition, "/cut")).value());
  }
}

TEST_F(LogDirTest, ReplicaThatHeldDataAndIsGoneIsDamage) {
  {
    auto world = World();
    ASSERT_OK(world->Open());
    ASSERT_OK(world->Begin(5));
    ASSERT_OK_AND_ASSIGN(auto log, world->OpenLog(0));
    ASSERT_OK_AND_ASSIGN(auto empty, world->OpenLog(1));
    ASSERT_OK(log->StageAsLeader(MakeBatch("a"), LeaderEpoch(1), world->Now()));
    world->Run();
  }
  ASSERT_OK(RemoveTree(*files_, "data/topic-0"));
  auto world = World();
  ASSERT_OK(world->Open());
  EXPECT_THAT(world->OpenLog(0), HasCode(ErrorCode::kCorruptLog));
  EXPECT_OK(world->OpenLog(1));
}

TEST_F(LogDirTest, ThousandPartitionsAreCreatedWithFewSyncsAndNoFiles) {
  auto world = World();
  ASSERT_OK(world->Open());
  ASSERT_OK(world->Begin(5));
  const uint64_t calls = files_->calls();
  std::vector<std::unique_ptr<Log>> logs;
  for (int i = 0; i < 1000; ++i) {
    world->dir->OpenLog(LogFixture::Partition(i), "topic", world->config, world->shard.get(),
                        [&](absl::StatusOr<std::unique_ptr<Log>> log) {
                          ASSERT_OK(log);
                          logs.push_back(*std::move(log));
                        });
  }
  world->Run();
  EXPECT_EQ(logs.size(), 1000u);
  EXPECT_LT(files_->calls() - calls, 20u);
  EXPECT_EQ(files_->open_files(), 2);
  logs.clear();
  world.reset();
  world = World();
  ASSERT_OK(world->Open());
  EXPECT_EQ(world->dir->opened().replicas.size(), 1000u);
}

TEST_F(LogDirTest, TenThousandPartitionsInHundredWavesTakeAFewCallsPerWave) {
  auto world = World();
  ASSERT_OK(world->Open());
  ASSERT_OK(world->Begin(5));
  const uint64_t calls = files_->calls();
  std::vector<std::unique_ptr<Log>> logs;
  for (int i = 0; i < 10'000; ++i) {
    world->dir->OpenLog(LogFixture::Partition(i), "topic", world->config, world->shard.get(),
                        [&](absl::StatusOr<std::unique_ptr<Log>> log) {
                          ASSERT_OK(log);
                          logs.push_back(*std::move(log));
                        });
    if (i % 100 == 99) world->RunBriefly();
  }
  EXPECT_EQ(logs.size(), 10'000u);
  EXPECT_LT(files_->calls() - calls, 1000u);
  // None twice, whatever there is by now.
  EXPECT_THAT(world->OpenLog(9'999), HasCode(ErrorCode::kInvalidDirectory));
}

TEST_F(LogDirTest, IdlePartitionTakesLessThanFourKiBOfMemory) {
  auto world = World();
  ASSERT_OK(world->Open());
  ASSERT_OK(world->Begin(5));
  const auto add = [&](int i, std::vector<std::unique_ptr<Log>>* logs) {
    world->dir->OpenLog(LogFixture::Partition(i), "topic", world->config, world->shard.get(),
                        [logs](absl::StatusOr<std::unique_ptr<Log>> log) {
                          ASSERT_OK(log);
                          logs->push_back(*std::move(log));
                        });
    world->RunBriefly();
  };
  std::vector<std::unique_ptr<Log>> logs;
  logs.reserve(2000);
  add(0, &logs);
  const size_t before = allocated_bytes;
  for (int i = 1; i <= 1000; ++i) add(i, &logs);
  for (const auto& log : logs) log->Housekeep(world->Now());
  const size_t each = (allocated_bytes - before) / 1000;
  RecordProperty("bytes", static_cast<int>(each));
  EXPECT_LT(each, 4096u - 1024u) << "with room for a segment and an epoch";
}

TEST_F(LogDirTest, ACleanStopFinishesNothingOfALogThatCouldNotBeCut) {
  const std::string segment = "data/topic-0/00000000000000000000.log";
  auto world = World();
  world->config.segment_bytes = 500;
  ASSERT_OK(world->Open());
  ASSERT_OK(world->Begin(5));
  ASSERT_OK_AND_ASSIGN(auto log, world->OpenLog());
  RecordingListener listener;
  log->SetListener(&listener);
  // A whole segment, and one batch in the next.
  while (log->SegmentOf(log->end_offset()).base == Offset(0)) {
    ASSERT_OK(log->StageAsLeader(MakeBatch("a"), LeaderEpoch(1), world->Now()));
  }
  world->Run();
  const uint64_t size = FileContents(*files_, segment).size();
  ASSERT_GT(size, 300u);
  files_->FlipBit(segment, 8 * 70);
  log->TruncateTo(Offset(2), Offset(0));
  world->Run();
  ASSERT_THAT(listener.failure, HasCode(ErrorCode::kCorruptLog));
  log.reset();
  ASSERT_OK(world->CloseDir());
  EXPECT_EQ(FileContents(*files_, segment).size(), size);
  // Nor does it say where that log ends, which its repair may need.
  world = World();
  ASSERT_OK(world->Open());
  ASSERT_EQ(world->dir->opened().replicas.size(), 1u);
  EXPECT_THAT(world->dir->opened().replicas[0].status, HasCode(ErrorCode::kCorruptLog));
  EXPECT_EQ(FileContents(*files_, segment).size(), size);
}

TEST_F(LogDirTest, ALogThatCouldNotBeCutIsSetAsideAsItIs) {
  auto world = World();
  world->config.segment_bytes = 500;
  ASSERT_OK(world->Open());
  ASSERT_OK(world->Begin(5));
  ASSERT_OK_AND_ASSIGN(auto log, world->OpenLog());
  while (log->SegmentOf(log->end_offset()).base == Offset(0)) {
    ASSERT_OK(log->StageAsLeader(MakeBatch("a"), LeaderEpoch(1), world->Now()));
  }
  world->Run();
  const uint64_t size = FileContents(*files_, "data/topic-0/00000000000000000000.log").size();
  files_->FlipBit("data/topic-0/00000000000000000000.log", 8 * 70);
  log->TruncateTo(Offset(2), Offset(0));
  world->Run();
  ASSERT_THAT(log->status(), HasCode(ErrorCode::kCorruptLog));
  log.reset();
  ASSERT_OK(world->Await([&](LogDir::Done done) {
    world->dir->MarkStray(LogFixture::Partition(0), world->shard.get(), std::move(done));
  }));
  const std::string aside =
      absl::StrCat("data/topic-0.", LogFixture::Partition(0).topic_id.ToString(), "-stray");
  EXPECT_EQ(FileContents(*files_, aside + "/00000000000000000000.log").size(), size);
}

// A directory with replica 0 of "topic" set aside, which has a batch at offset 0.
class StrayReplicaTest : public LogDirTest {
 protected:
  void SetUp() override {
    world_ = World();
    ASSERT_OK(world_->Open());
    ASSERT_OK(world_->Begin(5));
    ASSERT_OK_AND_ASSIGN(auto log, world_->OpenLog(0));
    ASSERT_OK(log->StageAsLeader(MakeBatch("a"), LeaderEpoch(1), world_->Now()));
    world_->RunBriefly();
    log.reset();
    ASSERT_OK(world_->Await([&](LogDir::Done done) {
      world_->dir->MarkStray(LogFixture::Partition(0), world_->shard.get(), std::move(done));
    }));
  }
  void Restart() {
    world_.reset();
    world_ = World();
    ASSERT_OK(world_->Open());
  }
  bool IsAside() {
    const std::string id = LogFixture::Partition(0).topic_id.ToString();
    return files_->Exists(absl::StrCat("data/topic-0.", id, "-stray")).value();
  }
  // Opens replica 0, and finds what was left there.
  void TakeBack() {
    ASSERT_OK_AND_ASSIGN(auto log, world_->OpenLog(0));
    EXPECT_FALSE(IsAside());
    EXPECT_EQ(log->end_offset(), Offset(1));
    EXPECT_EQ(ReadAll(*log, Offset(0), Offset(1)),
              MakeStampedBatch(Offset(0), LeaderEpoch(1), "a"));
    ASSERT_OK(log->StageAsLeader(MakeBatch("b"), LeaderEpoch(2), world_->Now()));
    world_->RunBriefly();
    EXPECT_EQ(log->durable_offset(), Offset(2));
  }
  std::unique_ptr<LogFixture> world_;
};

TEST_F(StrayReplicaTest, IsSetAsideAndNotDeleted_S20) {
  EXPECT_TRUE(IsAside());
  Restart();
  ASSERT_EQ(world_->dir->opened().replicas.size(), 1u);
  EXPECT_TRUE(world_->dir->opened().replicas[0].stray);
  EXPECT_TRUE(IsAside());
}

TEST_F(StrayReplicaTest, IsTheLogOfItsPartitionWhenThatIsOpenedAgain_S20) {
  TakeBack();
  Restart();
  ASSERT_EQ(world_->dir->opened().replicas.size(), 1u);
  EXPECT_FALSE(world_->dir->opened().replicas[0].stray);
  EXPECT_EQ(world_->dir->opened().replicas[0].end_offset, Offset(2));
}

TEST_F(StrayReplicaTest, IsTakenBackByALaterProcess_S20) {
  Restart();
  ASSERT_OK(world_->Begin(6));
  TakeBack();
}

TEST_F(StrayReplicaTest, StaysAsideWhileAnotherTopicHasItsName) {
  const TopicPartition other{TopicId(Uuid(11, 21)), PartitionIndex(0)};
  ASSERT_OK_AND_ASSIGN(auto log, world_->OpenLog(other, "topic"));
  EXPECT_EQ(log->end_offset(), Offset(0));
  EXPECT_THAT(world_->OpenLog(0), IsError(ErrorCode::kInvalidDirectory, other.topic_id.ToString()));
  EXPECT_TRUE(IsAside());
  log.reset();
  ASSERT_OK(world_->Await([&](LogDir::Done done) {
    world_->dir->DeleteReplica(other, world_->shard.get(), std::move(done));
  }));
  TakeBack();
}

TEST_F(StrayReplicaTest, StaysAsideWhereItsPlaceIsTaken) {
  ASSERT_OK(files_->CreateDirectory("data/topic-0"));
  EXPECT_THAT(world_->OpenLog(0), IsError(ErrorCode::kInvalidDirectory, "move it away"));
  EXPECT_TRUE(IsAside());
  EXPECT_FALSE(world_->dir->failed());
}

TEST_F(StrayReplicaTest, WhatItWasVouchedForIsMissedWhenItIsTakenBack_S08) {
  const std::string id = LogFixture::Partition(0).topic_id.ToString();
  const std::string segment = absl::StrCat("data/topic-0.", id, "-stray/00000000000000000000.log");
  files_->FlipBit(segment, 8 * 70);
  EXPECT_THAT(world_->OpenLog(0), HasCode(ErrorCode::kCorruptLog));
  EXPECT_FALSE(world_->dir->failed());
  // It is damaged for good, and can be deleted.
  EXPECT_THAT(world_->OpenLog(0), HasCode(ErrorCode::kCorruptLog));
  ASSERT_OK(world_->Await([&](LogDir::Done done) {
    world_->dir->DeleteReplica(LogFixture::Partition(0), world_->shard.get(), std::move(done));
  }));
  ASSERT_OK_AND_ASSIGN(auto log, world_->OpenLog(0));
  EXPECT_EQ(log->end_offset(), Offset(0));
}

TEST_F(StrayReplicaTest, WhatNobodyCountsOnIsCutWhereItIsDamagedWhenItIsTakenBack_S35) {
  {
    ASSERT_OK_AND_ASSIGN(auto log, world_->OpenLog(0));
    ASSERT_OK(log->StageAsLeader(MakeBatch("b"), LeaderEpoch(1), world_->Now()));
    world_->RunBriefly();
  }
  const uint64_t size = MakeStampedBatch(Offset(0), LeaderEpoch(1), "a").size();
  Restart();
  files_->FlipBit("data/topic-0/00000000000000000000.log", 8 * (size + 65));
  Restart();
  ASSERT_THAT(world_->OpenLog(0), HasCode(ErrorCode::kCorruptLog));
  ASSERT_OK(world_->Begin(6));
  const auto leave = [&] {
    return world_->Await([&](LogDir::Done done) {
      world_->dir->MarkStray(LogFixture::Partition(0), world_->shard.get(), std::move(done),
                             /*vouched=*/false);
    });
  };
  ASSERT_OK(leave());
  // After a stop in between it is looked at anew whether anybody counts on it.
  Restart();
  ASSERT_OK(world_->Begin(7));
  ASSERT_THAT(world_->OpenLog(0), HasCode(ErrorCode::kCorruptLog));
  ASSERT_OK(leave());
  TakeBack();
  Restart();
  ASSERT_OK_AND_ASSIGN(auto log, world_->OpenLog(0));
  EXPECT_EQ(log->end_offset(), Offset(2));
}

TEST_F(StrayReplicaTest, NorIsABatchKeptThatHasAnotherEpochThanWasSynced_S35) {
  {
    ASSERT_OK_AND_ASSIGN(auto log, world_->OpenLog(0));
    ASSERT_OK(log->StageAsLeader(MakeBatch("b"), LeaderEpoch(1), world_->Now()));
    world_->RunBriefly();
  }
  const uint64_t size = MakeStampedBatch(Offset(0), LeaderEpoch(1), "a").size();
  Restart();
  // No checksum is over the leader epoch, the four bytes behind the offset and the length.
  files_->FlipBit("data/topic-0/00000000000000000000.log", 8 * (size + 12) + 30);
  Restart();
  ASSERT_THAT(world_->OpenLog(0), HasCode(ErrorCode::kCorruptLog));
  ASSERT_OK(world_->Begin(6));
  ASSERT_OK(world_->Await([&](LogDir::Done done) {
    world_->dir->MarkStray(LogFixture::Partition(0), world_->shard.get(), std::move(done),
                           /*vouched=*/false);
  }));
  TakeBack();
}

TEST_F(StrayReplicaTest, WithoutRoomItIsTakenBackWhenThereIsSome) {
  // Nothing finds room from the nth call that needs some on.
  for (int n = 0; n < 8; ++n) {
    SCOPED_TRACE(n);
    int left = n;
    files_->SetFaults([&left](const sim::SimCall& call) -> std::optional<sim::SimFault> {
      const bool needs = call.kind == sim::SimCall::Kind::kWrite ||
                         call.kind == sim::SimCall::Kind::kRename ||
                         call.kind == sim::SimCall::Kind::kCreate;
      return needs && --left < 0 ? std::optional(sim::SimFault::kNoSpace) : std::nullopt;
    });
    std::unique_ptr<Log> log;
    world_->dir->OpenLog(LogFixture::Partition(0), "topic", world_->config, world_->shard.get(),
                         [&](absl::StatusOr<std::unique_ptr<Log>> opened) {
                           ASSERT_OK(opened);
                           log = *std::move(opened);
                         });
    world_->Run(absl::Seconds(40));
    EXPECT_FALSE(world_->dir->failed());
    files_->SetFaults(nullptr);
    world_->Run(absl::Seconds(1));
    ASSERT_NE(log, nullptr);
    EXPECT_EQ(log->end_offset(), Offset(1));
    EXPECT_FALSE(IsAside());
    log.reset();
    ASSERT_OK(world_->Await([&](LogDir::Done done) {
      world_->dir->MarkStray(LogFixture::Partition(0), world_->shard.get(), std::move(done));
    }));
  }
}

TEST_F(LogDirTest, FullDirectoryDeletesAndSetsAsideWhenThereIsRoomAndDoesNotFail) {
  auto world = World();
  ASSERT_OK(world->Open());
  ASSERT_OK(world->Begin(5));
  for (int i = 0; i < 2; ++i) {
    ASSERT_OK_AND_ASSIGN(auto log, world->OpenLog(i));
    ASSERT_OK(log->StageAsLeader(MakeBatch("a"), LeaderEpoch(1), world->Now()));
    world->RunBriefly();
  }
  // Not even for a record of what was decided, or for a name.
  files_->SetFaults([](const sim::SimCall& call) -> std::optional<sim::SimFault> {
    const bool may_do = !call.mutating() || call.kind == sim::SimCall::Kind::kRemove ||
                        call.kind == sim::SimCall::Kind::kSync ||
                        call.kind == sim::SimCall::Kind::kSyncDirectory;
    return may_do ? std::nullopt : std::optional(sim::SimFault::kNoSpace);
  });
  int done = 0;
  const auto count = [&](const absl::Status& status) {
    EXPECT_OK(status);
    ++done;
  };
  world->dir->DeleteReplica(LogFixture::Partition(0), world->shard.get(), count);
  world->dir->MarkStray(LogFixture::Partition(1), world->shard.get(), count);
  world->Run(absl::Seconds(2));
  EXPECT_EQ(done, 0);
  EXPECT_FALSE(world->dir->failed());
  files_->SetFaults(nullptr);
  world->Run(absl::Seconds(2));
  EXPECT_EQ(done, 2);
  EXPECT_FALSE(files_->Exists("data/topic-0").value());
  EXPECT_FALSE(files_->Exists("data/topic-1").value());
  world.reset();
  world = World();
  ASSERT_OK(world->Open());
  ASSERT_EQ(world->dir->opened().replicas.size(), 1u);
  EXPECT_TRUE(world->dir->opened().replicas[0].stray);
}

TEST_F(LogDirTest, AFullDirectoryMakesNoLogWhereAnotherIsStillToLeave) {
  auto world = World();
  ASSERT_OK(world->Open());
  ASSERT_OK(world->Begin(5));
  const TopicPartition other{TopicId(Uuid(11, 21)), PartitionIndex(0)};
  // Its own directory, and one of another topic of its name.
  for (const TopicPartition& next : {LogFixture::Partition(0), other}) {
    for (const bool aside : {false, true}) {
      SCOPED_TRACE(aside);
      ASSERT_OK_AND_ASSIGN(auto log, world->OpenLog(0));
      ASSERT_OK(log->StageAsLeader(MakeBatch("a"), LeaderEpoch(1), world->Now()));
      world->RunBriefly();
      const Offset end = log->end_offset();
      log.reset();
      files_->SetFaults([](const sim::SimCall& call) -> std::optional<sim::SimFault> {
        const bool moves = call.kind == sim::SimCall::Kind::kRename && call.path == "data/topic-0";
        return moves ? std::optional(sim::SimFault::kNoSpace) : std::nullopt;
      });
      std::optional<absl::Status> left;
      const auto leave = [&](const TopicPartition& who) {
        const auto told = [&](const absl::Status& status) { left = status; };
        if (aside) {
          world->dir->MarkStray(who, world->shard.get(), told);
        } else {
          world->dir->DeleteReplica(who, world->shard.get(), told);
        }
      };
      leave(LogFixture::Partition(0));
      world->dir->OpenLog(
          next, "topic", world->config, world->shard.get(),
          [&](absl::StatusOr<std::unique_ptr<Log>> opened) {
            ASSERT_OK(opened);
            log = *std::move(opened);
            ASSERT_OK(log->StageAsLeader(MakeBatch("b"), LeaderEpoch(2), world->Now()));
          });
      world->Run(absl::Seconds(2));
      EXPECT_FALSE(left.has_value());
      EXPECT_EQ(log, nullptr);
      files_->SetFaults(nullptr);
      world->Run(absl::Seconds(2));
      ASSERT_TRUE(left.has_value());
      EXPECT_OK(*left);
      ASSERT_NE(log, nullptr);
      const bool same = next == LogFixture::Partition(0);
      EXPECT_EQ(log->durable_offset(), same && aside ? end + 1 : Offset(1));
      EXPECT_TRUE(files_->Exists("data/topic-0/00000000000000000000.log").value());
      log.reset();
      left.reset();
      leave(next);
      world->Run(absl::Seconds(2));
      ASSERT_TRUE(left.has_value());
      EXPECT_OK(*left);
      ASSERT_OK(world->Await([&](LogDir::Done done) {
        world->dir->DeleteReplica(LogFixture::Partition(0), world->shard.get(), std::move(done));
      }));
      ASSERT_OK(world->Await([&](LogDir::Done done) {
        world->dir->DeleteReplica(next, world->shard.get(), std::move(done));
      }));
    }
  }
}

TEST_F(LogDirTest, FailureIsTold) {
  auto world = World();
  ASSERT_OK(world->Open());
  ASSERT_OK(world->Begin(5));
  absl::Status told;
  world->dir->OnFailure(world->shard.get(), [&](absl::Status status) { told = status; });
  world->RunBriefly();
  files_->FailSyncs(true);
  EXPECT_THAT(world->OpenLog(0), HasCode(ErrorCode::kStorageError));
  EXPECT_THAT(told, HasCode(ErrorCode::kStorageError));
  EXPECT_TRUE(world->dir->failed());
}

}  // namespace
}  // namespace millrace::storage
