// DiskLog: the disk strand's side of one log: its open files and where they end.
//
// Every change of a partition's files is made here, in the order of the writer's FIFO. A log's
// active segment is preallocated ahead of the append; sealed segments are trimmed and synced before
// the next one exists, so that after a crash only the last segment can have a torn tail.
//
// Not here: rounds, journals and reports (log_writer.h), and what the owner shard sees (log.h).
//
// Thread: the disk executor.
#ifndef STORAGE_DISK_LOG_H_
#define STORAGE_DISK_LOG_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/executor.h"
#include "base/file_system.h"
#include "base/ids.h"
#include "base/monotonic_time.h"
#include "storage/epoch_cache.h"
#include "storage/producer_state.h"
#include "storage/segment.h"
#include "storage/segment_scan.h"

namespace millrace::storage {

struct LogHandle;

class DiskLog {
 public:
  DiskLog(FileSystem* files, uint32_t number, const TopicPartition& topic_partition,
          std::shared_ptr<LogFilesIdentity> identity)
      : files_(files),
        number_(number),
        topic_partition_(topic_partition),
        identity_(std::move(identity)) {}

  uint32_t number() const { return number_; }
  const TopicPartition& topic_partition() const { return topic_partition_; }
  const std::shared_ptr<LogFilesIdentity>& identity() const { return identity_; }
  const std::string& directory() const { return identity_->directory; }

  // As recovery found it: the last segment's base and scan, or none.
  void SetRecovered(Offset end, std::optional<Offset> active_base, SegmentScan* scan);

  // Makes the segment of `base` the open one: created durably if it is new, reopened if it was
  // closed. Sets *created if the log's first file appeared. Blocks.
  absl::Status OpenActive(Offset base, bool* created);
  // The directories and first segments of several logs without files, in the steps of OpenActive,
  // but each step for all of them before the next: a file system that commits all changes of names
  // at once does so a few times, and not a few times for each log. After an error all are as
  // before, for another try. Blocks. REQUIRES: same file system and log directory; none of them
  // exists.
  struct NewLog {
    DiskLog* log;
    Offset base;
  };
  static absl::Status CreateTogether(absl::Span<const NewLog> logs);
  // Before a synced append that ends at `end`: zero-fills room in a step between the two if it ends
  // behind what is allocated, so that the syncs to come change no file size. An append of at least
  // `step_min` makes its own room: each byte is then written once, and one change of size is little
  // beside it. Blocks. REQUIRES: OpenActive.
  absl::Status Allocate(uint64_t end, uint64_t bytes, int64_t step_min, int64_t step_max);
  // A write found no room and may have left a part: the file is perhaps larger than was known.
  // REQUIRES: OpenActive.
  absl::Status NoteAllocated();
  // The active segment is full: trimmed, synced, closed. Blocks.
  absl::Status Seal(int64_t index_interval_bytes);
  // Syncs the active segment's log file, if written since the last sync. Blocks.
  absl::Status SyncData();
  // Trims and syncs, and writes the last time index entry. Blocks.
  absl::Status FinishActive();
  // Syncs all of the active segment, and says where a recovery may begin then; nullopt if the
  // segment is empty. Blocks.
  absl::StatusOr<std::optional<RecoveryPoint>> MakeRecoveryPoint();
  // Closes the active segment's files, synced; they are reopened when needed.
  absl::Status CloseFiles();

  // Cuts the log at `to`: removes the segments after `keep`, highest first, and shortens that one.
  // Durable on return. After an error no segment is active; where there was no room, it may be
  // tried again. Errors: CORRUPT_LOG if `to` is no batch boundary of the log.
  absl::Status Truncate(Offset to, Offset keep, int64_t index_interval_bytes);
  // Replaces all segments by an empty one at `base`. Durable on return. REQUIRES: base > all
  // others.
  absl::Status Restart(Offset base);
  // Small files of the partition's directory.
  absl::Status WriteEpochs(const std::string& text);
  // Of the producers at `offset`; made from the log if `bytes` is empty.
  absl::Status WriteSnapshot(Offset offset, const std::string& bytes);
  absl::Status RemoveSnapshotsAbove(Offset offset);
  // The snapshot of an earlier recovery point, unless a segment begins there.
  absl::Status RemovePassingSnapshot(Offset offset);

  // It lies before the active segment.
  bool IsSealed(const Segment& segment) const {
    return active_base.has_value() && segment.base_offset < *active_base;
  }

  // The base offsets of the segments that are there, rising.
  absl::StatusOr<std::vector<Offset>> ListSegments() const;

  FileSystem* const files_;
  const uint32_t number_;
  const TopicPartition topic_partition_;
  const std::shared_ptr<LogFilesIdentity> identity_;

  // Whom to report to; null until opened.
  Executor* owner = nullptr;
  std::shared_ptr<LogHandle> handle;
  // Operations of an older generation are void (S-13).
  uint64_t generation = 0;
  // Deleted, or could not be cut: operations still on their way are dropped.
  bool gone = false;
  // A directory and files exist.
  bool exists = false;

  // The active segment. Files are null while closed: all of them, or none.
  std::optional<Offset> active_base;
  std::unique_ptr<File> log_file;
  std::unique_ptr<File> index_file;
  std::unique_ptr<File> time_file;
  uint64_t size = 0;
  uint64_t allocated = 0;
  uint64_t index_size = 0;
  uint64_t time_size = 0;
  IndexBuilder builder;
  // Where its last batch begins, and its first batch's time.
  uint64_t last_batch = 0;
  int64_t first_timestamp_ms = record::kNoTimestamp;

  // written offset, durable offset.
  Offset end;
  Offset durable;
  bool unsynced = false;
  // A timer will sync what is unsynced (flush.ms).
  bool flush_posted = false;
  MonotonicTime last_append;
  // Epochs that began since the sync journal last vouched for this log.
  std::vector<EpochEntry> new_epochs;
  LeaderEpoch last_epoch = kNoLeaderEpoch;

 private:
  std::string Path(Offset base, absl::string_view suffix) const {
    return JoinPath(directory(), SegmentFileName(base, suffix));
  }
  absl::Status CreateSegment(Offset base, bool* created);
  absl::Status CreateSegmentFiles(Offset base);
  absl::Status OpenSegmentFiles(Offset base);
  // Its names are durable.
  void BeginAt(Offset base);
  absl::Status RemoveSegment(Offset base);
  absl::Status SyncNames();
  absl::Status CutAt(Offset to, Offset keep, int64_t index_interval_bytes);
  void ForgetFiles();

  // Files were removed, and no sync of the directory has followed. Whoever tries again for want of
  // room finds nothing to remove, and has to sync all the same (S-13).
  bool names_unsynced_ = false;
};

// The producers as of `to`, from the newest usable snapshot and the batches after it.
// `segments`: base offsets, rising. Errors: those of reading.
absl::StatusOr<ProducerState> RebuildProducers(FileSystem& files, const std::string& directory,
                                               const std::vector<Offset>& segments, Offset to);

// The newest valid snapshot at or below `to`: its offset, 0 and an empty state if there is none.
struct LoadedSnapshot {
  Offset offset;
  ProducerState state;
};
absl::StatusOr<LoadedSnapshot> LoadSnapshot(FileSystem& files, const std::string& directory,
                                            Offset to);

}  // namespace millrace::storage

#endif  // STORAGE_DISK_LOG_H_
