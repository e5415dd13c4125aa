// MemoryFile: a text under a path that only this process can open, for a library that wants to read
// files: nothing of it is on a disk, and nobody has to clear it away.
//
// Replace changes all of it at once: whoever opens the path reads the old text or the new one.
//
// Thread: one owner; the path may be opened by any, while the owner lives.
#ifndef RPC_MEMORY_FILE_H_
#define RPC_MEMORY_FILE_H_

#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "rpc/listen_socket.h"

namespace millrace::rpc {

class MemoryFile {
 public:
  // Errors: DIRECTORY_UNAVAILABLE where the system has no such thing (no /proc), or has no more.
  static absl::StatusOr<MemoryFile> Create(const std::string& text);

  // The path stays as it is. Errors: as Create; the text stays then.
  absl::Status Replace(const std::string& text);

  std::string path() const;

 private:
  explicit MemoryFile(FileDescriptor fd) : fd_(std::move(fd)) {}

  FileDescriptor fd_;
  // The time that the file is said to be of, in seconds: others tell by it that it has changed.
  int64_t version_ = 1;
};

}  // namespace millrace::rpc

#endif  // RPC_MEMORY_FILE_H_
