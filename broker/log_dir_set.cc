#include "broker/log_dir_set.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace millrace::broker {

bool IsDiskError(const absl::Status& status) {
  switch (CodeOf(status)) {
    case ErrorCode::kDirectoryUnavailable:
    case ErrorCode::kStorageError:
    case ErrorCode::kStorageFull:
      return true;
    default:
      return false;
  }
}

LogDirSet::LogDirSet(std::vector<std::string> paths, const storage::LogDirOptions& options,
                     const Deps& deps)
    : deps_(deps), options_(options), self_(std::make_shared<LogDirSet*>(this)) {
  for (std::string& path : paths) {
    LogDirSlot& slot = slots_.emplace_back();
    slot.disk = deps_.make_disk_executor(absl::StrCat("disk:", path));
    slot.cold_reads = deps_.cold_reads_of(path);
    slot.path = std::move(path);
    slot.status = MakeError(ErrorCode::kDirectoryUnavailable, "not opened yet");
  }
}

LogDirSet::~LogDirSet() { *self_ = nullptr; }

void LogDirSet::Open(OpenDone done) {
  // One count for each directory; the last to come back answers.
  auto left = std::make_shared<size_t>(slots_.size());
  auto answer = std::make_shared<OpenDone>(std::move(done));
  for (size_t i = 0; i < slots_.size(); ++i) {
    storage::LogDirOptions options = options_;
    options.path = slots_[i].path;
    storage::LogDirDeps deps = deps_.storage;
    deps.disk = slots_[i].disk.get();
    slots_[i].disk->Post([self = self_, home = deps_.home, options, deps, i, left, answer] {
      absl::StatusOr<std::unique_ptr<storage::LogDir>> opened =
          storage::LogDir::Open(options, deps);
      home->Post([self, i, left, answer, opened = std::move(opened)]() mutable {
        LogDirSet* const set = *self;
        if (set == nullptr) return;
        LogDirSlot& slot = set->slots_[i];
        slot.status = opened.status();
        ++set->opened_;
        if (opened.ok()) {
          slot.dir = *std::move(opened);
          slot.dir->OnFailure(set->deps_.home, [self, i](absl::Status status) {
            if (*self != nullptr) (*self)->Failed(i, status);
          });
        }
        if (--*left == 0) std::move (*answer)(set->Opened());
      });
    });
  }
}

absl::StatusOr<std::vector<OpenedLogDir>> LogDirSet::Opened() const {
  std::vector<OpenedLogDir> opened;
  bool any = false;
  for (const LogDirSlot& slot : slots_) {
    if (!slot.status.ok() && !IsDiskError(slot.status)) return Annotate(slot.status, slot.path);
    any |= slot.usable();
    opened.push_back({slot.path, slot.status,
                      slot.dir == nullptr ? storage::LogDirState() : slot.dir->opened()});
  }
  if (!any) return Annotate(slots_.front().status, slots_.front().path);
  return opened;
}

void LogDirSet::Failed(size_t index, const absl::Status& status) {
  LogDirSlot& slot = slots_[index];
  if (!slot.status.ok()) return;
  slot.status = status;
  if (on_failed_) on_failed_(slot.id(), status);
}

void LogDirSet::ForEachUsable(absl::AnyInvocable<void(LogDirSlot&, Done)> step,
                              absl::AnyInvocable<void(int failed, absl::Status first) &&> done) {
  struct Counting {
    int left = 1;
    int failed = 0;
    absl::Status first;
    absl::AnyInvocable<void(int, absl::Status) &&> done;
  };
  auto counting = std::make_shared<Counting>();
  counting->done = std::move(done);
  const auto one = [counting](const absl::Status& status) {
    if (!status.ok()) {
      if (counting->failed++ == 0) counting->first = status;
    }
    if (--counting->left == 0) std::move(counting->done)(counting->failed, counting->first);
  };
  for (size_t i = 0; i < slots_.size(); ++i) {
    if (!slots_[i].usable()) continue;
    ++counting->left;
    step(slots_[i], [self = self_, i, one](absl::Status status) {
      if (*self != nullptr && !status.ok()) (*self)->Failed(i, status);
      one(status);
    });
  }
  one(absl::OkStatus());
}

void LogDirSet::BeginEpoch(BrokerEpoch epoch, Done done) {
  Executor* const home = deps_.home;
  ForEachUsable(
      [home, epoch](LogDirSlot& slot, Done one) {
        storage::LogDir* const dir = slot.dir.get();
        dir->BeginEpoch(epoch, home,
                        [home, epoch, dir, one = std::move(one)](absl::Status status) mutable {
                          if (!status.ok()) return std::move(one)(status);
                          dir->RegistrationCommitted(epoch, home, std::move(one));
                        });
      },
      [self = self_, done = std::move(done)](int, const absl::Status& first) mutable {
        if (*self == nullptr) return;
        for (const LogDirSlot& slot : (*self)->slots_) {
          if (slot.usable()) return std::move(done)(absl::OkStatus());
        }
        std::move(done)(first);
      });
}

void LogDirSet::Close(Done done) {
  ForEachUsable(
      [home = deps_.home](LogDirSlot& slot, Done one) { slot.dir->Close(home, std::move(one)); },
      [done = std::move(done)](int, absl::Status first) mutable {
        std::move(done)(std::move(first));
      });
}

int LogDirSet::IndexOf(DirectoryId id) const {
  for (size_t i = 0; i < slots_.size(); ++i) {
    if (slots_[i].dir != nullptr && slots_[i].id() == id) return static_cast<int>(i);
  }
  return -1;
}

}  // namespace millrace::broker
