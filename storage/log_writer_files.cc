// The files that a LogWriter has open: made for logs that begin, opened when they are written to,
// closed when they are idle.
//
// There may be no room among the files that this process may have open. As far as it is taken by
// logs of this directory, it is made by closing those that nothing is written to now; thousands of
// logs that begin at once are written, so many at a time as may be open.

#include <algorithm>
#include <set>
#include <utility>

#include "base/status.h"
#include "storage/log_writer.h"

namespace millrace::storage {
namespace {

// Each is open once more while it is made.
constexpr size_t kCreatedTogetherMax = 256;
// Each costs a sync.
constexpr int kUnsyncedClosedMax = 64;

}  // namespace

absl::Status LogWriter::CreateFiles(const std::vector<Queued>& queue) {
  std::set<const DiskLog*> seen;
  std::vector<DiskLog::NewLog> logs;
  for (const Queued& queued : queue) {
    const LogOp& op = queued.op;
    // Where something else comes first, the files are made in its turn.
    if (op.log->exists || op.log->gone || !seen.insert(op.log.get()).second) continue;
    if (op.kind == LogOp::Kind::kAppend) logs.push_back({op.log.get(), op.segment_base});
  }
  size_t together = kCreatedTogetherMax;
  for (absl::Span<const DiskLog::NewLog> rest = logs; !rest.empty();) {
    const auto some = rest.subspan(0, together);
    const absl::Status created = DiskLog::CreateTogether(some);
    if (CodeOf(created) != ErrorCode::kStorageFull) {
      RETURN_IF_ERROR(created);
      rest.remove_prefix(some.size());
      continue;
    }
    // Perhaps among the files that may be open: then fewer can be made, one after the other.
    ASSIGN_OR_RETURN(const bool closed, CloseOthers());
    if (closed) continue;
    if (some.size() == 1) return created;
    together = some.size() / 2;
  }
  return absl::OkStatus();
}

absl::Status LogWriter::OpenActive(DiskLog& log, Offset base) {
  bool created = false;
  const absl::Status opened = log.OpenActive(base, &created);
  if (CodeOf(opened) != ErrorCode::kStorageFull) return opened;
  ASSIGN_OR_RETURN(const bool closed, CloseOthers());
  return closed ? log.OpenActive(base, &created) : opened;
}

absl::StatusOr<bool> LogWriter::CloseOthers() {
  bool any = false;
  for (const auto& [number, log] : logs_) {
    if (log->log_file == nullptr || log->unsynced || append_of_.contains(number)) continue;
    RETURN_IF_ERROR(CloseFiles(*log));
    any = true;
  }
  if (any) return true;
  int count = 0;
  for (const auto& [number, log] : logs_) {
    if (log->log_file == nullptr || append_of_.contains(number)) continue;
    RETURN_IF_ERROR(CloseFiles(*log));
    if (++count == kUnsyncedClosedMax) break;
  }
  return count > 0;
}

absl::Status LogWriter::CloseFiles(DiskLog& log) {
  const bool was_unsynced = log.unsynced;
  RETURN_IF_ERROR(log.CloseFiles());
  if (!was_unsynced) return absl::OkStatus();
  Vouch(log);
  ReportProgress(log, std::nullopt, absl::OkStatus());
  return absl::OkStatus();
}

void LogWriter::ScheduleIdleClose() {
  // Not all logs are looked at in every round of an idle directory.
  if (idle_close_posted_ || !files_open_) return;
  const bool any = std::any_of(logs_.begin(), logs_.end(),
                               [](const auto& log) { return log.second->log_file != nullptr; });
  files_open_ = any;
  if (!any) return;
  idle_close_posted_ = true;
  After(options_.idle_close_delay, [](LogWriter& self) {
    self.idle_close_posted_ = false;
    return self.CloseIdle();
  });
}

absl::Status LogWriter::CloseIdle() {
  const MonotonicTime before = clock_->Now() - options_.idle_close_delay;
  for (const auto& [number, log] : logs_) {
    if (log->log_file == nullptr || log->last_append > before) continue;
    RETURN_IF_ERROR(CloseFiles(*log));
  }
  SendReports();
  ScheduleSeal();
  ScheduleIdleClose();
  return absl::OkStatus();
}

}  // namespace millrace::storage
