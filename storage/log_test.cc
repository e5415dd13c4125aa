#include "storage/log.h"

#include "absl/strings/match.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/file_names.h"
#include "storage/testing/log_fixture.h"

namespace millrace::storage {
namespace {

// A fixture with one open log.
class LogTest : public testing::Test {
 protected:
  void Start() {
    ASSERT_OK(world_->Open());
    ASSERT_OK(world_->Begin(5));
    OpenTheLog();
  }
  void OpenTheLog() {
    ASSERT_OK_AND_ASSIGN(log_, world_->OpenLog());
    log_->SetListener(&listener_);
  }
  Offset Stage(const std::string& value, int count = 1, int64_t timestamp = kTestTime) {
    const absl::StatusOr<StagedRange> range =
        log_->StageAsLeader(MakeBatch(value, count, timestamp), epoch_, world_->Now());
    EXPECT_OK(range);
    return range.ok() ? range->end_offset : kNoOffset;
  }
  // As a new process on the same disk finds it. `clean`: closed before.
  void Restart(bool clean) {
    if (clean) {
      ASSERT_OK(world_->Close(*log_));
      ASSERT_OK(world_->CloseDir());
    }
    log_.reset();
    auto files = world_->files;
    world_ = std::make_unique<LogFixture>(files);
    world_->config = config_;
    ASSERT_OK(world_->Open());
    ASSERT_OK(world_->Begin(6));
    OpenTheLog();
  }

