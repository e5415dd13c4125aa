// RepairFixture: a log of some small segments on a simulated disk, of which bits rot, and what a
// healthy replica has of it.
//
// Thread: the test's one.
#ifndef STORAGE_TESTING_REPAIR_FIXTURE_H_
#define STORAGE_TESTING_REPAIR_FIXTURE_H_

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "storage/segment_repair.h"
#include "storage/testing/log_fixture.h"

namespace millrace::storage {

class RepairFixture : public testing::Test {
 protected:
  static constexpr int kBatches = 20;

  void SetUp() override { Make(); }
  void TearDown() override { log_.reset(); }

  void Make() {
    world_.config.segment_bytes = 900;
    world_.config.index_interval_bytes = 100;
    world_.config.tail_cache_bytes_max = 0;
    world_.config.preallocate_bytes_min = 128;
    world_.config.preallocate_bytes_max = 128;
    ASSERT_OK(world_.Open());
    ASSERT_OK(world_.Begin(1));
    ASSERT_OK_AND_ASSIGN(log_, world_.OpenLog());
    for (int i = 0; i < kBatches; ++i) {
      ASSERT_OK(log_->StageAsLeader(MakeBatch("value", 2, kTestTime + i), LeaderEpoch(1 + i / 7),
                                    world_.Now()));
    }
    world_.Run();
    log_->SetHighWatermark(log_->end_offset());
    healthy_ = ReadAll(*log_, Offset(0), log_->end_offset());
    for (Slice rest = healthy_; !rest.empty();) {
      batches_.emplace_back(record::BatchView::Parse(rest)->bytes());
      rest.remove_prefix(batches_.back().size());
    }
    ASSERT_EQ(batches_.size(), static_cast<size_t>(kBatches));
  }
  std::string PathOf(Offset base) {
    return JoinPath("data/topic-0", SegmentFileName(base, kLogSuffix));
  }
  // One bit of the batch that begins with offset 2 * `batch`, `at` bytes into it.
  void Damage(int batch, uint64_t at) {
    const SegmentSpan span = log_->SegmentOf(Offset(2 * batch));
    uint64_t position = at;
    for (int64_t i = span.base.value() / 2; i < batch; ++i) {
      position += batches_[static_cast<size_t>(i)].size();
    }
    world_.files->FlipBit(PathOf(span.base), position * 8);
  }
  // What a healthy replica has of these offsets.
  std::string Healthy(Offset from, Offset to) const {
    std::string bytes;
    for (int64_t i = from.value() / 2; i < to.value() / 2; ++i) {
      bytes += batches_[static_cast<size_t>(i)];
    }
    return bytes;
  }
  absl::Status ReadOne(int batch) {
    ASSIGN_OR_RETURN(ReadPlan plan, log_->Read(Offset(2 * batch), {log_->end_offset(), 1, true}));
    return plan.Execute().status();
  }
  absl::StatusOr<std::shared_ptr<SegmentRepair>> Begin(int batch) {
    return log_->BeginRepair(Offset(2 * batch), world_.Now());
  }
  // Fills every hole from the healthy replica.
  absl::Status MakeWhole(SegmentRepair& repair) {
    SegmentRepair::Step step = SegmentRepair::Step::kMore;
    while (step != SegmentRepair::Step::kWhole) {
      if (step == SegmentRepair::Step::kMore) {
        ASSIGN_OR_RETURN(step, repair.Continue(150));
      } else {
        ASSIGN_OR_RETURN(step, repair.Fill(Healthy(repair.hole_from(), repair.hole_to())));
      }
    }
    return absl::OkStatus();
  }
  absl::Status Finish(std::shared_ptr<SegmentRepair> repair) {
    return world_.Await(
        [&](LogDir::Done done) { log_->FinishRepair(std::move(repair), std::move(done)); });
  }
  absl::Status Mend(int batch) {
    ASSIGN_OR_RETURN(std::shared_ptr<SegmentRepair> repair, Begin(batch));
    RETURN_IF_ERROR(MakeWhole(*repair));
    return Finish(std::move(repair));
  }
  SegmentRepair::Step ToHole(SegmentRepair& repair) {
    absl::StatusOr<SegmentRepair::Step> step = SegmentRepair::Step::kMore;
    while (step.ok() && *step == SegmentRepair::Step::kMore) step = repair.Continue(1 << 20);
    EXPECT_OK(step);
    return step.value_or(SegmentRepair::Step::kMore);
  }
  // After a power loss the log has all that was not deleted.
  void ExpectToRecover(Offset start) {
    sim::SimRandom random(1);
    LogFixture after(world_.files->CrashImage(sim::CrashMode::kLoseAll, random));
    after.config = world_.config;
    ASSERT_OK(after.Open());
    ASSERT_OK(after.Begin(2));
    ASSERT_OK_AND_ASSIGN(const std::unique_ptr<Log> log, after.OpenLog());
    EXPECT_OK(log->status());
    EXPECT_EQ(log->log_start_offset(), start);
    EXPECT_EQ(ReadAll(*log, start, log->end_offset()),
              Healthy(Offset(start.value() / 2 * 2), Offset(2 * kBatches)));
  }
  bool HasCopies() {
    const auto entries = world_.files->ListDirectory("data/topic-0");
    for (const DirectoryEntry& entry : entries.value()) {
      if (absl::EndsWith(entry.name, ".tmp")) return true;
    }
    return false;
  }
  std::map<std::string, std::string> Files(FileSystem& files) {
    std::map<std::string, std::string> all;
    const auto entries = files.ListDirectory("data/topic-0");
    for (const DirectoryEntry& entry : entries.value()) {
      all[entry.name] = FileContents(files, JoinPath("data/topic-0", entry.name));
    }
    return all;
  }

  LogFixture world_;
  std::unique_ptr<Log> log_;
  std::string healthy_;
  std::vector<std::string> batches_;
};

}  // namespace millrace::storage

#endif  // STORAGE_TESTING_REPAIR_FIXTURE_H_
