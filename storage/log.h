// Log: one partition's log of record batches on local disk, as its owner shard sees it.
//
// Positions: log_start_offset <= durable_offset <= written_offset <= end_offset, save that a log
// that begins anew has a durable_offset below its start until the disk has done that. Stage assigns
// offsets in memory and returns at once; the other two follow by callback, when the directory's
// LogWriter has written (page cache) and synced (disk). A staged offset is never withdrawn (S-01):
// if the write fails, the log fails. Batches are opaque: only the header fields outside the
// checksum are stamped.
//
// Not here: the high watermark (the replica's; this only takes its word for what may be cut or
// deleted), who leads, and all blocking work, which goes as operations through one FIFO to the disk
// strand (log_writer.h), truncation too (S-13).
//
// Made by LogDir::OpenLog. Thread: its owner executor, for every call.
#ifndef STORAGE_LOG_H_
#define STORAGE_LOG_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/bytes.h"
#include "base/executor.h"
#include "base/ids.h"
#include "base/monotonic_time.h"
#include "storage/epoch_cache.h"
#include "storage/log_config.h"
#include "storage/producer_state.h"
#include "storage/read_plan.h"

namespace millrace::storage {

class DiskLog;
class Segment;
class SegmentRepair;
class StagingPort;
struct LogFilesIdentity;
struct LogHandle;
struct LogOp;
struct LogProgress;
struct RecoveredLog;

// The offsets that a Stage call assigned: [base_offset, end_offset).
struct StagedRange {
  Offset base_offset;
  Offset end_offset;
  size_t bytes = 0;
};

// The offsets of one segment.
struct SegmentSpan {
  Offset base;
  Offset end;
};

class Log {
 public:
  // Told on the owner executor, never from inside a call to the log.
  class Listener {
   public:
    virtual ~Listener() = default;
    // One or both positions moved. What of it counts is the topic's durability (counted_offset).
    virtual void OnAdvanced(Offset written, Offset durable) = 0;
    // The directory failed: no position advances any more. Once.
    virtual void OnFailed(const absl::Status& status) = 0;
  };

  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  // Null: nobody. Must outlive the log or be replaced.
  void SetListener(Listener* listener) { listener_ = listener; }
  // Takes effect with the next batch, roll or retention run; what was appended before the
  // durability is raised is synced at once (S-07).
  void SetConfig(const LogConfig& config);
  const LogConfig& config() const { return config_; }

  const TopicPartition& topic_partition() const { return topic_partition_; }
  // "<topic>-<partition>".
  const std::string& name() const { return name_; }

  Offset log_start_offset() const { return log_start_; }
  // Up to where the log start was raised on the disk: no start brings back what lies below. The
  // listener's OnAdvanced follows when it rises.
  Offset durable_log_start() const { return durable_log_start_; }
  Offset end_offset() const { return end_; }
  Offset written_offset() const { return written_; }
  Offset durable_offset() const { return durable_; }
  // The position that an acknowledgement of this topic may count (S-02, S-06).
  Offset counted_offset() const {
    return config_.durability == Durability::kDurable ? durable_ : written_;
  }
  const EpochCache& epochs() const { return epochs_; }
  const ProducerState& producers() const { return producers_; }
  // Of all segments.
  int64_t size_bytes() const;
  // OK while usable; else why not (STORAGE_ERROR: the directory failed).
  const absl::Status& status() const { return status_; }

  // Appends one or more whole validated batches, stamping base offsets and `leader_epoch` into the
  // memory given, which is not copied; its reservation is given back once it is written. The
  // caller has checked sequences (producers().Check). `now` decides when a segment is old enough.
  // Nothing is staged on error. Errors: STORAGE_FULL (the reserve is reached), RESOURCE_EXHAUSTED
  // (too many bytes staged but unwritten), STORAGE_ERROR (failed), CORRUPT_MESSAGE (not batches),
  // FENCED_LEADER_EPOCH (below the epoch of the log's last batch), MESSAGE_TOO_LARGE.
  absl::StatusOr<StagedRange> StageAsLeader(Buffer batches, LeaderEpoch leader_epoch, WallTime now);
  // Appends batches as the leader stamped them. Errors: as above, and OFFSET_OUT_OF_RANGE if the
  // first does not begin at end_offset() or they do not abut; CORRUPT_LOG if epochs fall.
  absl::StatusOr<StagedRange> StageAsFollower(Bytes batches, WallTime now);

  // What of the log is committed: batches below are never truncated nor their producers' history
  // needed beyond the last five; retention does not pass it.
  void SetHighWatermark(Offset high_watermark);

  // Cuts the uncommitted tail: end_offset() is `to` at once, on disk in the order of the FIFO
  // before anything staged later. No effect if to >= end_offset(). REQUIRES: `to` is a batch
  // boundary and to >= high_watermark.
  void TruncateTo(Offset to, Offset high_watermark);
  // The same where committed data goes: after an unclean election, by metadata's decision only.
  void TruncateBelowHighWatermark(Offset to);
  // Empties the log and lets it begin at `start`, wherever that lies: a follower that is below its
  // leader's log start, or has nothing in common with its leader. Until that is on the disk, what
  // is said to be durable does not rise: after a power loss the log of before may be there.
  void ResetTo(Offset start);

  // A read from `from`, from memory or as a plan for the cold-read pool. Nothing beyond
  // min(limits.up_to, end_offset()) is returned. Errors: OFFSET_OUT_OF_RANGE if `from` is below
  // log_start_offset() or beyond end_offset(); STORAGE_ERROR.
  absl::StatusOr<ReadPlan> Read(Offset from, const ReadLimits& limits);
  // The first record below `up_to` whose timestamp is `timestamp_ms` or later.
  absl::StatusOr<TimestampPlan> OffsetForTimestamp(int64_t timestamp_ms, Offset up_to);
  // The record of the greatest timestamp below `up_to`, the first of these if several.
  absl::StatusOr<TimestampPlan> OffsetOfMaxTimestamp(Offset up_to);

