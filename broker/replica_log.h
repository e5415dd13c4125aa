// ReplicaLog: what a replica needs of its partition's log. A seam, so that the replica is pure: it
// is storage::Log behind storage_replica_log.h, and an in-memory log in tests.
//
// Nothing here blocks: reads that need the disk come back as a function for the cold-read pool of
// the log's directory, and positions advance by the listener. Contracts are those of storage/log.h.
//
// Thread: the owner shard's executor.
#ifndef BROKER_REPLICA_LOG_H_
#define BROKER_REPLICA_LOG_H_

#include <cstdint>
#include <memory>
#include <optional>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/bytes.h"
#include "base/executor.h"
#include "base/ids.h"
#include "base/monotonic_time.h"
#include "record/batch_view.h"
#include "storage/epoch_cache.h"
#include "storage/log.h"
#include "storage/log_config.h"
#include "storage/producer_state.h"
#include "storage/read_plan.h"

namespace millrace::broker {

// A read that is at hand, or else the way to it: `cold` blocks, and runs on `cold_reads`, which is
// that of the log.
struct LogRead {
  Executor* cold_reads = nullptr;
  std::optional<storage::ReadResult> result;
  absl::AnyInvocable<absl::StatusOr<storage::ReadResult>() &&> cold;
};

// A lookup by time; blocks, and runs on the log's cold_reads(). Nullopt: no such record.
using TimeLookup =
    absl::AnyInvocable<absl::StatusOr<std::optional<storage::TimestampAndOffset>>() &&>;

class ReplicaLog {
 public:
  virtual ~ReplicaLog() = default;

  virtual void SetListener(storage::Log::Listener* listener) = 0;
  virtual void SetConfig(const storage::LogConfig& config) = 0;

  virtual Offset log_start_offset() const = 0;
  virtual Offset durable_log_start() const = 0;
  virtual Offset end_offset() const = 0;
  virtual Offset written_offset() const = 0;
  virtual Offset durable_offset() const = 0;
  virtual LeaderEpoch latest_epoch() const = 0;
  // As storage::EpochCache::EndOf: where the largest epoch that is not above `asked` ends here.
  virtual storage::EpochEnd EndOfEpoch(LeaderEpoch asked) const = 0;
  virtual int64_t size_bytes() const = 0;
  // OK while usable.
  virtual const absl::Status& status() const = 0;

  // As storage::ProducerState::Check.
  virtual absl::StatusOr<std::optional<storage::ProducerBatch>> CheckSequence(
      const record::BatchView& batch) const = 0;
  virtual absl::StatusOr<storage::StagedRange> StageAsLeader(Buffer batches, LeaderEpoch epoch,
                                                             WallTime now) = 0;
  // Keeps the memory of `batches`: it should hold nothing else.
  virtual absl::StatusOr<storage::StagedRange> StageAsFollower(Bytes batches, WallTime now) = 0;
  virtual void SetHighWatermark(Offset high_watermark) = 0;
  virtual void TruncateTo(Offset to, Offset high_watermark) = 0;
  virtual void TruncateBelowHighWatermark(Offset to) = 0;
  virtual void ResetTo(Offset start) = 0;

  // Where whatever may block on the files of this log runs: that of its directory. Outlives this.
  virtual Executor* cold_reads() const = 0;
  virtual absl::StatusOr<LogRead> Read(Offset from, const storage::ReadLimits& limits) = 0;
  virtual absl::StatusOr<TimeLookup> OffsetForTimestamp(int64_t timestamp_ms, Offset up_to) = 0;
  virtual absl::StatusOr<TimeLookup> OffsetOfMaxTimestamp(Offset up_to) = 0;
  // The repair of damaged files, also on cold_reads(); see storage::Log.
  virtual storage::SegmentSpan SegmentOf(Offset at) const = 0;
  virtual absl::StatusOr<std::shared_ptr<storage::SegmentRepair>> BeginRepair(Offset at,
                                                                              WallTime now) = 0;
  virtual void FinishRepair(std::shared_ptr<storage::SegmentRepair> repair,
                            absl::AnyInvocable<void(absl::Status) &&> done) = 0;
  virtual void RaiseLogStart(Offset start, absl::AnyInvocable<void(absl::Status) &&> done) = 0;

  virtual void Housekeep(WallTime now) = 0;
  virtual void Close(absl::AnyInvocable<void(absl::Status) &&> done) = 0;
};

}  // namespace millrace::broker

#endif  // BROKER_REPLICA_LOG_H_
