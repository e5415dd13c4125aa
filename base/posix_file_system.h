// PosixFileSystem: the real FileSystem, over pread, pwritev, fdatasync and io_uring.
//
// WriteAndSync of one file, or of several that need no sync, is plain calls on the caller's thread:
// the fastest way. Otherwise all files are written and synced concurrently: through io_uring (a
// write linked to a sync for each file) where the kernel allows it, which is tried at construction,
// else by a pool of threads. In series, a round over a hundred active partitions would cost a
// hundred syncs.
//
// Where too many files are open, directories can still be listed and synced: a reserve of
// descriptors is for that (spare_descriptors.h).
//
// Nothing is retried but interrupted and short calls. A sync is never retried: after a failed one
// the kernel may have marked the data clean.
//
// Thread: any.
#ifndef BASE_POSIX_FILE_SYSTEM_H_
#define BASE_POSIX_FILE_SYSTEM_H_

#include <memory>
#include <string>
#include <vector>

#include "base/file_system.h"
#include "base/spare_descriptors.h"
#include "base/sync_ring.h"
#include "base/thread_executor.h"

namespace millrace {

class PosixFileSystem : public FileSystem {
 public:
  enum class SyncBy {
    kBest,     // io_uring where it works, else threads.
    kThreads,  // For kernels or tests that want it so.
  };

  explicit PosixFileSystem(SyncBy sync_by = SyncBy::kBest);
  ~PosixFileSystem() override;

  // Whether WriteAndSync goes through io_uring.
  bool uses_io_uring() const { return sync_threads_ == nullptr; }

  absl::StatusOr<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override;
  // REQUIRES: all files were opened by a PosixFileSystem.
  void WriteAndSync(absl::Span<FileWrite> writes) override;
  absl::Status CreateDirectory(const std::string& path) override;
  absl::StatusOr<std::vector<DirectoryEntry>> ListDirectory(const std::string& path) override;
  absl::StatusOr<bool> Exists(const std::string& path) override;
  absl::Status Rename(const std::string& from, const std::string& to) override;
  absl::Status RemoveFile(const std::string& path) override;
  absl::Status RemoveDirectory(const std::string& path) override;
  absl::Status SyncDirectory(const std::string& path) override;
  absl::Status SyncDirectories(absl::Span<const std::string> paths) override;
  absl::StatusOr<std::unique_ptr<FileLock>> Lock(const std::string& path) override;
  absl::StatusOr<SpaceInfo> Space(const std::string& path) override;

 private:
  SpareDescriptors spares_;
  SyncRings rings_;
  // Null if io_uring is used.
  std::unique_ptr<ThreadPool> sync_threads_;
};

}  // namespace millrace

#endif  // BASE_POSIX_FILE_SYSTEM_H_
