// Every single bit of every file of a log directory is flipped, one at a time: the damage must be
// detected (a named error), or do no harm: no read returns a byte or offset that was never written,
// and no acknowledged batch disappears silently.
//
// Exempt, because nothing vouches for these bytes: room allocated ahead of the append in .log files
// and journals (zeros: what is there is cut), and partition.metadata (a second copy of what the
// partitions journal says). Flips there must do no harm, too. Of a sync journal the last frame may
// be lost: it vouches for what is there anyway.

#include <map>
#include <set>
#include <string>

#include "absl/strings/match.h"
#include "base/sim/sample_step.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/testing/log_fixture.h"

namespace millrace::storage {
namespace {

constexpr int kBatches = 18;

// What a directory should hold.
struct Expected {
  std::string all;
  Offset log_start;
  Offset end;
  EpochCache epochs;
  ProducerState producers;
};

class BitFlipTest : public testing::Test {
 protected:
  void Configure(LogFixture& world) {
    world.config.segment_bytes = 400;
    world.config.index_interval_bytes = 80;
    world.config.preallocate_bytes_min = 128;
    world.config.preallocate_bytes_max = 128;
    world.config.tail_cache_bytes_max = 0;
  }

  // A small log of several segments, epochs and producers; stopped cleanly or not.
  // Unclean with a recovery point in the middle of the active segment.
  void MakeSample(bool clean) {
    LogFixture world(files_);
    Configure(world);
    world.options.checkpoint_interval = absl::Seconds(5);
    world.options.checkpoint_bytes_min = 1;
    ASSERT_OK(world.Open());
    ASSERT_OK(world.Begin(5));
    ASSERT_OK_AND_ASSIGN(std::unique_ptr<Log> log, world.OpenLog());
    for (int i = 0; i < kBatches; ++i) {
      ASSERT_OK(log->StageAsLeader(MakeBatch("v", 1, kTestTime + i, ProducerId(i % 2), i / 2),
                                   LeaderEpoch(1 + i / 6), world.Now()));
      if (i == kBatches - 2) world.Run(absl::Seconds(6));
    }
    log->RaiseLogStart(Offset(1), nullptr);
    world.Run();
    expected_.all = ReadAll(*log, log->log_start_offset(), log->end_offset());
    expected_.log_start = log->log_start_offset();
    expected_.end = log->end_offset();
    expected_.epochs = log->epochs();
    expected_.producers = log->producers();
    if (clean) {
      ASSERT_OK(world.Close(*log));
      ASSERT_OK(world.CloseDir());
    }
    log.reset();
    world.Stop();
    files_->SyncAll();
  }

  std::vector<std::string> FilesUnder(const std::string& directory) {
    std::vector<std::string> paths;
    const auto entries = files_->ListDirectory(directory);
    EXPECT_OK(entries);
    for (const DirectoryEntry& entry : entries.value()) {
      const std::string path = JoinPath(directory, entry.name);
      if (!entry.is_directory) {
        paths.push_back(path);
        continue;
      }
      for (const std::string& below : FilesUnder(path)) paths.push_back(below);
    }
    return paths;
  }

  // Whether the directory in which one bit is wrong says so; else everything must be right.
  bool Detected(const std::string& path, uint64_t bit) {
    sim::SimRandom random(1);
    std::shared_ptr<sim::SimFileSystem> files =
        files_->CrashImage(sim::CrashMode::kKeepAll, random);
    files->FlipBit(path, bit);
    LogFixture world(files);
    Configure(world);
    const absl::Status opened = world.Open();
    if (!opened.ok()) {
      EXPECT_THAT(CodeOf(opened),
                  testing::AnyOf(ErrorCode::kCorruptLog, ErrorCode::kInvalidDirectory,
                                 ErrorCode::kUnsupportedFormatVersion));
      return true;
    }
    EXPECT_EQ(world.dir->opened().replicas.size(), 1u);
    if (world.dir->opened().replicas.size() != 1) return false;
    EXPECT_OK(world.Begin(6));
    const absl::StatusOr<std::unique_ptr<Log>> log = world.OpenLog();
    if (!log.ok()) {
      EXPECT_THAT(log, HasCode(ErrorCode::kCorruptLog));
      return true;
    }
    bool detected = false;
    EXPECT_EQ((*log)->log_start_offset(), expected_.log_start);
    EXPECT_EQ((*log)->end_offset(), expected_.end);
    EXPECT_EQ((*log)->epochs().entries(), expected_.epochs.entries());
    ExpectSameProducers(**log);
    detected |= ReadsAreRight(**log);
    detected |= LookupsAreRight(**log);
    return detected;
  }

