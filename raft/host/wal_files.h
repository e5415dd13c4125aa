// The segment files of a WAL directory: made ahead of need, given out under a generation, and used
// again when the log no longer needs them.
//
// At most one spare file waits under the name `spare.wal`; while it is being zero-filled it is
// called `spare.tmp`. A recycled file keeps its old bytes, which never verify under another
// generation and salt, so it needs no filling.
//
// Thread: the disk executor; blocking.
// Source: S-09; design section 3 (a sync of preallocated space changes no file size).
#ifndef RAFT_HOST_WAL_FILES_H_
#define RAFT_HOST_WAL_FILES_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file_system.h"
#include "raft/host/wal.h"
#include "raft/host/wal_recovery.h"

namespace millrace::raft {

// A segment being appended to.
struct WalSegmentFile {
  std::unique_ptr<File> file;
  std::string path;
  // Real blocks reach to here: the file's size.
  uint64_t filled_bytes = 0;
};

class WalFiles {
 public:
  WalFiles(const WalOptions& options, FileSystem* files) : options_(options), files_(*files) {}

  // Creates the directory if missing, adopts a finished spare, removes an unfinished one.
  absl::Status Open();

  // A file under `generation`'s name, which is durable when this returns: the spare, or a new one
  // with its first step filled.
  absl::StatusOr<WalSegmentFile> Activate(uint64_t generation);

  absl::StatusOr<WalSegmentFile> OpenExisting(uint64_t generation);

  // Zero-fills `segment` at least up to `bytes`, a step or more at once, within a segment's size.
  // Not synced.
  absl::Status Fill(WalSegmentFile* segment, uint64_t bytes);

  bool has_spare() const { return has_spare_; }
  // Fills and syncs one more step of the spare. A full disk is not an error here: the step
  // is dropped, and a later one tries again.
  absl::Status PrepareSpareStep();

  // Takes the file of a segment that is no longer needed out of the log: it becomes the spare or is
  // removed. Not durable until SyncNames.
  absl::Status Retire(const WalSegmentInfo& segment);
  absl::Status Remove(const std::string& path) { return files_.RemoveFile(path); }
  absl::Status SyncNames() { return files_.SyncDirectory(options_.directory); }

  std::string SegmentPath(uint64_t generation) const;

 private:
  std::string SparePath() const;
  std::string UnfinishedSparePath() const;

  const WalOptions options_;
  FileSystem& files_;
  bool has_spare_ = false;
  // The spare being filled, if any.
  WalSegmentFile unfinished_;
};

}  // namespace millrace::raft

#endif  // RAFT_HOST_WAL_FILES_H_
