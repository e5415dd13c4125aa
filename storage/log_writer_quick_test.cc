#include <string>

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "storage/log_writer.h"
#include "storage/testing/log_fixture.h"

namespace millrace::storage {
namespace {

// The simulated strand of the disk lends itself or not as the seed says: each test tries often
// enough to see both.
constexpr int kTries = 40;

class LogWriterQuickTest : public testing::Test {
 protected:
  void SetUp() override {
    world_.config.durability = Durability::kReplicated;
    ASSERT_OK(world_.Open());
    ASSERT_OK(world_.Begin(5));
    ASSERT_OK_AND_ASSIGN(log_, world_.OpenLog());
    log_->SetListener(&listener_);
    world_.files->SetOnCall([this](const sim::SimCall& call) {
      if (call.kind != sim::SimCall::Kind::kWrite || !absl::EndsWith(call.path, ".log")) return;
      ++writes_;
      EXPECT_TRUE(world_.disk->IsCurrent());
      world_.loop.Stall(write_time_);
    });
  }
  void TearDown() override {
    world_.files->SetOnCall(nullptr);
    log_.reset();
  }

  void Stage(Log& log, const std::string& value) {
    ASSERT_OK(log.StageAsLeader(MakeBatch(value), LeaderEpoch(1), world_.Now()));
  }
  // Whether the log's owner has written what was staged, before anybody else had a turn.
  bool OwnerWrites() {
    const int before = writes_;
    EXPECT_EQ(world_.shard->pending(), 1u);
    while (world_.shard->pending() > 0) EXPECT_TRUE(world_.loop.RunOne());
    const bool written = writes_ > before;
    world_.RunBriefly();
    EXPECT_GT(writes_, before);
    return written;
  }
  // Of `kTries` appends, how many the owner wrote.
  int CountOwnersWrites(const std::string& value) {
    int count = 0;
    for (int i = 0; i < kTries; ++i) {
      Stage(*log_, value);
      count += OwnerWrites() ? 1 : 0;
      EXPECT_EQ(listener_.written, log_->end_offset());
    }
    return count;
  }

  LogFixture world_;
  std::unique_ptr<Log> log_;
  RecordingListener listener_;
  int writes_ = 0;
  absl::Duration write_time_;
};

TEST_F(LogWriterQuickTest, AnOwnerWritesAFewBytesToAnOpenFile) {
  Stage(*log_, "opens it");
  EXPECT_FALSE(OwnerWrites());
  const int count = CountOwnersWrites("v");
  EXPECT_GT(count, 0);
  EXPECT_LT(count, kTries);
  EXPECT_OK(listener_.failure);
  const std::string all = ReadAll(*log_, Offset(0), log_->end_offset());
  EXPECT_TRUE(absl::StrContains(all, "opens it"));
}

TEST_F(LogWriterQuickTest, NeverWhatHasToBeSynced) {
  world_.config.durability = Durability::kDurable;
  log_ = *world_.OpenLog(1);
  log_->SetListener(&listener_);
  EXPECT_EQ(CountOwnersWrites("v"), 0);
  EXPECT_EQ(log_->durable_offset(), log_->end_offset());
}

TEST_F(LogWriterQuickTest, NeverAFilesFirstBytes) {
  for (int i = 1; i <= kTries; ++i) {
    ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Log> log, world_.OpenLog(i));
    Stage(*log, "v");
    EXPECT_FALSE(OwnerWrites());
  }
}

TEST_F(LogWriterQuickTest, NeverManyBytes) {
  Stage(*log_, "opens it");
  EXPECT_FALSE(OwnerWrites());
  EXPECT_EQ(CountOwnersWrites(std::string(40'000, 'x')), 0);
}

TEST_F(LogWriterQuickTest, ASlowWriteIsTheOwnersLastForASecond) {
  Stage(*log_, "opens it");
  EXPECT_FALSE(OwnerWrites());
  write_time_ = absl::Milliseconds(2);
  while (true) {
    Stage(*log_, "slow");
    const bool written = OwnerWrites();
    world_.Run(absl::Milliseconds(5));
    if (written) break;
  }
  write_time_ = absl::ZeroDuration();
  EXPECT_EQ(CountOwnersWrites("v"), 0);
  world_.Run(absl::Seconds(1));
  EXPECT_GT(CountOwnersWrites("v"), 0);
}

TEST_F(LogWriterQuickTest, WhatFindsNoRoomWaitsForItAndIsWrittenOnce) {
  Stage(*log_, "opens it");
  EXPECT_FALSE(OwnerWrites());
  world_.files->SetCapacity(world_.files->used_bytes());
  std::string values;
  for (int i = 0; i < kTries; ++i) {
    // Refused as soon as the directory knows that it is full.
    if (!log_->StageAsLeader(MakeBatch("room"), LeaderEpoch(1), world_.Now()).ok()) break;
    world_.RunBriefly();
  }
  EXPECT_LT(log_->written_offset(), log_->end_offset());
  world_.files->SetCapacity(world_.files->used_bytes() + 10'000'000);
  world_.Run(absl::Seconds(3));
  EXPECT_OK(listener_.failure);
  EXPECT_EQ(log_->written_offset(), log_->end_offset());
  EXPECT_GT(CountOwnersWrites("v"), 0);
}

TEST_F(LogWriterQuickTest, AnErrorOfTheDiskFailsTheDirectoryLikeAnyOther) {
  Stage(*log_, "opens it");
  EXPECT_FALSE(OwnerWrites());
  world_.files->FailCallAt(world_.files->calls() + 1, sim::SimFault::kIoError, /*sticky=*/true);
  Stage(*log_, "v");
  world_.Run();
  EXPECT_THAT(listener_.failure, HasCode(ErrorCode::kStorageError));
  EXPECT_TRUE(world_.dir->failed());
}

}  // namespace
}  // namespace millrace::storage
