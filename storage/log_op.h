// LogOp and LogProgress: what an owner shard sends to the disk strand, and what comes back.
//
// Both are values that are moved between strands; the DiskLog named in an operation is touched on
// the disk strand only, the LogHandle in a report on the owner executor only.
//
// Thread: one at a time.
#ifndef STORAGE_LOG_OP_H_
#define STORAGE_LOG_OP_H_

#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "base/bytes.h"
#include "base/ids.h"
#include "base/memory_budget.h"
#include "storage/producer_state.h"
#include "storage/segment.h"

namespace millrace::storage {

class DiskLog;
class Log;
class SegmentRepair;

// A log start from here on is none: the log is being emptied, to begin at what lies beyond the mark
// (Log::ResetTo).
inline constexpr Offset kResetMark(int64_t{1} << 62);

// How reports find a log that may be gone. Read and written on the owner executor only.
struct LogHandle {
  Log* log = nullptr;
};

// One operation on a log, for the disk strand.
struct LogOp {
  enum class Kind {
    kAppend,
    kRoll,        // Seal the active segment; batches that follow name another.
    kTruncate,    // Cut at `to`; `segment_base` becomes the active segment.
    kRestart,     // Empty the log; it begins again at `to`.
    kLogStart,    // Note `to` as log start, then delete `segments`.
    kReplace,     // Put `repair` in the place of its segment.
    kCheckpoint,  // Sync, write the hints, note a recovery point.
    kClose,       // Finish the active segment, write the hints.
  };
  Kind kind = Kind::kAppend;
  std::shared_ptr<DiskLog> log;
  uint64_t generation = 0;
  // kAppend: whole batches, the segment they go to, and where the log ends after them.
  Bytes batches;
  // Of the memory budget: what the batches took on their way in, given back when they are written,
  // even if the tail cache keeps the memory.
  Reservation reservation;
  Offset segment_base;
  Offset end;
  bool sync = true;
  // kAppend that is not synced: to be synced within this time; the maximum: at any.
  int64_t flush_ms = std::numeric_limits<int64_t>::max();
  int64_t index_interval_bytes = 4096;
  int64_t preallocate_bytes_min = 0;
  int64_t preallocate_bytes_max = 0;
  // All but kAppend, kLogStart and kReplace: the epoch checkpoint as of then. kRoll, kCheckpoint,
  // kClose: a producer snapshot of `to`; empty: the owner waits for a rebuild itself, and it is to
  // be made from the log.
  std::string epochs;
  std::string snapshot;
  Offset to;
  bool rebuild_producers = false;
  // kLogStart: no longer in the log; deleted when nobody else refers to them.
  std::vector<std::shared_ptr<const Segment>> segments;
  int64_t delete_delay_ms = 0;
  // kReplace: a whole copy of a sealed segment.
  std::shared_ptr<SegmentRepair> repair;
  // Called on the owner executor when the operation is durable, or failed. May be null.
  absl::AnyInvocable<void(absl::Status) &&> done;
};

// What became of operations on one log, for its owner.
struct LogProgress {
  // After a truncation: what the active segment is like now.
  struct Truncated {
    int64_t size_bytes = 0;
    int64_t max_timestamp_ms = -1;
    std::optional<ProducerState> producers;
  };
  std::shared_ptr<LogHandle> handle;
  uint64_t generation = 0;
  Offset written;
  Offset durable;
  std::optional<Truncated> truncated;
  // Nothing happened; the writer asks for a kCheckpoint.
  bool wants_checkpoint = false;
  // Not OK: the log, or the directory, failed.
  absl::Status failure;
};

// Hands a report to its log, if that still lives. Thread: the log's owner.
void Deliver(LogProgress& progress);

// What the directory's strand lets every thread know.
struct LogDirFlags {
  // Set before it is shared.
  std::string directory;
  uint64_t reserve_bytes = 0;
  // The reserve is reached, or a write found no room: nothing more is staged.
  std::atomic<bool> full{false};
  std::atomic<bool> failed{false};
  std::atomic<uint64_t> free_bytes{0};
  std::atomic<uint64_t> total_bytes{0};
  // Of the syncs of rounds, some each second are measured: how many, and their time together. When
  // the one under way began (of the monotonic clock); 0: there is none.
  std::atomic<int64_t> syncs_measured{0};
  std::atomic<int64_t> syncs_nanos{0};
  std::atomic<int64_t> sync_began_nanos{0};
};

}  // namespace millrace::storage

#endif  // STORAGE_LOG_OP_H_
