// PosixFile: a File over a descriptor, and the errors of system calls as Statuses.
//
// Part of posix_file_system; not for others.
//
// Thread: as File.
#ifndef BASE_POSIX_FILE_H_
#define BASE_POSIX_FILE_H_

#include <string>

#include "base/file_system.h"

namespace millrace {

// "cannot open '/x': No such file or directory (errno 2)", with the code that file_system.h
// promises.
absl::Status PosixError(absl::string_view action, absl::string_view path, int error);

class PosixFile : public File {
 public:
  // Takes the descriptor over.
  PosixFile(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  ~PosixFile() override;
  PosixFile(const PosixFile&) = delete;
  PosixFile& operator=(const PosixFile&) = delete;

  absl::StatusOr<size_t> ReadAt(uint64_t offset, absl::Span<char> out) const override;
  absl::Status WriteAt(uint64_t offset, Slice data) override;
  absl::Status Sync() override;
  absl::StatusOr<uint64_t> Size() const override;
  absl::Status Truncate(uint64_t size) override;
  absl::Status ZeroFill(uint64_t offset, uint64_t length) override;

  // Writes the pieces one after the other, beginning `skip` bytes into them.
  absl::Status WritePieces(uint64_t offset, absl::Span<const Slice> pieces, size_t skip = 0);

  int fd() const { return fd_; }
  const std::string& path() const { return path_; }

 private:
  const int fd_;
  const std::string path_;
};

// Write, then sync, on this thread; sets write.status.
void WriteAndSyncHere(FileWrite& write);

// The PosixFile of a FileWrite. REQUIRES: it is one.
PosixFile& PosixFileOf(const FileWrite& write);

}  // namespace millrace

#endif  // BASE_POSIX_FILE_H_
