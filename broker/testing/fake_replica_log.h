// FakeReplicaLog: a log in memory that keeps ReplicaLog's contract, for tests of replicas and
// shards.
//
// By itself nothing becomes written or durable: the test moves the positions (Write, Sync), or
// makes an executor do both soon after each append. Reads are at hand, or cold if the test wants
// so.
//
// Thread: the test's.
#ifndef BROKER_TESTING_FAKE_REPLICA_LOG_H_
#define BROKER_TESTING_FAKE_REPLICA_LOG_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/executor.h"
#include "base/status.h"
#include "broker/replica_log.h"
#include "record/batch_builder.h"
#include "storage/epoch_cache.h"
#include "storage/producer_state.h"

namespace millrace::broker {

// A batch of `count` records with values of `value_bytes`, timestamped `timestamp_ms`.
Bytes MakeBatch(int count = 1, size_t value_bytes = 10, int64_t timestamp_ms = 1'767'225'600'000,
                const record::BatchBuilder::Options& options = {});

class FakeReplicaLog : public ReplicaLog {
 public:
  // Advances by tasks on this executor, as a disk would; null: by the test only.
  explicit FakeReplicaLog(Executor* executor = nullptr) : executor_(executor) {}
  ~FakeReplicaLog() override { *self_ = nullptr; }

  // --- The test's side ---
  // All that is staged is in the page cache; and on the disk.
  void Write() { written_ = end_; }
  void Sync() {
    written_ = durable_ = end_;
    durable_start_ = start_;
    before_.reset();
  }
  // Tells the listener where the positions are.
  void Tell() {
    if (listener_ != nullptr) listener_->OnAdvanced(written_, durable_);
  }
  void Fail(const absl::Status& status) {
    status_ = status;
    if (listener_ != nullptr) listener_->OnFailed(status);
  }
  // What a power loss leaves: all that is durable and, of the rest, the batches that begin before
  // `kept`. A log of its own, in the state of a fresh start. Where it began anew and nothing of
  // that is durable or kept, the log of before.
  std::unique_ptr<FakeReplicaLog> CrashImage(Offset kept = Offset(0)) const;
  // What a process that is killed leaves: all that is written.
  std::unique_ptr<FakeReplicaLog> KilledImage() const { return ImageOf(written_); }
  // Where the batches from `start` on were written: as recovery would find them.
  const storage::EpochCache& epochs() const { return epochs_; }
  void set_cold(bool cold) { cold_ = cold; }
  void set_cold_reads(Executor* cold_reads) { cold_reads_ = cold_reads; }
  void set_stage_error(absl::Status status) { stage_error_ = std::move(status); }
  void set_read_error(absl::Status status) { read_error_ = std::move(status); }
  // Of cold reads when they are carried out.
  void set_cold_error(absl::Status status) { cold_error_ = std::move(status); }
  // Where the segment to repair comes from, and that is all of this log that is on a disk.
  using MakeRepair = std::function<absl::StatusOr<std::shared_ptr<storage::SegmentRepair>>()>;
  void set_repair(MakeRepair repair) { repair_ = std::move(repair); }
  void set_auto_advance(bool on) { auto_advance_ = on; }
  const storage::LogConfig& config() const { return config_; }
  Offset told_high_watermark() const { return high_watermark_; }
  // Stamped as the log stores them; those below the log start are among them.
  const std::vector<Bytes>& batches() const { return batches_; }
  bool closed() const { return closed_; }

  // --- ReplicaLog ---
  void SetListener(storage::Log::Listener* listener) override { listener_ = listener; }
  void SetConfig(const storage::LogConfig& config) override { config_ = config; }
  Offset log_start_offset() const override { return start_; }
  Offset durable_log_start() const override { return durable_start_; }
  Offset end_offset() const override { return end_; }
  Offset written_offset() const override { return written_; }
  Offset durable_offset() const override { return durable_; }
  LeaderEpoch latest_epoch() const override { return epochs_.latest(); }
  storage::EpochEnd EndOfEpoch(LeaderEpoch asked) const override {
    return epochs_.EndOf(asked, end_);
  }
  int64_t size_bytes() const override;
  const absl::Status& status() const override { return status_; }
  absl::StatusOr<std::optional<storage::ProducerBatch>> CheckSequence(
      const record::BatchView& batch) const override {
    return producers_.Check(batch);
  }
  absl::StatusOr<storage::StagedRange> StageAsLeader(Buffer batches, LeaderEpoch epoch,
                                                     WallTime now) override;
  absl::StatusOr<storage::StagedRange> StageAsFollower(Bytes batches, WallTime now) override;
  void SetHighWatermark(Offset high_watermark) override {
    CHECK_LE(high_watermark, end_);
    high_watermark_ = high_watermark;
  }
  void TruncateTo(Offset to, Offset high_watermark) override;
  void TruncateBelowHighWatermark(Offset to) override;
  void ResetTo(Offset start) override;
  Executor* cold_reads() const override { return cold_reads_; }
  absl::StatusOr<LogRead> Read(Offset from, const storage::ReadLimits& limits) override;
  absl::StatusOr<TimeLookup> OffsetForTimestamp(int64_t timestamp_ms, Offset up_to) override;
  absl::StatusOr<TimeLookup> OffsetOfMaxTimestamp(Offset up_to) override;
  storage::SegmentSpan SegmentOf(Offset) const override { return {start_, end_}; }
  absl::StatusOr<std::shared_ptr<storage::SegmentRepair>> BeginRepair(Offset, WallTime) override {
    return repair_();
  }
  void FinishRepair(std::shared_ptr<storage::SegmentRepair> repair,
                    absl::AnyInvocable<void(absl::Status) &&> done) override;
  void RaiseLogStart(Offset start, absl::AnyInvocable<void(absl::Status) &&> done) override;
  void Housekeep(WallTime) override { ++housekeepings; }
  void Close(absl::AnyInvocable<void(absl::Status) &&> done) override;

  int housekeepings = 0;

 private:
  void Keep(const record::BatchView& batch, WallTime now);
  void BeginAt(Offset start);
  std::unique_ptr<FakeReplicaLog> ImageOf(Offset kept) const;
  void AdvanceSoon();
  storage::ReadResult ReadNow(Offset from, const storage::ReadLimits& limits) const;

  Executor* const executor_;
  storage::Log::Listener* listener_ = nullptr;
  storage::LogConfig config_;
  absl::Status status_;
  absl::Status stage_error_;
  absl::Status read_error_;
  absl::Status cold_error_;
  MakeRepair repair_ = [] {
    return MakeError(ErrorCode::kOffsetOutOfRange, "there is no file to repair");
  };
  bool cold_ = false;
  Executor* cold_reads_ = nullptr;
  bool auto_advance_ = true;
  bool closed_ = false;
  Offset start_{0};
  Offset durable_start_{0};
  // Where it began anew, and what the disk has until that is there; null: it is there.
  Offset begun_at_{0};
  std::unique_ptr<FakeReplicaLog> before_;
  Offset durable_{0};
  Offset written_{0};
  Offset end_{0};
  Offset high_watermark_{0};
  storage::EpochCache epochs_;
  storage::ProducerState producers_;
  std::vector<Bytes> batches_;
  // Tasks that outlive the log find it gone.
  const std::shared_ptr<FakeReplicaLog*> self_ = std::make_shared<FakeReplicaLog*>(this);
};

}  // namespace millrace::broker

#endif  // BROKER_TESTING_FAKE_REPLICA_LOG_H_
