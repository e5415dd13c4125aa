// Leftovers: what an earlier process had decided to remove or to set aside, durably, and did not
// get done: directories of deleted and of stray replicas, temporary files.
//
// A directory of a deleted replica's name may be its successor's by now: a topic may be made again
// under its old name, and the same partition may come back to this broker. What the directory
// itself says decides (partition_metadata.h); the journal may not know yet that the successor holds
// data, which a `replicated` topic acknowledges before anything is synced.
//
// Thread: the disk executor (blocks).
#ifndef STORAGE_LEFTOVERS_H_
#define STORAGE_LEFTOVERS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file_system.h"
#include "storage/partitions_journal.h"

namespace millrace::storage {

// Finishes that work in the log directory `path`, durably. Call before `partitions` is rewritten:
// then it forgets what was deleted. Errors: those of the file system.
absl::Status RemoveLeftovers(FileSystem& files, const std::string& path,
                             const PartitionsJournal& partitions);

// Whether the directory of the name of `deleted`, one of `partitions.deleted()`, holds what that
// had: not what whoever has the name now has, and not nothing.
absl::StatusOr<bool> HoldsDeleted(FileSystem& files, const std::string& path,
                                  const ReplicaRecord& deleted,
                                  const PartitionsJournal& partitions);

}  // namespace millrace::storage

#endif  // STORAGE_LEFTOVERS_H_
