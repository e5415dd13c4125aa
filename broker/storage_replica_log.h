// StorageReplicaLog: a partition's log on disk, as a replica sees it.
//
// Only forwards; the rules are storage::Log's. Thread: the owner shard's executor.
#ifndef BROKER_STORAGE_REPLICA_LOG_H_
#define BROKER_STORAGE_REPLICA_LOG_H_

#include <memory>
#include <utility>

#include "broker/replica_log.h"
#include "storage/log.h"

namespace millrace::broker {

class StorageReplicaLog final : public ReplicaLog {
 public:
  // `cold_reads`: of the log's directory.
  StorageReplicaLog(std::unique_ptr<storage::Log> log, Executor* cold_reads)
      : log_(std::move(log)), cold_reads_(cold_reads) {}

  void SetListener(storage::Log::Listener* listener) override { log_->SetListener(listener); }
  void SetConfig(const storage::LogConfig& config) override { log_->SetConfig(config); }

  Offset log_start_offset() const override { return log_->log_start_offset(); }
  Offset durable_log_start() const override { return log_->durable_log_start(); }
  Offset end_offset() const override { return log_->end_offset(); }
  Offset written_offset() const override { return log_->written_offset(); }
  Offset durable_offset() const override { return log_->durable_offset(); }
  LeaderEpoch latest_epoch() const override { return log_->epochs().latest(); }
  storage::EpochEnd EndOfEpoch(LeaderEpoch asked) const override {
    return log_->epochs().EndOf(asked, log_->end_offset());
  }
  int64_t size_bytes() const override { return log_->size_bytes(); }
  const absl::Status& status() const override { return log_->status(); }

  absl::StatusOr<std::optional<storage::ProducerBatch>> CheckSequence(
      const record::BatchView& batch) const override {
    return log_->producers().Check(batch);
  }
  absl::StatusOr<storage::StagedRange> StageAsLeader(Buffer batches, LeaderEpoch epoch,
                                                     WallTime now) override {
    return log_->StageAsLeader(std::move(batches), epoch, now);
  }
  absl::StatusOr<storage::StagedRange> StageAsFollower(Bytes batches, WallTime now) override {
    return log_->StageAsFollower(std::move(batches), now);
  }
  void SetHighWatermark(Offset high_watermark) override { log_->SetHighWatermark(high_watermark); }
  void TruncateTo(Offset to, Offset high_watermark) override {
    log_->TruncateTo(to, high_watermark);
  }
  void TruncateBelowHighWatermark(Offset to) override { log_->TruncateBelowHighWatermark(to); }
  void ResetTo(Offset start) override { log_->ResetTo(start); }

  Executor* cold_reads() const override { return cold_reads_; }
  absl::StatusOr<LogRead> Read(Offset from, const storage::ReadLimits& limits) override;
  absl::StatusOr<TimeLookup> OffsetForTimestamp(int64_t timestamp_ms, Offset up_to) override;
  absl::StatusOr<TimeLookup> OffsetOfMaxTimestamp(Offset up_to) override;
  storage::SegmentSpan SegmentOf(Offset at) const override { return log_->SegmentOf(at); }
  absl::StatusOr<std::shared_ptr<storage::SegmentRepair>> BeginRepair(Offset at,
                                                                      WallTime now) override {
    return log_->BeginRepair(at, now);
  }
  void FinishRepair(std::shared_ptr<storage::SegmentRepair> repair,
                    absl::AnyInvocable<void(absl::Status) &&> done) override {
    log_->FinishRepair(std::move(repair), std::move(done));
  }
  void RaiseLogStart(Offset start, absl::AnyInvocable<void(absl::Status) &&> done) override {
    log_->RaiseLogStart(start, std::move(done));
  }

  void Housekeep(WallTime now) override { log_->Housekeep(now); }
  void Close(absl::AnyInvocable<void(absl::Status) &&> done) override {
    log_->Close(std::move(done));
  }

 private:
  std::unique_ptr<storage::Log> log_;
  Executor* const cold_reads_;
};

}  // namespace millrace::broker

#endif  // BROKER_STORAGE_REPLICA_LOG_H_