  void ExpectSameProducers(Log& log) {
    ASSERT_EQ(log.producers().producers().size(), expected_.producers.producers().size());
    for (const auto& [id, entry] : expected_.producers.producers()) {
      EXPECT_EQ(log.producers().producers().at(id).batches, entry.batches);
    }
  }

  // From every offset: what comes is what was written, or CORRUPT_LOG. Returns whether that came.
  bool ReadsAreRight(Log& log) {
    bool detected = false;
    for (Offset from = expected_.log_start; from < expected_.end; ++from) {
      const size_t skip =
          expected_.all.size() / (kBatches - 1) * static_cast<size_t>(from - expected_.log_start);
      absl::StatusOr<ReadPlan> plan = log.Read(from, {expected_.end, 200, true});
      EXPECT_OK(plan);
      const absl::StatusOr<ReadResult> result = plan->Execute();
      if (!result.ok()) {
        EXPECT_THAT(result, HasCode(ErrorCode::kCorruptLog));
        detected = true;
        continue;
      }
      EXPECT_FALSE(result->pieces.empty());
      std::string got;
      for (const Bytes& piece : result->pieces) got += piece.ToString();
      EXPECT_EQ(got, expected_.all.substr(skip, got.size())) << from;
    }
    return detected;
  }

  bool LookupsAreRight(Log& log) {
    bool detected = false;
    for (int i = 1; i < kBatches; ++i) {
      absl::StatusOr<TimestampPlan> plan = log.OffsetForTimestamp(kTestTime + i, expected_.end);
      EXPECT_OK(plan);
      const auto found = plan->Execute();
      if (!found.ok()) {
        EXPECT_THAT(found, HasCode(ErrorCode::kCorruptLog));
        detected = true;
        continue;
      }
      EXPECT_TRUE(found->has_value());
      if (found->has_value()) {
        EXPECT_EQ((*found)->offset, Offset(i));
      }
    }
    return detected;
  }

  void FlipAll() {
    std::map<std::string, std::pair<int, int>> detected_of_flips;
    for (const std::string& path : FilesUnder("data")) {
      const auto file = files_->Open(path, OpenMode::kRead);
      ASSERT_OK(file);
      const uint64_t bits = *(*file)->Size() * 8;
      std::string kind = path.substr(path.rfind('/') + 1);
      if (kind[0] == '0') kind = kind.substr(20);
      // Allocated ahead, and nothing else: a sample of it will do.
      uint64_t dense = bits;
      if (kind == "partitions" || kind == "sync-journal")
        dense = std::min<uint64_t>(bits, 8 * 1024);
      for (uint64_t bit = 0; bit < bits; bit += bit < dense ? sim::SampleStep() : 10007) {
        SCOPED_TRACE(absl::StrCat(path, " byte ", bit / 8, " bit ", bit % 8));
        detected_of_flips[kind].second++;
        if (Detected(path, bit)) detected_of_flips[kind].first++;
        if (HasFailure()) return;
      }
    }
    for (const auto& [kind, counts] : detected_of_flips) {
      std::printf("%-28s %6d flips, %6d detected\n", kind.c_str(), counts.second, counts.first);
    }
    // Every bit of these is vouched for.
    EXPECT_EQ(detected_of_flips["meta.properties"].first,
              detected_of_flips["meta.properties"].second);
    for (const char* kind :
         {".log", ".index", ".timeindex", ".snapshot", "leader-epoch-checkpoint", "partitions",
          "sync-journal", "open-record", "recovery-point-checkpoint"}) {
      EXPECT_GT(detected_of_flips[kind].second, 0) << kind;
    }
  }

