#include "base/posix_file_system.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <latch>

#include "absl/strings/str_cat.h"
#include "base/posix_file.h"
#include "base/status.h"

namespace millrace {
namespace {

constexpr int kSyncThreads = 8;

int OpenFlags(OpenMode mode) {
  switch (mode) {
    case OpenMode::kRead:
      return O_RDONLY;
    case OpenMode::kReadWrite:
      return O_RDWR;
    case OpenMode::kCreate:
      return O_RDWR | O_CREAT | O_EXCL;
    case OpenMode::kOpenOrCreate:
      return O_RDWR | O_CREAT;
    case OpenMode::kTruncateCreate:
      return O_RDWR | O_CREAT | O_TRUNC;
  }
  return O_RDONLY;
}

// Holds a lock on an open file description, which excludes other holders in this process too.
class PosixLock : public FileLock {
 public:
  explicit PosixLock(int fd) : fd_(fd) {}
  ~PosixLock() override { close(fd_); }

 private:
  const int fd_;
};

// Never STORAGE_FULL: names in it may have been changed, and whoever tries again does not change
// them again, nor comes to this sync perhaps.
absl::Status CannotOpenToSync(const std::string& path, int error) {
  const absl::Status status = PosixError("open directory", path, error);
  if (CodeOf(status) != ErrorCode::kStorageFull) return status;
  return MakeError(ErrorCode::kStorageError, status.message(), {.name = path});
}

absl::Status DirectorySynced(const std::string& path, int error) {
  if (error == 0) return absl::OkStatus();
  return MakeError(ErrorCode::kStorageError, PosixError("sync directory", path, error).message(),
                   {.name = path});
}

}  // namespace

PosixFileSystem::PosixFileSystem(SyncBy sync_by) {
  if (sync_by == SyncBy::kThreads || !rings_.Probe()) {
    sync_threads_ = std::make_unique<ThreadPool>("sync", kSyncThreads);
  }
}

PosixFileSystem::~PosixFileSystem() = default;

absl::StatusOr<std::unique_ptr<File>> PosixFileSystem::Open(const std::string& path,
                                                            OpenMode mode) {
  const int fd = OpenDescriptor(path, OpenFlags(mode));
  if (fd < 0) return PosixError("open", path, errno);
  auto file = std::make_unique<PosixFile>(fd, path);
  struct stat info;
  if (fstat(fd, &info) != 0) return PosixError("open", path, errno);
  // Opening a directory for reading succeeds, and no read of it ever would.
  if (S_ISDIR(info.st_mode)) return PosixError("open", path, EISDIR);
  return file;
}

void PosixFileSystem::WriteAndSync(absl::Span<FileWrite> writes) {
  // Into the page cache a plain call copies faster than another thread could be told to.
  const bool none_syncs =
      std::none_of(writes.begin(), writes.end(), [](const FileWrite& write) { return write.sync; });
  if (writes.size() <= 1 || none_syncs) {
    for (FileWrite& write : writes) WriteAndSyncHere(write);
    return;
  }
  if (sync_threads_ == nullptr) {
    if (rings_.Run(writes)) return;
    // Out of memory for one more ring: slower beats not at all.
    for (FileWrite& write : writes) WriteAndSyncHere(write);
    return;
  }
  std::latch done(static_cast<ptrdiff_t>(writes.size()));
  for (FileWrite& write : writes) {
    sync_threads_->Post([&write, &done] {
      WriteAndSyncHere(write);
      done.count_down();
    });
  }
  done.wait();
}

absl::Status PosixFileSystem::CreateDirectory(const std::string& path) {
  if (mkdir(path.c_str(), 0755) == 0) return absl::OkStatus();
  const int error = errno;
  struct stat info;
  if (error == EEXIST && stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) {
    return absl::OkStatus();
  }
  return PosixError("create directory", path, error);
}

absl::StatusOr<std::vector<DirectoryEntry>> PosixFileSystem::ListDirectory(
    const std::string& path) {
  struct Closer {
    void operator()(DIR* directory) const {
      closedir(directory);
      spares->Refill();
    }
    SpareDescriptors* spares;
  };
  const int fd = spares_.Open(path, O_RDONLY | O_DIRECTORY);
  if (fd < 0) return PosixError("list directory", path, errno);
  const std::unique_ptr<DIR, Closer> directory(fdopendir(fd), Closer{&spares_});
  if (directory == nullptr) {
    const int error = errno;
    close(fd);
    return PosixError("list directory", path, error);
  }
  std::vector<DirectoryEntry> entries;
  while (true) {
    errno = 0;
    const dirent* const entry = readdir(directory.get());
    if (entry == nullptr) {
      if (errno != 0) return PosixError("list directory", path, errno);
      break;
    }
    const std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    struct stat info;
    // A link counts as what it is, not as what it leads to: RemoveTree must not follow it.
    if (fstatat(dirfd(directory.get()), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
      if (errno == ENOENT) continue;  // Removed meanwhile.
      return PosixError("look at", JoinPath(path, name), errno);
    }
    const bool is_directory = S_ISDIR(info.st_mode);
    entries.push_back({.name = name,
                       .is_directory = is_directory,
                       .size_bytes = is_directory ? 0 : static_cast<uint64_t>(info.st_size)});
  }
  std::sort(entries.begin(), entries.end(),
            [](const DirectoryEntry& a, const DirectoryEntry& b) { return a.name < b.name; });
  return entries;
}

absl::StatusOr<bool> PosixFileSystem::Exists(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) == 0) return true;
  if (errno == ENOENT || errno == ENOTDIR) return false;
  return PosixError("look for", path, errno);
}