  // Where the segment begins and ends that holds `at`, or would.
  SegmentSpan SegmentOf(Offset at) const;
  // The segment that holds `at`, to be copied and made whole on the cold-read pool; an active one
  // is sealed first. It stays as it is until FinishRepair. Errors: OFFSET_OUT_OF_RANGE;
  // OFFSET_NOT_AVAILABLE while not all of it is written (ask again); STORAGE_ERROR.
  absl::StatusOr<std::shared_ptr<SegmentRepair>> BeginRepair(Offset at, WallTime now);
  // Puts the whole copy in the segment's place; `done` is called when that is durable. Errors:
  // OFFSET_NOT_AVAILABLE if the log was cut or the segment deleted meanwhile: what was found is
  // void (S-22).
  void FinishRepair(std::shared_ptr<SegmentRepair> repair,
                    absl::AnyInvocable<void(absl::Status) &&> done);

  // Prefix deletion (DeleteRecords): raises log_start_offset() at once; `done` is called when that
  // is durable. Whole segments below are deleted. No effect below the current start.
  // REQUIRES: start <= the high watermark last set.
  void RaiseLogStart(Offset start, absl::AnyInvocable<void(absl::Status) &&> done);

  // Deletes whole closed segments that are too old or too much, never beyond the high watermark;
  // rolls an active segment that is older than segment.ms, or of which all is too old, which then
  // goes too and leaves the log empty; forgets idle producers; frees memory of a log not appended
  // to since the last call. Call every log.retention.check.interval.ms or more often. Returns how
  // many segments go.
  int Housekeep(WallTime now);

  // Writes what a fast clean start needs (end trimmed and synced, epochs, producer snapshot).
  // `done` is called when it is durable. Nothing may be staged afterwards.
  void Close(absl::AnyInvocable<void(absl::Status) &&> done);

 private:
  friend class LogDir;
  friend void Deliver(LogProgress& progress);
  Log(RecoveredLog recovered, std::shared_ptr<StagingPort> port, FileSystem* files,
      const LogConfig& config);

  struct CachedBatch {
    Offset base_offset;
    Offset end_offset;
    Bytes bytes;
  };
  // A truncation whose disk side is not reported yet.
  struct Cut {
    uint64_t generation = 0;
    Offset to;
    // The segment that was cut, and what was staged into it since.
    std::shared_ptr<Segment> segment;
    int64_t bytes_since = 0;
    int64_t max_timestamp_since_ms = -1;
  };

  absl::Status Admit(size_t bytes) const;
  void PrepareSegment(Offset base, Offset end, size_t bytes, WallTime now);
  void Roll(WallTime now);
  StagedRange Append(Bytes batches, Reservation reservation, Offset end, WallTime now);
  void Truncate(Offset to);
  void RestartAt(Offset start);
  void DropCacheFrom(Offset end);
  void TrimCache(int64_t bytes_max);
  void ReleaseCache();
  std::vector<std::shared_ptr<const Segment>> TakeSegmentsBelow(Offset start);
  // By segment.ms, and by retention.ms.
  bool IsOld(const Segment& segment, WallTime now) const;
  bool Expired(const Segment& segment, WallTime now) const;
  // Whether the active segment is to be closed: for its age, or since it is the last one to go.
  bool IsActiveDue(WallTime now) const;
  // Deletes by retention, of what is not active. Returns how many segments.
  int DeleteClosed(WallTime now);
  void OnProgress(LogProgress& progress);
  void OnTruncated(LogProgress& progress);
  void OnLogStartDurable(Offset start, uint64_t generation);
  void PushCheckpoint();
  // Empty while what is known of producers is not all: the disk's side makes it then.
  std::string EncodeProducers() const;
  std::optional<ReadResult> ReadFromCache(Offset from, const ReadLimits& limits) const;
  LogOp MakeOp() const;

  const TopicPartition topic_partition_;
  const std::string name_;
  LogConfig config_;
  FileSystem* const files_;
  const std::shared_ptr<DiskLog> disk_;
  const std::shared_ptr<LogFilesIdentity> identity_;
  const std::shared_ptr<StagingPort> port_;
  const std::shared_ptr<LogHandle> handle_;
  Listener* listener_ = nullptr;
  absl::Status status_;

  Offset log_start_;
  Offset durable_log_start_;
  Offset durable_;
  Offset written_;
  Offset end_;
  Offset high_watermark_;
  // Raised by every truncation; reports of older ones are clamped (S-13).
  uint64_t generation_ = 0;
  // When the log began anew the last time.
  uint64_t restarted_ = 0;
  std::vector<Cut> cuts_;
  // A cut has lost what was remembered of a producer, and no rebuild since the newest one has come.
  bool rebuild_owed_ = false;

  // By base offset; the last is active. Empty until the first append.
  std::vector<std::shared_ptr<Segment>> segments_;
  EpochCache epochs_;
  ProducerState producers_;
  // The most recent batches, contiguous up to end_; those not written yet are always here.
  // A vector, because an empty deque costs half a KiB; its front is [cache_first_].
  std::vector<CachedBatch> cache_;
  size_t cache_first_ = 0;
  int64_t cache_bytes_ = 0;
  int64_t records_unsynced_ = 0;
  bool appended_since_housekeeping_ = false;
};

}  // namespace millrace::storage

#endif  // STORAGE_LOG_H_
