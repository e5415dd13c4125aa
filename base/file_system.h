// FileSystem and File: the seam through which every byte on disk passes.
//
// Real side: base/posix_file_system.h. Simulated: base/sim/sim_file_system.h, whose crash image
// keeps, loses or tears what was not synced. The contract is that of a journalling file system:
// data is durable after Sync, a name (created, renamed or removed) after SyncDirectory of its
// parent; nothing else is promised about order.
//
// Calls block, so they belong on disk executors and the cold-read pool. Errors: STORAGE_FULL for
// ENOSPC, EDQUOT and too many open files: the call can be made again (never of a sync of a
// directory: the names in it were changed before); DIRECTORY_UNAVAILABLE for a path that is
// missing, may not be used, or exists where it must not (name = path); STORAGE_ERROR for the rest,
// among them every failed sync, which is never retried.
//
// Thread: FileSystem any; a File any for ReadAt, one at a time for the rest.
#ifndef BASE_FILE_SYSTEM_H_
#define BASE_FILE_SYSTEM_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/bytes.h"

namespace millrace {

class File {
 public:
  virtual ~File() = default;

  // Fills `out` from `offset`; returns how many bytes were read, fewer only at the end of the file.
  virtual absl::StatusOr<size_t> ReadAt(uint64_t offset, absl::Span<char> out) const = 0;
  // Writes all of `data` into the page cache, extending the file where needed.
  virtual absl::Status WriteAt(uint64_t offset, Slice data) = 0;
  // fdatasync: all written so far, and the size if it changed, is durable when this returns OK.
  virtual absl::Status Sync() = 0;
  virtual absl::StatusOr<uint64_t> Size() const = 0;
  // Cuts or extends (with zeros) to `size`.
  virtual absl::Status Truncate(uint64_t size) = 0;
  // Makes [offset, offset + length) real, zero-filled blocks, so that a later write there changes
  // no file metadata. Existing bytes beyond the old size only. REQUIRES: offset >= Size().
  virtual absl::Status ZeroFill(uint64_t offset, uint64_t length) = 0;
};

// One file's part in a round of group commit.
struct FileWrite {
  File* file = nullptr;
  uint64_t offset = 0;
  // Written one after the other from `offset`. May be empty: only a sync.
  std::vector<Slice> pieces = {};
  bool sync = true;
  // The outcome; set by WriteAndSync.
  absl::Status status = {};
};

enum class OpenMode {
  kRead,            // Must exist.
  kReadWrite,       // Must exist.
  kCreate,          // Must not exist.
  kOpenOrCreate,    // Read and write.
  kTruncateCreate,  // Emptied if it exists. Read and write.
};

struct DirectoryEntry {
  std::string name;
  bool is_directory = false;
  uint64_t size_bytes = 0;

  friend bool operator==(const DirectoryEntry&, const DirectoryEntry&) = default;
};

struct SpaceInfo {
  uint64_t free_bytes = 0;  // What an unprivileged process may still write.
  uint64_t total_bytes = 0;
};

// An exclusive lock on a file; released when destroyed (or when the process dies).
class FileLock {
 public:
  virtual ~FileLock() = default;
};

class FileSystem {
 public:
  virtual ~FileSystem() = default;

  virtual absl::StatusOr<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) = 0;

  // Performs all writes and syncs, those of different files concurrently, and returns when all are
  // done. Each write's outcome is in its `status`: one failed file does not stop the others.
  virtual void WriteAndSync(absl::Span<FileWrite> writes) = 0;

  // One level; OK if it is a directory already.
  virtual absl::Status CreateDirectory(const std::string& path) = 0;
  // Sorted by name, without "." and "..".
  virtual absl::StatusOr<std::vector<DirectoryEntry>> ListDirectory(const std::string& path) = 0;
  virtual absl::StatusOr<bool> Exists(const std::string& path) = 0;
  // Replaces `to` if it exists; atomic.
  virtual absl::Status Rename(const std::string& from, const std::string& to) = 0;
  virtual absl::Status RemoveFile(const std::string& path) = 0;
  // REQUIRES: empty; else DIRECTORY_UNAVAILABLE.
  virtual absl::Status RemoveDirectory(const std::string& path) = 0;
  // Makes the names in `path` (not the files' contents) durable.
  virtual absl::Status SyncDirectory(const std::string& path) = 0;
  // The same for several, in any order or at once. After an error some of them may be synced.
  virtual absl::Status SyncDirectories(absl::Span<const std::string> paths);
  // Errors: DIRECTORY_LOCKED if another process (or another lock here) holds it.
  virtual absl::StatusOr<std::unique_ptr<FileLock>> Lock(const std::string& path) = 0;
  virtual absl::StatusOr<SpaceInfo> Space(const std::string& path) = 0;
};

// "a/b" from "a" and "b".
std::string JoinPath(absl::string_view directory, absl::string_view name);
// "a" from "a/b"; "." from "b".
std::string ParentPath(absl::string_view path);

// Reads a whole file. Errors: as Open; RESOURCE_EXHAUSTED if it is larger than `bytes_max`.
absl::StatusOr<std::string> ReadWholeFile(FileSystem& files, const std::string& path,
                                          uint64_t bytes_max);
// Replaces a small file durably: temporary file, sync, rename, sync of the directory. After a crash
// the file has the old contents or the new, whole.
absl::Status ReplaceFile(FileSystem& files, const std::string& path, Slice contents);
// The same for several files, their syncs at once, but for the directories': those are the
// caller's.
struct FileReplacement {
  std::string path;
  std::string contents;
};
absl::Status ReplaceFiles(FileSystem& files, absl::Span<const FileReplacement> replacements);
// Removes a directory and all in it; OK if it does not exist. The parent is not synced.
absl::Status RemoveTree(FileSystem& files, const std::string& path);

}  // namespace millrace

#endif  // BASE_FILE_SYSTEM_H_
