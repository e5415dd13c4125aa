// What a LogWriter does when the disk has no room for what comes next.
//
// A staged offset is never withdrawn (S-01), and that there is no room says nothing against the
// disk: unlike a failed sync, the write can be done again, whole, in the same place. So what was
// staged stays in its order and is tried again until there is room; meanwhile nothing more is
// staged, and what frees room goes ahead. Nothing of it was acknowledged, and a crash in between
// leaves a torn tail as any other.

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "base/status.h"
#include "storage/log_writer.h"

namespace millrace::storage {
namespace {

constexpr absl::Duration kTryAgainDelay = absl::Milliseconds(200);

}  // namespace

void LogWriter::OnError(const absl::Status& status) {
  absl::Status left = status;
  if (CodeOf(left) == ErrorCode::kStorageFull) {
    if (!waits_for_room_) {
      LOG_WARN("storage", "log directory has no room",
               {{"directory", options_.directory}, {"error", status.message()}});
    }
    waits_for_room_ = true;
    left = WaitForRoom();
  }
  // One that stops does not wait: the next start finds what is there.
  if (CodeOf(left) == ErrorCode::kStorageFull) left = status;
  if (!left.ok()) Fail(left);
}

absl::Status LogWriter::WaitForRoom() {
  const bool stops = std::any_of(queue_.begin(), queue_.end(), [](const Queued& queued) {
    return queued.op.kind == LogOp::Kind::kClose;
  });
  if (stops) {
    return MakeError(ErrorCode::kStorageFull,
                     "the log directory is full, and stops with records that were not written",
                     {.name = options_.directory});
  }
  DropAppends();
  RETURN_IF_ERROR(CheckSpace());
  if (const absl::Status status = GoAhead(); CodeOf(status) != ErrorCode::kStorageFull) {
    RETURN_IF_ERROR(status);
  }
  SendReports();
  if (try_again_posted_) return absl::OkStatus();
  try_again_posted_ = true;
  After(kTryAgainDelay, [](LogWriter& self) {
    self.try_again_posted_ = false;
    return self.TryAgain();
  });
  return absl::OkStatus();
}

absl::Status LogWriter::TryAgain() {
  if (!waits_for_room_) return absl::OkStatus();
  DropAppends();
  RETURN_IF_ERROR(RunQueue());
  RETURN_IF_ERROR(syncs_->Flush());
  waits_for_room_ = false;
  RETURN_IF_ERROR(CheckSpace());
  // Up to the reserve: NoteReserve tells when there is more.
  if (!reserve_reached_) {
    LOG_INFO("storage", "log directory has room again",
             {{"directory", options_.directory},
              {"free_bytes", flags_->free_bytes.load(std::memory_order_relaxed)}});
  }
  ScheduleIdleClose();
  return absl::OkStatus();
}

absl::Status LogWriter::GoAhead() {
  for (size_t i = 0; i < queue_.size();) {
    if (!MayGoAhead(i)) {
      ++i;
      continue;
    }
    LogOp& op = queue_[i].op;
    LogOp sealed = TakeSealed(op);
    RETURN_IF_ERROR(Perform(sealed));
    if (op.segments.empty()) {
      queue_.erase(queue_.begin() + static_cast<std::ptrdiff_t>(i));
    } else {
      ++i;
    }
  }
  RETURN_IF_ERROR(partitions_->Flush());
  FinishWaiting();
  return absl::OkStatus();
}

bool LogWriter::MayGoAhead(size_t position) const {
  const LogOp& op = queue_[position].op;
  const DiskLog& log = *op.log;
  // Of a log as its files are now: there is a log end behind it.
  if (op.kind != LogOp::Kind::kLogStart || log.gone || op.to > log.end) return false;
  // Else it did before, and waits for its active segment to be sealed.
  if (!op.done && !op.segments.empty() && !log.IsSealed(*op.segments.front())) return false;
  // These leave that as it is.
  return std::all_of(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(position),
                     [&](const Queued& before) {
                       return before.op.log != op.log || before.op.kind == LogOp::Kind::kAppend ||
                              before.op.kind == LogOp::Kind::kRoll ||
                              before.op.kind == LogOp::Kind::kCheckpoint;
                     });
}

LogOp LogWriter::TakeSealed(LogOp& op) {
  LogOp sealed;
  sealed.kind = op.kind;
  sealed.log = op.log;
  sealed.to = op.to;
  sealed.delete_delay_ms = op.delete_delay_ms;
  sealed.done = std::exchange(op.done, nullptr);
  const auto rest = std::find_if(op.segments.begin(), op.segments.end(),
                                 [&](const auto& segment) { return !op.log->IsSealed(*segment); });
  sealed.segments.assign(op.segments.begin(), rest);
  op.segments.erase(op.segments.begin(), rest);
  return sealed;
}

void LogWriter::DropAppends() {
  std::erase_if(appends_, [](const Append& a) { return a.written || a.log->gone; });
  append_of_.clear();
  for (size_t i = 0; i < appends_.size(); ++i) append_of_[appends_[i].log->number()] = i;
}

}  // namespace millrace::storage
