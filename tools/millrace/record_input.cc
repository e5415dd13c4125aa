#include "tools/millrace/record_input.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/posix_file.h"
#include "base/status.h"
#include "tools/millrace/stop_signals.h"

namespace millrace::tools {
namespace {

constexpr size_t kReadBytes = 256 << 10;

}  // namespace

RecordInput::RecordInput(int descriptor, bool owned, std::string name)
    : descriptor_(descriptor), owned_(owned), name_(std::move(name)), piece_(kReadBytes) {}

RecordInput::RecordInput(RecordInput&& other) noexcept
    : descriptor_(other.descriptor_),
      owned_(std::exchange(other.owned_, false)),
      name_(std::move(other.name_)),
      piece_(std::move(other.piece_)) {}

RecordInput::~RecordInput() {
  if (owned_) ::close(descriptor_);
}

absl::StatusOr<RecordInput> RecordInput::Open(const std::string& path) {
  if (path.empty() || path == "-") return RecordInput(STDIN_FILENO, false, "standard input");
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return PosixError("read", path, errno);
  return RecordInput(descriptor, true, path);
}

absl::StatusOr<Slice> RecordInput::Read() {
  for (;;) {
    AwaitReadable(descriptor_);
    if (StopRequested()) return Slice();
    const ssize_t n = ::read(descriptor_, piece_.data(), piece_.size());
    if (n >= 0) return Slice(piece_.data(), static_cast<size_t>(n));
    // Somebody else may have read what was there, or a signal came that means nothing to us.
    if (errno != EINTR && errno != EAGAIN) return PosixError("read", name_, errno);
  }
}

int64_t RecordInput::size() const {
  struct stat info;
  const bool regular = ::fstat(descriptor_, &info) == 0 && S_ISREG(info.st_mode);
  return regular ? info.st_size : 0;
}

}  // namespace millrace::tools