  LogConfig config_ = [] {
    LogConfig config;
    config.file_delete_delay_ms = 1000;
    return config;
  }();
  std::unique_ptr<LogFixture> world_ = std::make_unique<LogFixture>();
  RecordingListener listener_;
  std::unique_ptr<Log> log_;
  LeaderEpoch epoch_{3};
};

TEST_F(LogTest, StageAssignsOffsetsAtOnceAndDurabilityFollows) {
  Start();
  EXPECT_EQ(log_->end_offset(), Offset(0));
  EXPECT_EQ(Stage("a", 3), Offset(3));
  EXPECT_EQ(Stage("b", 2), Offset(5));
  EXPECT_EQ(log_->end_offset(), Offset(5));
  EXPECT_EQ(log_->written_offset(), Offset(0));
  world_->RunBriefly();
  EXPECT_EQ(log_->written_offset(), Offset(5));
  EXPECT_EQ(log_->durable_offset(), Offset(5));
  EXPECT_EQ(listener_.durable, Offset(5));
  EXPECT_EQ(listener_.calls, 1);
}

TEST_F(LogTest, ReadGivesBackTheBatchesFromMemoryAndFromDisk) {
  Start();
  for (int i = 0; i < 50; ++i) Stage(absl::StrCat("value", i), 2);
  world_->RunBriefly();
  const std::string cached = ReadAll(*log_, Offset(0), log_->end_offset());
  ASSERT_OK_AND_ASSIGN(const ReadPlan plan, log_->Read(Offset(0), {log_->end_offset()}));
  EXPECT_TRUE(plan.ready());
  Restart(false);
  ASSERT_OK_AND_ASSIGN(const ReadPlan cold, log_->Read(Offset(0), {log_->end_offset()}));
  EXPECT_FALSE(cold.ready());
  EXPECT_EQ(ReadAll(*log_, Offset(0), log_->end_offset()), cached);
  EXPECT_EQ(ReadAll(*log_, Offset(0), log_->end_offset(), 1), cached);
  // From inside a batch: the batch that holds the offset comes whole.
  EXPECT_EQ(ReadAll(*log_, Offset(1), log_->end_offset()), cached);
  EXPECT_EQ(cached.substr(cached.size() - ReadAll(*log_, Offset(41), Offset(100)).size()),
            ReadAll(*log_, Offset(40), Offset(100)));
}

TEST_F(LogTest, ReadOutsideTheLogIsAnError) {
  Start();
  Stage("a");
  EXPECT_THAT(log_->Read(Offset(2), {Offset(9)}), HasCode(ErrorCode::kOffsetOutOfRange));
  ASSERT_OK_AND_ASSIGN(ReadPlan plan, log_->Read(Offset(1), {Offset(9)}));
  EXPECT_TRUE(plan.TakeResult().pieces.empty());
}

TEST_F(LogTest, ReadNeverPassesItsLimit) {
  Start();
  for (int i = 0; i < 10; ++i) Stage("x", 2);
  world_->RunBriefly();
  for (int round = 0; round < 2; ++round) {
    ASSERT_OK_AND_ASSIGN(ReadPlan plan, log_->Read(Offset(0), {Offset(7)}));
    ASSERT_OK_AND_ASSIGN(const ReadResult result, plan.Execute());
    EXPECT_EQ(result.next_offset, Offset(6));
    if (round == 0) Restart(false);
  }
}

TEST_F(LogTest, RollsBySizeAndReadsAcrossSegments) {
  config_.segment_bytes = 500;
  config_.index_interval_bytes = 100;
  world_->config = config_;
  Start();
  for (int i = 0; i < 40; ++i) Stage(absl::StrCat("value", i));
  world_->RunBriefly();
  const std::string all = ReadAll(*log_, Offset(0), Offset(40));
  for (const bool clean : {false, true, false}) {
    Restart(clean);
    EXPECT_EQ(log_->end_offset(), Offset(40));
    EXPECT_EQ(ReadAll(*log_, Offset(0), Offset(40)), all);
    for (int from = 0; from < 40; ++from) {
      EXPECT_FALSE(ReadAll(*log_, Offset(from), Offset(40), 200).empty());
    }
  }
  EXPECT_GT(log_->size_bytes(), 2000);
}

// max.message.bytes may be more than segment.bytes.
TEST_F(LogTest, ABatchLargerThanASegmentGetsOneOfItsOwn) {
  config_.segment_bytes = 500;
  world_->config = config_;
  Start();
  Stage("a");
  Stage(std::string(3000, 'x'));
  Stage("b");
  Stage("c");
  world_->RunBriefly();
  const std::string all = ReadAll(*log_, Offset(0), Offset(4));
  for (const bool clean : {false, true}) {
    Restart(clean);
    EXPECT_EQ(ReadAll(*log_, Offset(0), Offset(4)), all);
    std::vector<std::string> segments;
    const auto entries = world_->files->ListDirectory("data/topic-0");
    ASSERT_OK(entries);
    for (const DirectoryEntry& entry : *entries) {
      if (absl::EndsWith(entry.name, kLogSuffix)) segments.push_back(entry.name);
    }
    EXPECT_THAT(segments, testing::UnorderedElementsAre(SegmentFileName(Offset(0), kLogSuffix),
                                                        SegmentFileName(Offset(1), kLogSuffix),
                                                        SegmentFileName(Offset(2), kLogSuffix)));
  }
}

TEST_F(LogTest, FollowerTakesOnlyWhatAbutsItsEnd) {
  Start();
  Stage("a", 2);
  world_->RunBriefly();
  const std::string first = ReadAll(*log_, Offset(0), Offset(2));
  EXPECT_THAT(log_->StageAsFollower(Bytes::Copy(first), world_->Now()),
              HasCode(ErrorCode::kOffsetOutOfRange));
  EXPECT_EQ(log_->end_offset(), Offset(2));
}

TEST_F(LogTest, LeaderOfAnOlderEpochIsFenced) {
  Start();
  Stage("a");
  epoch_ = LeaderEpoch(2);
  EXPECT_THAT(log_->StageAsLeader(MakeBatch("b"), LeaderEpoch(2), world_->Now()),
              HasCode(ErrorCode::kFencedLeaderEpoch));
}

TEST_F(LogTest, ReportsOfWhatWasCutSinceAreClampedToTheCut_S13) {
  Start();
  Stage("a", 10);
  world_->RunBriefly();
  Stage("b", 10);
  log_->TruncateTo(Offset(10), Offset(10));
  EXPECT_EQ(log_->end_offset(), Offset(10));
  Stage("c", 5);
  world_->RunBriefly();
  EXPECT_EQ(log_->durable_offset(), Offset(15));
  const std::string all = ReadAll(*log_, Offset(0), Offset(15));
  EXPECT_EQ(all.find("b#"), std::string::npos);
  Restart(false);
  EXPECT_EQ(log_->end_offset(), Offset(15));
  EXPECT_EQ(ReadAll(*log_, Offset(0), Offset(15)), all);
}

TEST_F(LogTest, TruncationAcrossSegmentsForgetsEpochsAndProducers) {
  config_.segment_bytes = 400;
  world_->config = config_;
  Start();
  for (int i = 0; i < 20; ++i) {
    ASSERT_OK(log_->StageAsLeader(MakeBatch("v", 1, kTestTime, ProducerId(9), i),
                                  LeaderEpoch(3 + i / 5), world_->Now()));
  }
  world_->RunBriefly();
  log_->TruncateTo(Offset(7), Offset(0));
  EXPECT_EQ(log_->epochs().latest(), LeaderEpoch(4));
  world_->RunBriefly();
  EXPECT_EQ(log_->durable_offset(), Offset(7));
  ASSERT_EQ(log_->producers().producers().size(), 1u);
  EXPECT_EQ(log_->producers().producers().begin()->second.batches.back().last_sequence, 6);
  EXPECT_EQ(log_->producers().producers().begin()->second.batches.size(), 5u);
  Restart(false);
  EXPECT_EQ(log_->end_offset(), Offset(7));
  EXPECT_EQ(log_->epochs().latest(), LeaderEpoch(4));
  EXPECT_EQ(log_->producers().producers().begin()->second.batches.back().last_sequence, 6);
}

TEST_F(LogTest, WhatACutLostOfAProducerIsRebuiltThoughAnotherCutFollows) {
  Start();
  for (int i = 0; i < 10; ++i) {
    ASSERT_OK(
        log_->StageAsLeader(MakeBatch("v", 1, kTestTime, ProducerId(9), i), epoch_, world_->Now()));
  }
  world_->RunBriefly();
  log_->TruncateTo(Offset(4), Offset(0));
  ASSERT_TRUE(log_->producers().empty());
  Stage("of no producer");
  log_->TruncateTo(Offset(4), Offset(0));
  world_->RunBriefly();
  ASSERT_EQ(log_->producers().producers().size(), 1u);
  EXPECT_EQ(log_->producers().producers().begin()->second.batches.size(), 4u);
  EXPECT_EQ(log_->producers().producers().begin()->second.batches.back().last_sequence, 3);
}

// What the owner knows of producers then is not all.
TEST_F(LogTest, ASnapshotThatIsMadeBeforeTheRebuildHasComeKnowsAllProducers) {
  config_.segment_bytes = 2000;
  world_->config = config_;
  for (const bool rolls : {false, true}) {
    SCOPED_TRACE(rolls);
    if (!rolls) Start();
    if (rolls) log_->ResetTo(Offset(0));
    for (int i = 0; i < 10; ++i) {
      ASSERT_OK(log_->StageAsLeader(MakeBatch("v", 1, kTestTime, ProducerId(9), i), epoch_,
                                    world_->Now()));
    }
    world_->RunBriefly();
    log_->TruncateTo(Offset(4), Offset(0));
    for (int i = 0; rolls && i < 100; ++i) Stage("of no producer");
    Restart(true);
    ASSERT_EQ(log_->producers().producers().size(), 1u);
    EXPECT_EQ(log_->producers().producers().begin()->second.batches.size(), 4u);
  }
}

TEST_F(LogTest, ResetEmptiesTheLogAndBeginsElsewhere) {
  Start();
  Stage("a", 10);
  world_->RunBriefly();
  log_->ResetTo(Offset(100));
  EXPECT_EQ(log_->log_start_offset(), Offset(100));
  world_->RunBriefly();
  Stage("b", 2);
  world_->RunBriefly();
  EXPECT_EQ(log_->durable_offset(), Offset(102));
  Restart(false);
  EXPECT_EQ(log_->log_start_offset(), Offset(100));
  EXPECT_EQ(log_->end_offset(), Offset(102));
  EXPECT_FALSE(ReadAll(*log_, Offset(100), Offset(102)).empty());
}

TEST_F(LogTest, ResetIsDurableWhenTheDiskHasDoneIt_S06) {
  Start();
  Stage("a", 10);
  world_->RunBriefly();
  log_->ResetTo(Offset(100));
  EXPECT_EQ(log_->written_offset(), Offset(100));
  EXPECT_EQ(log_->durable_offset(), Offset(10));
  EXPECT_EQ(log_->durable_log_start(), Offset(0));
  world_->RunBriefly();
  EXPECT_EQ(log_->durable_offset(), Offset(100));
  EXPECT_EQ(log_->durable_log_start(), Offset(100));
  EXPECT_EQ(listener_.durable, Offset(100));
  // Back, where only the start has to become durable; a deletion of before does not say so.
  Stage("b", 10);
  world_->RunBriefly();
  log_->RaiseLogStart(Offset(108), nullptr);
  log_->ResetTo(Offset(103));
  EXPECT_EQ(log_->durable_offset(), Offset(103));
  EXPECT_EQ(log_->durable_log_start(), Offset(100));
  const int calls = listener_.calls;
  world_->RunBriefly();
  EXPECT_EQ(log_->durable_offset(), Offset(103));
  EXPECT_EQ(log_->durable_log_start(), Offset(103));
  EXPECT_EQ(listener_.calls, calls + 1);
}

TEST_F(LogTest, ResetMayGoBackAndIntoABatch) {
  Start();
  Stage("a", 10);
  world_->RunBriefly();
  log_->ResetTo(Offset(100));
  world_->RunBriefly();
  Stage("b", 10);
  for (const int64_t start : {105, 30, 100}) {
    log_->ResetTo(Offset(start));
    EXPECT_EQ(log_->log_start_offset(), Offset(start));
    EXPECT_EQ(log_->end_offset(), Offset(start));
    Stage("c", 2);
    EXPECT_EQ(log_->written_offset(), Offset(start));
    world_->RunBriefly();
    EXPECT_EQ(log_->durable_offset(), Offset(start + 2));
    Restart(false);
    EXPECT_EQ(log_->log_start_offset(), Offset(start));
    EXPECT_EQ(log_->end_offset(), Offset(start + 2));
    EXPECT_FALSE(ReadAll(*log_, Offset(start), Offset(start + 2)).empty());
  }
}

// A follower that is told again and again to begin anew would never follow.
TEST_F(LogTest, ResetOfALogWhoseRecordsAreAllDeletedForgetsTheirEpoch) {
  Start();
  Stage("a", 10);
  world_->RunBriefly();
  log_->RaiseLogStart(Offset(10), nullptr);
  world_->RunBriefly();
  EXPECT_EQ(log_->epochs().latest(), epoch_);
  log_->ResetTo(Offset(10));
  EXPECT_EQ(log_->epochs().latest(), kNoLeaderEpoch);
  world_->RunBriefly();
  Restart(false);
  EXPECT_EQ(log_->epochs().latest(), kNoLeaderEpoch);
  EXPECT_EQ(log_->log_start_offset(), Offset(10));
  EXPECT_EQ(log_->end_offset(), Offset(10));
}

TEST_F(LogTest, FailedSyncFailsTheLogForGood) {
  Start();
  Stage("a");
  world_->RunBriefly();
  world_->files->FailSyncs(true);
  Stage("b");
  world_->RunBriefly();
  EXPECT_THAT(listener_.failure, HasCode(ErrorCode::kStorageError));
  world_->files->FailSyncs(false);
  EXPECT_THAT(log_->StageAsLeader(MakeBatch("c"), epoch_, world_->Now()),
              HasCode(ErrorCode::kStorageError));
  EXPECT_EQ(log_->durable_offset(), Offset(1));
  EXPECT_TRUE(world_->dir->failed());
}

TEST_F(LogTest, ReplicatedTopicsCountWhatIsWritten) {
  config_.durability = Durability::kReplicated;
  world_->config = config_;
  Start();
  Stage("a", 4);
  world_->RunBriefly();
  EXPECT_EQ(log_->counted_offset(), Offset(4));
  EXPECT_EQ(log_->written_offset(), Offset(4));
  EXPECT_EQ(log_->durable_offset(), Offset(0));
}

TEST_F(LogTest, LookupByTimeFindsTheFirstRecordAtOrAfterIt) {
  config_.segment_bytes = 600;
  config_.index_interval_bytes = 100;
  world_->config = config_;
  Start();
  for (int i = 0; i < 30; ++i) Stage("v", 2, kTestTime + i * 10);
  world_->RunBriefly();
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 30; ++i) {
      for (const int early : {0, 5, 9}) {
        ASSERT_OK_AND_ASSIGN(TimestampPlan plan,
                             log_->OffsetForTimestamp(kTestTime + i * 10 - early, Offset(60)));
        ASSERT_OK_AND_ASSIGN(const auto found, plan.Execute());
        ASSERT_TRUE(found.has_value());
        EXPECT_EQ(*found, (TimestampAndOffset{kTestTime + i * 10, Offset(i * 2), LeaderEpoch(3)}));
      }
    }
    ASSERT_OK_AND_ASSIGN(TimestampPlan none, log_->OffsetForTimestamp(kTestTime + 291, Offset(60)));
    ASSERT_OK_AND_ASSIGN(const auto nothing, none.Execute());
    EXPECT_FALSE(nothing.has_value());
    ASSERT_OK_AND_ASSIGN(TimestampPlan latest, log_->OffsetOfMaxTimestamp(Offset(41)));
    ASSERT_OK_AND_ASSIGN(const auto last, latest.Execute());
    ASSERT_TRUE(last.has_value());
    EXPECT_EQ(last->offset, Offset(40));
    Restart(round == 0);
  }
}

