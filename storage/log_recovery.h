// Recovery of one log: what its files hold after a stop of any kind, made consistent again.
//
// Sealed segments were trimmed and synced before the next one existed, so only the last segment is
// read batch by batch, from the recovery point on if there is one: a torn tail is cut, zero-filled
// room trimmed, indexes, epochs and producers rebuilt. Earlier ones are read only where the epoch
// checkpoint, the producer snapshot or an index does not cover them; damage there is found by
// reads. What the sync journal (S-08) or the clean-shutdown file vouches for and is not there, and
// damage with bytes of a later round after it, make the log CORRUPT_LOG: it stays offline, nothing
// of it is cut, until nobody counts on it any more.
//
// Thread: the disk executor (blocks).
#ifndef STORAGE_LOG_RECOVERY_H_
#define STORAGE_LOG_RECOVERY_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file_system.h"
#include "base/ids.h"
#include "storage/disk_log.h"
#include "storage/epoch_cache.h"
#include "storage/partitions_journal.h"
#include "storage/producer_state.h"
#include "storage/recovery_progress.h"
#include "storage/segment.h"
#include "storage/sync_journal.h"

namespace millrace::storage {

struct RecoveryInput {
  ReplicaRecord replica;
  std::shared_ptr<LogFilesIdentity> identity;
  // Up to where the sync journal vouches for the log.
  std::optional<Offset> mark;
  // What it vouches for of the leader epochs below that; null: nothing.
  const EpochCache* vouched_epochs = nullptr;
  // Where the last round ends that the sync journal does not vouch for; null: there is none.
  const RoundEnd* round_end = nullptr;
  // Where the clean-shutdown file says it ends.
  std::optional<Offset> clean_end;
  // That something was cut is to be told: a mark is left before, until LogDir takes it away.
  bool marks_cut = false;
  // Nobody counts on what it has: it ends where damage begins, whatever vouches for more.
  bool cuts_damage = false;
  // Where the active segment's reading may begin; null: at its beginning.
  const RecoveryPoint* point = nullptr;
  int64_t index_interval_bytes = 4096;
  // Told of every segment; may be null.
  RecoveryProgress* progress = nullptr;
};

struct RecoveredSegment {
  Offset base_offset;
  Offset end_offset;
  int64_t size_bytes = 0;
  int64_t max_timestamp_ms = -1;
  // Of the first batch; -1 if not known.
  int64_t first_timestamp_ms = -1;
};

struct RecoveredLog {
  TopicPartition topic_partition;
  std::string name;
  // OK, or why the replica is offline; the rest is then not filled in.
  absl::Status status;
  Offset log_start;
  Offset end;
  std::vector<RecoveredSegment> segments;
  EpochCache epochs;
  ProducerState producers;
  // What its bytes prove to have been synced, beyond the sync journal's mark. To be vouched for
  // from here on: with the journal's next rewrite the proof is gone.
  std::optional<Offset> proven_end;
  // Bytes of a torn tail that were cut.
  uint64_t cut_bytes = 0;
  // Something was, now or at an earlier start that left its mark.
  bool cut = false;
  // The recovery point was right: what lies before it was not read.
  bool point_used = false;
  std::shared_ptr<DiskLog> disk;
};

// Errors: those of the file system, which concern the whole directory. What concerns this log only
// is in `status`: CORRUPT_LOG, INVALID_DIRECTORY.
absl::StatusOr<RecoveredLog> RecoverLog(FileSystem& files, const RecoveryInput& input);

}  // namespace millrace::storage

#endif  // STORAGE_LOG_RECOVERY_H_
