#include "base/posix_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status.h"

namespace millrace {
namespace {

// Many small maps of one page of zeros, rather than a large block of them.
constexpr size_t kZeroPageSize = 4096;
constexpr size_t kZeroPages = 64;
constexpr char kZeroPage[kZeroPageSize] = {};

std::string ErrnoText(int error) {
  char buffer[256];
  // The GNU version, which returns the text.
  return strerror_r(error, buffer, sizeof(buffer));
}

}  // namespace

absl::Status PosixError(absl::string_view action, absl::string_view path, int error) {
  const std::string message =
      absl::StrCat("cannot ", action, " '", path, "': ", ErrnoText(error), " (errno ", error, ")");
  ErrorCode code = ErrorCode::kStorageError;
  switch (error) {
    case ENOSPC:
    case EDQUOT:
    // No room among the open files: as with a full disk the call did nothing, and can be made
    // again.
    case EMFILE:
    case ENFILE:
      code = ErrorCode::kStorageFull;
      break;
    case ENOENT:
    case ENOTDIR:
    case EISDIR:
    case EEXIST:
    case ENOTEMPTY:
    case EACCES:
    case EPERM:
    case EROFS:
    case ELOOP:
    case ENAMETOOLONG:
      code = ErrorCode::kDirectoryUnavailable;
      break;
    default:
      break;
  }
  return MakeError(code, message, {.name = std::string(path)});
}

PosixFile::~PosixFile() {
  // What close reports about data, Sync has reported; and the descriptor is gone whatever it says.
  close(fd_);
}

absl::StatusOr<size_t> PosixFile::ReadAt(uint64_t offset, absl::Span<char> out) const {
  size_t done = 0;
  while (done < out.size()) {
    const ssize_t got =
        pread(fd_, out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return PosixError("read", path_, errno);
    if (got == 0) break;
    done += static_cast<size_t>(got);
  }
  return done;
}

absl::Status PosixFile::WriteAt(uint64_t offset, Slice data) {
  return WritePieces(offset, absl::MakeConstSpan(&data, 1));
}

absl::Status PosixFile::WritePieces(uint64_t offset, absl::Span<const Slice> pieces, size_t skip) {
  offset += skip;
  size_t first = 0;
  while (true) {
    while (first < pieces.size() && skip >= pieces[first].size()) skip -= pieces[first++].size();
    if (first == pieces.size()) return absl::OkStatus();
    struct iovec vectors[64];
    const size_t count = std::min<size_t>(pieces.size() - first, std::size(vectors));
    for (size_t i = 0; i < count; ++i) {
      const Slice piece = pieces[first + i];
      vectors[i] = {const_cast<char*>(piece.data()), piece.size()};
    }
    vectors[0].iov_base = static_cast<char*>(vectors[0].iov_base) + skip;
    vectors[0].iov_len -= skip;
    const ssize_t wrote =
        pwritev(fd_, vectors, static_cast<int>(count), static_cast<off_t>(offset));
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return PosixError("write", path_, errno);
    // A short write: the next call writes the rest or says why it cannot.
    offset += static_cast<size_t>(wrote);
    skip += static_cast<size_t>(wrote);
  }
}

absl::Status PosixFile::Sync() {
  if (fdatasync(fd_) == 0) return absl::OkStatus();
  // Always STORAGE_ERROR, also for ENOSPC: what was written is in doubt, and waiting for room does
  // not bring it back.
  return MakeError(ErrorCode::kStorageError, PosixError("sync", path_, errno).message(),
                   {.name = path_});
}

absl::StatusOr<uint64_t> PosixFile::Size() const {
  struct stat info;
  if (fstat(fd_, &info) != 0) return PosixError("ask for the size of", path_, errno);
  return static_cast<uint64_t>(info.st_size);
}

absl::Status PosixFile::Truncate(uint64_t size) {
  int result = 0;
  do {
    result = ftruncate(fd_, static_cast<off_t>(size));
  } while (result != 0 && errno == EINTR);
  return result == 0 ? absl::OkStatus() : PosixError("set the size of", path_, errno);
}

absl::Status PosixFile::ZeroFill(uint64_t offset, uint64_t length) {
  ASSIGN_OR_RETURN(const uint64_t size, Size());
  CHECK_GE(offset, size) << path_;
  // Real writes: blocks that fallocate reserves are marked unwritten, and turning that mark at the
  // first write is just the metadata change that a preallocated file is to avoid.
  const Slice page(kZeroPage, kZeroPageSize);
  std::vector<Slice> pieces(kZeroPages, page);
  for (uint64_t done = 0; done < length;) {
    const uint64_t left = length - done;
    if (left < kZeroPageSize * kZeroPages) {
      pieces.resize(left / kZeroPageSize);
      pieces.push_back(page.substr(0, left % kZeroPageSize));
    }
    RETURN_IF_ERROR(WritePieces(offset + done, pieces));
    done += std::min<uint64_t>(left, kZeroPageSize * kZeroPages);
  }
  return absl::OkStatus();
}

PosixFile& PosixFileOf(const FileWrite& write) {
  auto* const file = dynamic_cast<PosixFile*>(write.file);
  CHECK(file != nullptr) << "a FileWrite of another file system";
  return *file;
}

void WriteAndSyncHere(FileWrite& write) {
  PosixFile& file = PosixFileOf(write);
  write.status = file.WritePieces(write.offset, write.pieces);
  if (write.status.ok() && write.sync) write.status = file.Sync();
}

}  // namespace millrace