absl::Status PosixFileSystem::Rename(const std::string& from, const std::string& to) {
  if (rename(from.c_str(), to.c_str()) == 0) return absl::OkStatus();
  return PosixError(absl::StrCat("rename '", from, "' to"), to, errno);
}

absl::Status PosixFileSystem::RemoveFile(const std::string& path) {
  if (unlink(path.c_str()) == 0) return absl::OkStatus();
  return PosixError("remove", path, errno);
}

absl::Status PosixFileSystem::RemoveDirectory(const std::string& path) {
  if (rmdir(path.c_str()) == 0) return absl::OkStatus();
  return PosixError("remove directory", path, errno);
}

absl::Status PosixFileSystem::SyncDirectory(const std::string& path) {
  const int fd = spares_.Open(path, O_RDONLY | O_DIRECTORY);
  if (fd < 0) return CannotOpenToSync(path, errno);
  const int error = fsync(fd) == 0 ? 0 : errno;
  close(fd);
  spares_.Refill();
  return DirectorySynced(path, error);
}

absl::Status PosixFileSystem::SyncDirectories(absl::Span<const std::string> paths) {
  if (paths.size() <= 1 || sync_threads_ != nullptr) return FileSystem::SyncDirectories(paths);
  std::vector<int> descriptors;
  absl::Status status;
  bool together = true;
  for (const std::string& path : paths) {
    const int fd = OpenDescriptor(path, O_RDONLY | O_DIRECTORY);
    if (fd < 0) {
      together = false;
      if (!TooManyOpen(errno)) status = CannotOpenToSync(path, errno);
      break;
    }
    descriptors.push_back(fd);
  }
  std::vector<int> errors(descriptors.size());
  together = together && rings_.SyncAll(descriptors, absl::MakeSpan(errors));
  for (const int fd : descriptors) close(fd);
  RETURN_IF_ERROR(status);
  // Too few descriptors for all at once, or out of memory for one more ring: one after the other.
  if (!together) return FileSystem::SyncDirectories(paths);
  for (size_t i = 0; i < errors.size() && status.ok(); ++i) {
    status = DirectorySynced(paths[i], errors[i]);
  }
  return status;
}

absl::StatusOr<std::unique_ptr<FileLock>> PosixFileSystem::Lock(const std::string& path) {
  const int fd = OpenDescriptor(path, O_RDWR | O_CREAT);
  if (fd < 0) return PosixError("open lock file", path, errno);
  auto lock = std::make_unique<PosixLock>(fd);
  struct flock whole_file = {};
  whole_file.l_type = F_WRLCK;
  whole_file.l_whence = SEEK_SET;
  if (fcntl(fd, F_OFD_SETLK, &whole_file) == 0) return lock;
  if (errno != EAGAIN && errno != EACCES) return PosixError("lock", path, errno);
  return MakeError(ErrorCode::kDirectoryLocked,
                   absl::StrCat("'", path,
                                "' is locked: another process uses this directory; stop it, or "
                                "choose another directory"),
                   {.name = path});
}

absl::StatusOr<SpaceInfo> PosixFileSystem::Space(const std::string& path) {
  struct statvfs info;
  if (statvfs(path.c_str(), &info) != 0) return PosixError("ask for the space of", path, errno);
  return SpaceInfo{.free_bytes = uint64_t{info.f_bavail} * info.f_frsize,
                   .total_bytes = uint64_t{info.f_blocks} * info.f_frsize};
}

}  // namespace millrace
