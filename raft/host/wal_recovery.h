// Reads a WAL directory at start: finds the segments that make up the log, checks them against each
// other, replays them, and says where and how appending goes on. Changes nothing on the disk.
//
// The log is the chain that leads from the newest segment that was started back over
// `previous_generation`. Each segment's start says through which group its predecessor was durable
// and with which checksum it ended: anything else there is corruption, and anything beyond it is
// a tail that was cut. A newest file that was never started counts for nothing.
//
// Thread: any; blocking.
// Source: S-09.
#ifndef RAFT_HOST_WAL_RECOVERY_H_
#define RAFT_HOST_WAL_RECOVERY_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/file_system.h"
#include "base/ids.h"
#include "raft/host/wal.h"
#include "raft/types.h"

namespace millrace::raft {

// A file of the log, as the writer keeps account of it.
struct WalSegmentInfo {
  uint64_t generation = 0;
  uint64_t size_bytes = 0;
  // No entry in it is above this, also none that was overwritten later.
  LogIndex index_max;
};

// Where appending goes on.
struct WalPosition {
  // In log order; empty if nothing was started.
  std::vector<WalSegmentInfo> segments;
  // Files that are not part of the log: to be removed once a new segment is durable.
  std::vector<std::string> orphans;
  uint64_t generation_max = 0;  // Of any file, so that none is used twice.

  // Of the last segment.
  uint64_t salt = 0;
  uint64_t tail_offset = 0;
  uint64_t last_number = 0;
  uint32_t chain = 0;
  // The last group's place and bytes, to be written once more (see WalWriter::Open).
  uint64_t last_group_offset = 0;
  std::string last_group;
  bool last_is_seal = false;

  EntryId last_entry;
  // Appending may go on in the last segment: nothing was ever written behind its last group.
  bool can_continue = false;
  // The log contradicts the snapshot: it is to be restarted after this entry.
  std::optional<EntryId> restart_after;
};

struct WalRecovered {
  WalRecovery recovery;
  WalPosition position;
};

// `options.directory` exists. Errors: as Wal::Open.
absl::StatusOr<WalRecovered> RecoverWal(const WalOptions& options, FileSystem& files,
                                        EntryId snapshot);

}  // namespace millrace::raft

#endif  // RAFT_HOST_WAL_RECOVERY_H_
