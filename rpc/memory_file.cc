#include "rpc/memory_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace millrace::rpc {
namespace {

// "Never to be executed": newer systems may ask for it, older ones do not know it.
constexpr unsigned kNoExec = 0x0008;

absl::Status Failed(absl::string_view what) {
  return MakeError(ErrorCode::kDirectoryUnavailable,
                   absl::StrCat("cannot ", what, " a file in memory: ", strerror(errno)));
}

std::string PathOf(int fd) { return absl::StrCat("/proc/self/fd/", fd); }

absl::StatusOr<FileDescriptor> Write(const std::string& text, int64_t version) {
  FileDescriptor fd(memfd_create("millrace", MFD_CLOEXEC | kNoExec));
  if (fd.get() < 0 && errno == EINVAL) fd = FileDescriptor(memfd_create("millrace", MFD_CLOEXEC));
  if (fd.get() < 0) return Failed("make");
  size_t done = 0;
  while (done < text.size()) {
    const ssize_t count = ::write(fd.get(), text.data() + done, text.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return Failed("write");
    done += static_cast<size_t>(count);
  }
  const timespec times[2] = {{.tv_sec = version, .tv_nsec = 0}, {.tv_sec = version, .tv_nsec = 0}};
  if (futimens(fd.get(), times) != 0) return Failed("date");
  return fd;
}

}  // namespace

absl::StatusOr<MemoryFile> MemoryFile::Create(const std::string& text) {
  ASSIGN_OR_RETURN(FileDescriptor fd, Write(text, 1));
  if (access(PathOf(fd.get()).c_str(), R_OK) != 0) return Failed("open");
  return MemoryFile(std::move(fd));
}

absl::Status MemoryFile::Replace(const std::string& text) {
  ASSIGN_OR_RETURN(const FileDescriptor next, Write(text, version_ + 1));
  // The old number means the new file from then on.
  if (dup3(next.get(), fd_.get(), O_CLOEXEC) < 0) return Failed("replace");
  ++version_;
  return absl::OkStatus();
}

std::string MemoryFile::path() const { return PathOf(fd_.get()); }

}  // namespace millrace::rpc
