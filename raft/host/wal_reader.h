// Reads a WAL directory for people: every segment, group and record with its place, and what is
// wrong where. Changes nothing, trusts nothing, and goes on behind damage; `millrace log dump`.
//
// Not for starting a voter: wal_recovery.h judges, this shows.
//
// Thread: any; blocking.
#ifndef RAFT_HOST_WAL_READER_H_
#define RAFT_HOST_WAL_READER_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/file_system.h"
#include "raft/host/wal_format.h"
#include "raft/host/wal_scan.h"

namespace millrace::raft {

class WalVisitor {
 public:
  virtual ~WalVisitor() = default;

  virtual void OnSegment(const std::string& path, uint64_t generation, uint64_t size_bytes) = 0;
  // `behind_damage`: verifies by itself, but what stood before it in the segment does not.
  virtual void OnGroup(const WalGroup& group, bool behind_damage) = 0;
  // The payload is borrowed for the call. `offset` is where its header begins in the segment.
  virtual void OnRecord(const WalRecord& record, uint64_t offset) = 0;
  // What follows the last group that verifies, at scan.tail_offset.
  virtual void OnTail(const WalScan& scan) = 0;
};

// Visits all segments in `directory` by generation. Errors: the file system's only; damage is
// something to show.
absl::Status VisitWal(FileSystem& files, const std::string& directory, WalVisitor* visitor);

// "CLEAN", "UNKNOWN", "TORN", "DAMAGED".
absl::string_view WalTailName(WalTail tail);
// "ENTRY", "HARD_STATE", ...; "UNKNOWN" for a type of a newer version.
absl::string_view WalRecordTypeName(WalRecordType type);

}  // namespace millrace::raft

#endif  // RAFT_HOST_WAL_READER_H_
