// Wal: the durable log of a Raft voter: entries, hard state and voter set in one sequence of
// preallocated segment files, made durable in groups by one fdatasync each (S-09).
//
// What is appended while one group syncs makes the next group; order is that of the calls (S-10:
// storage is FIFO). The log carries its own mark: each group says through which group all is
// durable, and a lone last group is sealed by an empty one soon after, so that damage is told from
// a torn tail. It keeps no entries in memory and interprets none; docs/formats/wal.md has the
// bytes.
//
// A failed write or sync is final: `on_failed` hears of it once, nothing is retried, and callbacks
// of batches that did not become durable never run.
//
// Not here: snapshots, and the lock against a second process (the metadata directory's owner).
//
// Thread: owner's executor; files are touched on the disk executor only.
// Source: S-09; Raft thesis 3.8 (persisted state), 10.2.1 (writing to the leader's disk in
// parallel); "Can Applications Recover from fsync Failures?" (ATC'20).
#ifndef RAFT_HOST_WAL_H_
#define RAFT_HOST_WAL_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/counters.h"
#include "base/executor.h"
#include "base/file_system.h"
#include "base/ids.h"
#include "base/random.h"
#include "raft/types.h"

namespace millrace::raft {

class WalWriter;

struct WalOptions {
  // Created if missing (its parent must exist). Holds nothing else.
  std::string directory;
  // Size of a full segment. REQUIRES: a multiple of 4 KiB, at least entry_bytes_max + 68 KiB, so
  // that the largest entry fits behind a segment's start.
  uint64_t segment_bytes = 16 << 20;
  // The largest payload of one entry; equal to rsm::kEntryBytesMax unless a test wants less.
  uint64_t entry_bytes_max = 8 << 20;
  // A group takes no further record beyond this size.
  uint64_t group_bytes_max = 4 << 20;
  // Bytes appended but not yet durable; beyond it Append refuses.
  uint64_t unsynced_bytes_max = 64 << 20;
  // Zero-filled ahead of the append, at a time; bounds how long one such step delays a group.
  uint64_t fill_step_bytes = 1 << 20;
  // A snapshot that is not on the log's history: refuse it (CORRUPT_LOG) instead of restarting the
  // log after it. For a lone voter, or where the "snapshot" is a cached image (S-36).
  bool refuse_conflicting_snapshot = false;
  // A last group is sealed this long after it became durable, if none followed.
  absl::Duration idle_seal_after = absl::Milliseconds(10);
};

// What one Append makes durable, in this order.
struct WalBatch {
  std::optional<HardState> hard_state;
  // The log is cut before this entry; needed only if no entry of this batch takes its place.
  std::optional<LogIndex> truncate_from;
  // The log is emptied and begins after this entry (a snapshot was installed over it).
  std::optional<EntryId> restart_after;
  // Each follows the one before; the first may overwrite: that cuts the log from it on.
  std::vector<Entry> entries;
  // Whenever the set in force changes, by an entry or by a cut that takes such an entry away.
  std::optional<VoterSet> voters;
};

// What a torn tail had: nothing of it was ever acknowledged.
struct WalCut {
  uint64_t generation = 0;
  uint64_t offset = 0;
  std::string reason;
};

struct WalRecovery {
  // True if the directory held no log: a new disk.
  bool created = false;
  HardState hard_state;
  VoterSet voters;
  // All above the snapshot, without a gap.
  std::vector<Entry> entries;
  std::optional<WalCut> cut;
  uint64_t segments = 0;
  uint64_t bytes_read = 0;
};

// Cells for the disk executor to write; all or none.
struct WalMetrics {
  explicit WalMetrics(MetricRegistry& registry);

  Histogram& sync_seconds;
  Counter& groups;
  Counter& bytes;
  Counter& seals;
  Counter& segments_opened;
};

class Wal {
 public:
  struct Dependencies {
    FileSystem* files = nullptr;
    const Clock* clock = nullptr;
    Random* random = nullptr;       // Used by Open only.
    Executor* owner = nullptr;      // Callbacks run here.
    Executor* disk = nullptr;       // The metadata directory's.
    WalMetrics* metrics = nullptr;  // May be null.
  };
  using PersistedCallback = absl::AnyInvocable<void() &&>;
  using FailedCallback = absl::AnyInvocable<void(const absl::Status&)>;

  // Reads what is there into `*recovery`, cuts a torn tail, and opens the log for appending.
  // Entries up to `snapshot` are left out; a log that conflicts with the snapshot, or ends below
  // it, is restarted after it (thesis 5.1). Blocking: call it where blocking is allowed, before the
  // executors run.
  // Errors: CORRUPT_LOG where acknowledged data is damaged or missing; UNSUPPORTED_FORMAT_VERSION;
  // INVALID_CONFIG for options out of range; the file system's.
  static absl::StatusOr<std::unique_ptr<Wal>> Open(WalOptions options, Dependencies dependencies,
                                                   EntryId snapshot, FailedCallback on_failed,
                                                   WalRecovery* recovery);
  // What was appended and is not durable yet may become so; no callback runs any more.
  ~Wal();

  // Stages `batch` and returns at once; `persisted` runs on the owner's executor when it and all
  // before it are durable. Errors, with nothing staged: ENTRY_TOO_LARGE; RESOURCE_EXHAUSTED beyond
  // unsynced_bytes_max; the first failure, ever after it. REQUIRES: entries follow each other.
  absl::Status Append(WalBatch batch, PersistedCallback persisted);

  // Segments all of whose entries are below `index` may be recycled: a verified, durable snapshot
  // holds what they say (the caller keeps the previous snapshot's log by passing its index).
  void ReleaseBefore(LogIndex index);

  // When the oldest batch that is not durable yet was appended: what tells a hung disk (S-36).
  std::optional<MonotonicTime> oldest_unpersisted() const;
  uint64_t unsynced_bytes() const;

 private:
  struct Shared;
  Wal(WalOptions options, Dependencies dependencies, std::shared_ptr<WalWriter> writer,
      FailedCallback on_failed);

  const WalOptions options_;
  const Dependencies dependencies_;
  // The disk's side; tasks under way keep it alive.
  std::shared_ptr<WalWriter> writer_;
  // The owner's side; tasks that come back hold it weakly.
  std::shared_ptr<Shared> shared_;
};

}  // namespace millrace::raft

#endif  // RAFT_HOST_WAL_H_
