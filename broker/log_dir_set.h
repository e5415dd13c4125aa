// LogDirSet: the log directories of this broker, each with a disk executor and a pool for cold
// reads of its own: opened and recovered side by side, and failing, or hanging, one by one.
//
// Not here: which replica is in which directory (reconciler.h), and what is in one (storage/).
//
// Thread: `home`, where all callbacks run.
#ifndef BROKER_LOG_DIR_SET_H_
#define BROKER_LOG_DIR_SET_H_

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/executor.h"
#include "base/ids.h"
#include "storage/log_dir.h"

namespace millrace::broker {

// An error of the disk takes its directory offline; everything else says that the directory, or the
// data in it, is not what it should be, and then nobody may go on as if it were not there.
bool IsDiskError(const absl::Status& status);

// A directory as it was found, or why it could not be opened.
struct OpenedLogDir {
  std::string path;
  // OK, or DIRECTORY_UNAVAILABLE, STORAGE_ERROR or STORAGE_FULL: then this directory is offline.
  absl::Status status;
  storage::LogDirState state;
};

// One directory. `dir` is null if it could not be opened.
struct LogDirSlot {
  std::string path;
  std::unique_ptr<Executor> disk;
  Executor* cold_reads = nullptr;
  std::unique_ptr<storage::LogDir> dir;
  // Not OK: offline.
  absl::Status status;

  bool usable() const { return dir != nullptr && status.ok(); }
  DirectoryId id() const { return dir == nullptr ? DirectoryId() : dir->directory_id(); }
};

class LogDirSet {
 public:
  struct Deps {
    // `disk` is filled in per directory.
    storage::LogDirDeps storage;
    Executor* home = nullptr;
    std::function<std::unique_ptr<Executor>(const std::string& name)> make_disk_executor;
    // Outlive this.
    std::function<Executor*(const std::string& log_dir)> cold_reads_of;
  };
  using Done = absl::AnyInvocable<void(absl::Status) &&>;
  using OpenDone = absl::AnyInvocable<void(absl::StatusOr<std::vector<OpenedLogDir>>) &&>;
  using OnFailed = std::function<void(DirectoryId, const absl::Status&)>;

  // `options.path` is replaced by each of `paths`.
  LogDirSet(std::vector<std::string> paths, const storage::LogDirOptions& options,
            const Deps& deps);
  ~LogDirSet();

  // Called when an open directory fails. Set before Open.
  void SetOnFailed(OnFailed on_failed) { on_failed_ = std::move(on_failed); }

  // Opens all. Errors: the first one that says a directory is not ours to use; or that of the first
  // if none could be opened.
  void Open(OpenDone done);
  // Makes the registration durable in all usable directories; one where that fails is offline.
  // Fails only if all do.
  void BeginEpoch(BrokerEpoch epoch, Done done);
  // Clean-shutdown files. REQUIRES: all Logs are gone. Fails if any usable directory does.
  void Close(Done done);

  const std::vector<LogDirSlot>& slots() const { return slots_; }
  // -1: not here.
  int IndexOf(DirectoryId id) const;
  // Thread: any.
  int opened_count() const { return opened_.load(std::memory_order_relaxed); }

 private:
  // Runs `step` for every usable directory; `done` is told how many failed, and how the first did.
  void ForEachUsable(absl::AnyInvocable<void(LogDirSlot&, Done)> step,
                     absl::AnyInvocable<void(int failed, absl::Status first) &&> done);
  absl::StatusOr<std::vector<OpenedLogDir>> Opened() const;
  void Failed(size_t index, const absl::Status& status);

  const Deps deps_;
  const storage::LogDirOptions options_;
  std::vector<LogDirSlot> slots_;
  std::atomic<int> opened_{0};
  OnFailed on_failed_;
  // Callbacks that outlive this find it gone.
  const std::shared_ptr<LogDirSet*> self_;
};

}  // namespace millrace::broker

#endif  // BROKER_LOG_DIR_SET_H_