TEST_F(LogTest, StagingIsRefusedBeyondTheReserve) {
  world_->options.reserve_bytes = 1 << 20;
  world_->files->SetCapacity(3 << 20);
  Start();
  absl::StatusOr<StagedRange> range = StagedRange();
  int batches = 0;
  while (range.ok() && batches < 1000) {
    range = log_->StageAsLeader(MakeBatch(std::string(50000, 'x')), epoch_, world_->Now());
    ++batches;
    world_->Run(absl::Seconds(2));
  }
  EXPECT_THAT(range, HasCode(ErrorCode::kStorageFull));
  EXPECT_GT(batches, 5);
  EXPECT_EQ(log_->durable_offset(), log_->end_offset());
  // Reading goes on, and so does staging when there is room again.
  EXPECT_FALSE(ReadAll(*log_, Offset(0), log_->end_offset()).empty());
  world_->files->SetCapacity(100 << 20);
  world_->Run(absl::Seconds(3));
  EXPECT_OK(log_->StageAsLeader(MakeBatch("y"), epoch_, world_->Now()));
}

TEST_F(LogTest, AReadFromTheFilesSeesWhatTheTailCacheHides) {
  Start();
  Stage("a", 4);
  Stage("b", 4);
  world_->RunBriefly();
  const std::string whole = ReadAll(*log_, Offset(0), Offset(8));
  ReadLimits limits;
  limits.up_to = Offset(8);
  limits.from_files = true;
  ASSERT_OK_AND_ASSIGN(ReadPlan plan, log_->Read(Offset(0), limits));
  EXPECT_FALSE(plan.ready());
  ASSERT_OK_AND_ASSIGN(const ReadResult result, plan.Execute());
  std::string read;
  for (const Bytes& piece : result.pieces) read += piece.ToString();
  EXPECT_EQ(read, whole);
  world_->files->FlipBit("data/topic-0/00000000000000000000.log", 8 * 70);
  EXPECT_EQ(ReadAll(*log_, Offset(0), Offset(8)), whole) << "from memory";
  ASSERT_OK_AND_ASSIGN(plan, log_->Read(Offset(0), limits));
  EXPECT_THAT(plan.Execute(), HasCode(ErrorCode::kCorruptLog));
}

TEST_F(LogTest, StagedBytesAreBounded) {
  world_->options.staged_bytes_max = 1000;
  Start();
  Stage(std::string(900, 'x'));
  EXPECT_THAT(log_->StageAsLeader(MakeBatch("y", 10), epoch_, world_->Now()),
              HasCode(ErrorCode::kResourceExhausted));
  world_->RunBriefly();
  EXPECT_OK(log_->StageAsLeader(MakeBatch("y"), epoch_, world_->Now()));
}

TEST_F(LogTest, IdleLogHoldsNoFileAndLittleMemory) {
  Start();
  Stage("a");
  world_->Run();
  EXPECT_GT(world_->files->open_files(), 2);
  world_->Run(absl::Seconds(90));
  // The two journals.
  EXPECT_EQ(world_->files->open_files(), 2);
  Stage("b");
  world_->Run();
  EXPECT_EQ(log_->durable_offset(), Offset(2));
}

}  // namespace
}  // namespace millrace::storage
