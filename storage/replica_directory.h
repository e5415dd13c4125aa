// The moves of one replica's directory within its log directory: out of the way of whoever gets its
// name next, and back.
//
// Each is one rename, made durable; after STORAGE_FULL it can be called again, and finishes what it
// had begun. The partitions journal says which of the names counts, and is
// written on the side that a stop in between is finished from (leftovers.h): before a directory is
// set aside or deleted, and after one was taken back.
//
// Thread: the disk executor (blocks).
#ifndef STORAGE_REPLICA_DIRECTORY_H_
#define STORAGE_REPLICA_DIRECTORY_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "base/file_system.h"
#include "storage/partitions_journal.h"
#include "storage/segment.h"

namespace millrace::storage {

// Removes the directory of `replica`, from where it was, set aside or not, below the log directory
// `path`. All of these are OK if there is no directory: nothing was ever appended. Errors: those of
// the file system.
absl::Status RemoveReplicaDirectory(FileSystem& files, const std::string& path,
                                    const ReplicaRecord& replica);

// Gives it the name of a stray one (S-20).
absl::Status SetReplicaDirectoryAside(FileSystem& files, const std::string& path,
                                      const ReplicaRecord& replica);

// Gives a stray one its own name again. Errors: INVALID_DIRECTORY if something lies there, and
// nothing was moved.
absl::Status TakeReplicaDirectoryBack(FileSystem& files, const std::string& path,
                                      const ReplicaRecord& replica);

// What its files are known by.
std::shared_ptr<LogFilesIdentity> IdentityOf(const std::string& path, const ReplicaRecord& replica);

}  // namespace millrace::storage

#endif  // STORAGE_REPLICA_DIRECTORY_H_
