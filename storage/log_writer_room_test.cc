#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "base/log.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/log_writer.h"
#include "storage/testing/log_fixture.h"

namespace millrace::storage {
namespace {

class LogWriterRoomTest : public testing::Test {
 protected:
  void SetUp() override {
    world_.config.segment_bytes = 40'000;
    Start(1);
  }
  void TearDown() override { log_.reset(); }

  void Start(int64_t epoch) {
    ASSERT_OK(world_.Open());
    ASSERT_OK(world_.Begin(epoch));
    ASSERT_OK_AND_ASSIGN(log_, world_.OpenLog());
    log_->SetListener(&listener_);
  }
  absl::Status Stage(const std::string& value) {
    return log_->StageAsLeader(MakeBatch(value), LeaderEpoch(1), world_.Now()).status();
  }
  // Appends until there is no room for what was staged last.
  void FillUp() {
    world_.files->SetCapacity(world_.files->used_bytes() + 150'000);
    for (int i = 0; i < 100 && !Waits(); ++i) {
      ASSERT_OK(Stage(absl::StrCat(i, std::string(5000, 'x'))));
      world_.RunBriefly();
    }
    ASSERT_TRUE(Waits());
  }
  // What holds several closed segments and an active one, all of which can be deleted in an hour.
  std::unique_ptr<Log> OpenLogThatExpires() {
    const LogConfig before = world_.config;
    world_.config.segment_bytes = 50'000;
    world_.config.retention_ms = 3'600'000;
    world_.config.file_delete_delay_ms = 24 * 3'600'000;
    absl::StatusOr<std::unique_ptr<Log>> other = world_.OpenLog(1);
    world_.config = before;
    EXPECT_OK(other);
    if (!other.ok()) return nullptr;
    for (int i = 0; i < 10; ++i) {
      Buffer batch = MakeBatch(std::string(20'000, 'o'), 1, world_.Now().ms);
      EXPECT_OK((*other)->StageAsLeader(std::move(batch), LeaderEpoch(1), world_.Now()));
      world_.RunBriefly();
    }
    (*other)->SetHighWatermark((*other)->end_offset());
    EXPECT_GT(SegmentsOfOther(), 3);
    return *std::move(other);
  }
  int SegmentsOfOther() {
    const auto entries = world_.files->ListDirectory("data/topic-1");
    EXPECT_OK(entries);
    return static_cast<int>(std::count_if(
        entries->begin(), entries->end(),
        [](const DirectoryEntry& entry) { return absl::EndsWith(entry.name, ".log"); }));
  }
  bool Waits() const { return log_->durable_offset() < log_->end_offset(); }
  void MakeRoom() { world_.files->SetCapacity(world_.files->used_bytes() + 10'000'000); }
  void ExpectAllWritten() {
    world_.Run(absl::Seconds(2));
    EXPECT_FALSE(world_.dir->failed());
    EXPECT_OK(listener_.failure);
    EXPECT_EQ(log_->durable_offset(), log_->end_offset());
    EXPECT_EQ(log_->written_offset(), log_->end_offset());
  }

  LogFixture world_;
  RecordingListener listener_;
  std::unique_ptr<Log> log_;
};

TEST_F(LogWriterRoomTest, WhatFindsNoRoomStaysAndIsWrittenWhenThereIsSome_S01) {
  FillUp();
  const Offset end = log_->end_offset();
  const Offset durable = log_->durable_offset();
  world_.Run(absl::Seconds(60));
  EXPECT_FALSE(world_.dir->failed());
  EXPECT_OK(listener_.failure);
  EXPECT_EQ(log_->end_offset(), end) << "a staged offset is never withdrawn";
  EXPECT_EQ(log_->durable_offset(), durable) << "and not acknowledged either";
  EXPECT_THAT(Stage("no"), IsError(ErrorCode::kStorageFull, "log directory 'data' is full"));
  const std::string before = ReadAll(*log_, Offset(0), end);

  MakeRoom();
  ExpectAllWritten();
  EXPECT_EQ(log_->end_offset(), end);
  EXPECT_EQ(ReadAll(*log_, Offset(0), end), before);
  ASSERT_OK(Stage("goes on"));
  ExpectAllWritten();
  // As the next start finds it.
  ASSERT_OK(world_.Close(*log_));
  ASSERT_OK(world_.CloseDir());
  log_.reset();
  world_.Stop();
  LogFixture after(world_.files);
  after.config = world_.config;
  ASSERT_OK(after.Open());
  EXPECT_TRUE(after.dir->opened().clean);
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Log> log, after.OpenLog());
  EXPECT_EQ(ReadAll(*log, Offset(0), end), before);
}

TEST_F(LogWriterRoomTest, APowerLossWhileItWaitsTakesOnlyWhatWasNotAcknowledged) {
  FillUp();
  world_.Run(absl::Seconds(1));
  const Offset durable = log_->durable_offset();
  const std::string acknowledged = ReadAll(*log_, Offset(0), durable);
  for (const sim::CrashMode mode :
       {sim::CrashMode::kLoseAll, sim::CrashMode::kKeepAll, sim::CrashMode::kTorn}) {
    sim::SimRandom random(3);
    auto files = std::shared_ptr<sim::SimFileSystem>(world_.files->CrashImage(mode, random));
    files->SetCapacity(uint64_t{1} << 30);
    LogFixture after(files);
    after.config = world_.config;
    ASSERT_OK(after.Open());
    ASSERT_OK(after.Begin(2));
    ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Log> log, after.OpenLog());
    ASSERT_OK(log->status());
    ASSERT_GE(log->end_offset(), durable);
    EXPECT_EQ(ReadAll(*log, Offset(0), durable), acknowledged);
  }
}

TEST_F(LogWriterRoomTest, DeletedRecordsMakeRoomWithoutDelayThoughAppendsWait) {
  world_.config.file_delete_delay_ms = 3'600'000;
  log_->SetConfig(world_.config);
  FillUp();
  const Offset start(log_->durable_offset().value() / 2);
  log_->SetHighWatermark(log_->durable_offset());
  std::optional<absl::Status> done;
  log_->RaiseLogStart(start, [&](const absl::Status& status) { done = status; });
  world_.Run(absl::Seconds(2));
  ASSERT_TRUE(done.has_value());
  EXPECT_OK(*done);
  ExpectAllWritten();
  EXPECT_OK(Stage("goes on"));
  ExpectAllWritten();
}

TEST_F(LogWriterRoomTest, ADeletedReplicaMakesRoomForTheOthers) {
  std::unique_ptr<Log> other = std::move(log_);
  ASSERT_OK_AND_ASSIGN(log_, world_.OpenLog(1));
  ASSERT_OK(
      other->StageAsLeader(MakeBatch(std::string(30'000, 'o')), LeaderEpoch(1), world_.Now()));
  world_.RunBriefly();
  FillUp();
  other.reset();
  ASSERT_OK(world_.Await([&](LogDir::Done done) {
    world_.dir->DeleteReplica(LogFixture::Partition(0), world_.shard.get(), std::move(done));
  }));
  ExpectAllWritten();
}

// To delete all of it, its active segment has to be closed, and that needs room.
TEST_F(LogWriterRoomTest, WhatIsClosedOfALogThatExpiresAsAWholeIsDeletedWithoutRoom) {
  const std::unique_ptr<Log> other = OpenLogThatExpires();
  const int segments = SegmentsOfOther();
  world_.Run(absl::Hours(2));
  world_.files->SetFaults([](const sim::SimCall& call) -> std::optional<sim::SimFault> {
    return call.kind == sim::SimCall::Kind::kCreate ? std::optional(sim::SimFault::kNoSpace)
                                                    : std::nullopt;
  });
  EXPECT_EQ(other->Housekeep(world_.Now()), segments);
  world_.Run(absl::Seconds(2));
  EXPECT_EQ(SegmentsOfOther(), 1) << "the active one";
  world_.files->SetFaults(nullptr);
  world_.Run(absl::Seconds(2));
  EXPECT_FALSE(world_.dir->failed());
  EXPECT_EQ(other->durable_log_start(), other->end_offset());
}

TEST_F(LogWriterRoomTest, WhatIsClosedIsDeletedThoughTheRollOfTheLastWaitsForRoom) {
  const std::unique_ptr<Log> other = OpenLogThatExpires();
  LogConfig config = world_.config;
  config.segment_ms = 60'000;
  other->SetConfig(config);
  world_.Run(absl::Minutes(2));
  world_.files->SetFaults([](const sim::SimCall& call) -> std::optional<sim::SimFault> {
    return call.kind == sim::SimCall::Kind::kCreate ? std::optional(sim::SimFault::kNoSpace)
                                                    : std::nullopt;
  });
  EXPECT_EQ(other->Housekeep(world_.Now()), 0);
  world_.Run(absl::Seconds(2));
  std::optional<absl::Status> done;
  other->RaiseLogStart(other->end_offset(), [&](absl::Status status) { done = std::move(status); });
  world_.Run(absl::Seconds(2));
  EXPECT_EQ(SegmentsOfOther(), 1) << "the last one";
  ASSERT_TRUE(done.has_value());
  EXPECT_OK(*done);
  world_.files->SetFaults(nullptr);
  world_.Run(absl::Seconds(2));
  EXPECT_FALSE(world_.dir->failed());
  EXPECT_EQ(other->durable_log_start(), other->end_offset());
  EXPECT_EQ(other->size_bytes(), 0);
}

// However long it has waited until then: to try again takes no room.
TEST_F(LogWriterRoomTest, RoomThatRetentionMakesIsForWhatWaits) {
  const std::unique_ptr<Log> other = OpenLogThatExpires();
  FillUp();
  world_.Run(absl::Hours(2));
  EXPECT_GT(other->Housekeep(world_.Now()), 0);
  ExpectAllWritten();
}

TEST_F(LogWriterRoomTest, ADeletedReplicaTakesWhatWaitedForRoomWithIt) {
  FillUp();
  log_.reset();
  ASSERT_OK(world_.Await([&](LogDir::Done done) {
    world_.dir->DeleteReplica(LogFixture::Partition(0), world_.shard.get(), std::move(done));
  }));
  world_.Run(absl::Seconds(2));
  EXPECT_FALSE(world_.dir->failed());
  ASSERT_OK_AND_ASSIGN(log_, world_.OpenLog(1));
  ASSERT_OK(Stage("after"));
  ExpectAllWritten();
}

TEST_F(LogWriterRoomTest, AReplicaIsMadeWhileOthersWaitForRoom) {
  FillUp();
  ASSERT_OK(world_.OpenLog(7));
  EXPECT_TRUE(Waits());
}

// The room that is left is used by whoever fits in.
TEST_F(LogWriterRoomTest, ALogWhoseWriteFitsIsAcknowledgedBesideOneThatWaits) {
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Log> other, world_.OpenLog(1));
  const auto stage_other = [&](const std::string& value) {
    return other->StageAsLeader(MakeBatch(value), LeaderEpoch(1), world_.Now()).status();
  };
  ASSERT_OK(stage_other("makes the files, and room ahead"));
  ASSERT_OK(Stage("files"));
  world_.RunBriefly();
  world_.files->SetFaults([](const sim::SimCall& call) -> std::optional<sim::SimFault> {
    const bool grows = call.kind == sim::SimCall::Kind::kWrite && call.length > 5000;
    return grows ? std::optional(sim::SimFault::kNoSpace) : std::nullopt;
  });
  ASSERT_OK(Stage(std::string(10'000, 'l')));
  ASSERT_OK(stage_other("small"));
  world_.Run(absl::Seconds(1));
  EXPECT_EQ(other->durable_offset(), Offset(2));
  EXPECT_EQ(log_->durable_offset(), Offset(1));
  world_.files->SetFaults(nullptr);
  ExpectAllWritten();
}

TEST_F(LogWriterRoomTest, OneThatStopsDoesNotWait) {
  FillUp();
  const Offset durable = log_->durable_offset();
  EXPECT_THAT(world_.Close(*log_), HasCode(ErrorCode::kStorageFull));
  EXPECT_THAT(world_.CloseDir(), HasCode(ErrorCode::kStorageFull));
  EXPECT_TRUE(world_.dir->failed());
  log_.reset();
  world_.Stop();
  MakeRoom();
  LogFixture after(world_.files);
  after.config = world_.config;
  ASSERT_OK(after.Open());
  EXPECT_FALSE(after.dir->opened().clean);
  ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Log> log, after.OpenLog());
  EXPECT_GE(log->end_offset(), durable);
}

TEST_F(LogWriterRoomTest, ARegistrationWaitsForRoomToo_S03) {
  world_.files->SetFaults([](const sim::SimCall& call) -> std::optional<sim::SimFault> {
    return call.kind == sim::SimCall::Kind::kWrite ? std::optional(sim::SimFault::kNoSpace)
                                                   : std::nullopt;
  });
  std::optional<absl::Status> begun;
  world_.dir->BeginEpoch(BrokerEpoch(5), world_.shard.get(),
                         [&](const absl::Status& status) { begun = status; });
  world_.Run(absl::Seconds(1));
  EXPECT_FALSE(begun.has_value());
  EXPECT_FALSE(world_.dir->failed());
  world_.files->SetFaults(nullptr);
  world_.Run(absl::Seconds(1));
  ASSERT_TRUE(begun.has_value());
  EXPECT_OK(*begun);
}

TEST_F(LogWriterRoomTest, ASyncThatFailsIsNeverTriedAgainThoughTheDiskIsFullToo_S08) {
  FillUp();
  world_.files->FailSyncs(true);
  MakeRoom();
  world_.Run(absl::Seconds(1));
  EXPECT_TRUE(world_.dir->failed());
  EXPECT_FALSE(listener_.failure.ok());
}

TEST_F(LogWriterRoomTest, CutsWaitInTheirOrder_S13) {
  FillUp();
  const Offset written = log_->written_offset();
  log_->SetHighWatermark(Offset(3));
  // Behind what waits, and then more behind the cut.
  log_->TruncateTo(Offset(5), Offset(3));
  world_.Run(absl::Seconds(1));
  EXPECT_GE(written, Offset(5));
  EXPECT_EQ(log_->end_offset(), Offset(5));
  MakeRoom();
  world_.Run(absl::Seconds(2));
  ASSERT_OK(Stage("after the cut"));
  ExpectAllWritten();
  EXPECT_EQ(log_->end_offset(), Offset(6));
  EXPECT_TRUE(absl::StrContains(ReadAll(*log_, Offset(5), Offset(6)), "after the cut"));
}

// Somebody else fills the file system, while nothing is written here.
class LogWriterReserveTest : public testing::Test {
 protected:
  void SetUp() override {
    world_.config.segment_bytes = 40'000;
    world_.options.reserve_bytes = 100'000;
    ASSERT_OK(world_.Open());
    ASSERT_OK(world_.Begin(1));
    ASSERT_OK_AND_ASSIGN(log_, world_.OpenLog());
    ASSERT_OK(Stage());
    world_.Run(absl::Seconds(5));
    SetFree(99'000);
    WaitForALook();
  }
  void TearDown() override { log_.reset(); }
  absl::Status Stage() {
    return log_->StageAsLeader(MakeBatch("v"), LeaderEpoch(1), world_.Now()).status();
  }
  void WaitForALook() { world_.Run(absl::Milliseconds(1100)); }
  void SetFree(uint64_t bytes) { world_.files->SetCapacity(world_.files->used_bytes() + bytes); }

  LogCapture lines_{LogLevel::kInfo};
  LogFixture world_;
  std::unique_ptr<Log> log_;
};

TEST_F(LogWriterReserveTest, IsSeenWithinASecondThoughNothingIsWrittenHere) {
  EXPECT_EQ(world_.dir->free_bytes(), 99'000u);
  EXPECT_THAT(Stage(), IsError(ErrorCode::kStorageFull, "log.dir.reserve.bytes"));
  SetFree(200'000);
  WaitForALook();
  EXPECT_EQ(world_.dir->free_bytes(), 200'000u);
  EXPECT_OK(Stage());
  world_.Run();
  SetFree(50'000);
  WaitForALook();
  EXPECT_EQ(world_.dir->free_bytes(), 50'000u) << "nor only once";
}

TEST_F(LogWriterReserveTest, IsLoggedOnceWhenItBeginsAndWhenItEnds) {
  const auto told = [&] {
    std::vector<std::string> lines = lines_.lines();
    std::erase_if(lines, [](const std::string& line) {
      return !absl::StrContains(line, "log.dir.reserve.bytes");
    });
    return lines;
  };
  for (int i = 0; i < 10; ++i) {
    EXPECT_FALSE(Stage().ok());
    WaitForALook();
  }
  ASSERT_EQ(told().size(), 1u);
  EXPECT_TRUE(absl::StartsWith(told()[0], "WARN storage")) << told()[0];
  EXPECT_TRUE(absl::EndsWith(told()[0], "directory=data free_bytes=99000 reserve_bytes=100000"))
      << told()[0];
  SetFree(200'000);
  world_.Run(absl::Seconds(10));
  ASSERT_EQ(told().size(), 2u);
  EXPECT_TRUE(absl::StartsWith(told()[1], "INFO storage")) << told()[1];
  EXPECT_TRUE(absl::StrContains(told()[1], "free_bytes=200000")) << told()[1];
}

TEST_F(LogWriterRoomTest, LogsThatFindNoRoomForTheirFilesAreMadeWhenThereIsSome) {
  std::vector<std::unique_ptr<Log>> logs;
  for (int i = 1; i <= 8; ++i) {
    ASSERT_OK_AND_ASSIGN(logs.emplace_back(), world_.OpenLog(i));
  }
  // For some of their files, not for all.
  world_.files->SetCapacity(world_.files->used_bytes() + 300);
  for (const auto& log : logs) {
    ASSERT_OK(log->StageAsLeader(MakeBatch("v"), LeaderEpoch(1), world_.Now()).status());
  }
  world_.RunBriefly();
  for (const auto& log : logs) EXPECT_EQ(log->durable_offset(), Offset(0));
  MakeRoom();
  world_.Run(absl::Seconds(2));
  EXPECT_FALSE(world_.dir->failed());
  for (const auto& log : logs) EXPECT_EQ(log->durable_offset(), Offset(1));
}

}  // namespace
}  // namespace millrace::storage
