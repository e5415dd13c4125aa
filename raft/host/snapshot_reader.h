// Reading snapshot files: whole and verified, or a verified piece. Nothing is changed: for the
// store, and for tools that look at one from outside.
//
// Thread: any that may block.
#ifndef RAFT_HOST_SNAPSHOT_READER_H_
#define RAFT_HOST_SNAPSHOT_READER_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/bytes.h"
#include "base/file_system.h"
#include "raft/host/snapshot_format.h"
#include "raft/messages.h"

namespace millrace::raft {

struct SnapshotFile {
  SnapshotHead head;
  SnapshotId id;

  SnapshotOffer offer() const {
    return SnapshotOffer{.id = id, .voters = head.voters, .round = {}};
  }
};

// Reads all of the file and checks every section; its body goes to `body`, if given.
// Errors: CORRUPT_LOG and UNSUPPORTED_FORMAT_VERSION name the file and the place; as
// FileSystem::Open.
absl::StatusOr<SnapshotFile> ReadSnapshotFile(FileSystem& files, const std::string& path,
                                              std::string* body = nullptr);

// Bytes [offset, offset + size) of a file that was verified before, checked again: what goes to a
// peer must not be the rot of this disk. REQUIRES: within the file, size > 0.
// Errors: CORRUPT_LOG names the file and the place.
absl::StatusOr<Bytes> ReadSnapshotChunk(FileSystem& files, const std::string& path,
                                        const SnapshotFile& snapshot, uint64_t offset,
                                        uint64_t size);

// Feeds the file to `parser` up to its end or the first error, which is the parser's (to be asked
// for how far it got), or the disk's.
absl::Status ParseSnapshotFile(const File& file, SnapshotParser* parser);

// `status` with the file's name before its message and in its details.
absl::Status NameSnapshotFile(const absl::Status& status, const std::string& path);

}  // namespace millrace::raft

#endif  // RAFT_HOST_SNAPSHOT_READER_H_