  std::shared_ptr<sim::SimFileSystem> files_ = std::make_shared<sim::SimFileSystem>(3);
  Expected expected_;
};

// S-08: the power fails when the data of a round is on the disk, and the frame that says that the
// round before it is synced is not. Damage to what that round brought, which was acknowledged, must
// not pass for a torn tail. (Nothing vouches for the leader epoch of so young a batch: S-24.)
TEST(BitFlipInTheLastRoundTest, WhatWasAcknowledgedIsNeverCut_S08) {
  constexpr char kLog[] = "data/topic-0/00000000000000000000.log";
  auto files = std::make_shared<sim::SimFileSystem>(3);
  std::unique_ptr<sim::SimFileSystem> image;
  sim::SimRandom random(1);
  uint64_t ends[3] = {};
  {
    LogFixture world(files);
    ASSERT_OK(world.Open());
    ASSERT_OK(world.Begin(5));
    ASSERT_OK_AND_ASSIGN(std::unique_ptr<Log> log, world.OpenLog());
    for (int i = 0; i < 3; ++i) {
      ASSERT_OK(log->StageAsLeader(MakeBatch("v"), LeaderEpoch(1), world.Now()));
      ends[i] = static_cast<uint64_t>(log->size_bytes());
      if (i == 2) {
        EXPECT_EQ(log->durable_offset(), Offset(2));
        files->SetOnCall([&](const sim::SimCall& call) {
          const bool is_frame =
              call.kind == sim::SimCall::Kind::kWrite && absl::EndsWith(call.path, "sync-journal");
          if (is_frame && image == nullptr) {
            image = files->CrashImage(sim::CrashMode::kKeepAll, random);
          }
        });
      }
      // Too short for the seal of an idle directory.
      world.RunBriefly();
    }
  }
  ASSERT_NE(image, nullptr);
  for (uint64_t bit = ends[0] * 8; bit < ends[1] * 8; ++bit) {
    const uint64_t at = bit / 8 - ends[0];
    if (at >= record::kLeaderEpochAt && at < record::kLeaderEpochAt + 4) continue;
    SCOPED_TRACE(absl::StrCat("byte ", at, " bit ", bit % 8));
    std::shared_ptr<sim::SimFileSystem> damaged =
        image->CrashImage(sim::CrashMode::kKeepAll, random);
    damaged->FlipBit(kLog, bit);
    const std::string before = FileContents(*damaged, kLog);
    // Also after another start: the proof outlives the journal that had it.
    for (int start = 0; start < 2; ++start) {
      LogFixture world(damaged);
      ASSERT_OK(world.Open());
      ASSERT_OK(world.Begin(6 + start));
      EXPECT_THAT(world.OpenLog(), HasCode(ErrorCode::kCorruptLog));
    }
    EXPECT_EQ(FileContents(*damaged, kLog), before);
    if (testing::Test::HasFailure()) return;
  }
  // Without damage the unfinished round is all there, too.
  LogFixture world((std::shared_ptr<sim::SimFileSystem>(std::move(image))));
  ASSERT_OK(world.Open());
  ASSERT_OK(world.Begin(6));
  ASSERT_OK_AND_ASSIGN(std::unique_ptr<Log> log, world.OpenLog());
  EXPECT_EQ(log->end_offset(), Offset(3));
}

TEST_F(BitFlipTest, AfterAnUncleanStop) {
  MakeSample(false);
  if (!HasFatalFailure()) FlipAll();
}

TEST_F(BitFlipTest, AfterACleanStop) {
  MakeSample(true);
  if (!HasFatalFailure()) FlipAll();
}

}  // namespace
}  // namespace millrace::storage
