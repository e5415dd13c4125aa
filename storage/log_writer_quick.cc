// Of LogWriter: what an owner's thread writes by itself.
//
// A small append to the page cache is a copy of a few microseconds. To hand it to the disk's thread
// and to hear of it costs two wake-ups, of which each takes longer, and on a follower both lie in
// the way of the acknowledgement (docs/decisions/0017).
#include "absl/time/time.h"
#include "storage/log_writer.h"

namespace millrace::storage {
namespace {

// What one wake-up of an owner may write by itself, a copy of a few microseconds; and what follows
// if that took longer than it should.
constexpr size_t kQuickBytesMax = 32 << 10;
constexpr absl::Duration kQuickTimeMax = absl::Milliseconds(1);
constexpr absl::Duration kNoQuickTime = absl::Seconds(1);

}  // namespace

bool LogWriter::AcceptIfQuick(const std::shared_ptr<StagingPort>& port, std::vector<LogOp>* ops) {
  const MonotonicTime begin = clock_->Now();
  if (begin < no_quick_until_ || !IsQuick(*ops)) return false;
  Enqueue(port, ops);
  RunRound();
  // The kernel makes writers wait when too much is dirty: not the owner again, then.
  if (const MonotonicTime end = clock_->Now(); end - begin > kQuickTimeMax) {
    no_quick_until_ = end + kNoQuickTime;
  }
  return true;
}

bool LogWriter::IsQuick(const std::vector<LogOp>& ops) const {
  const bool idle = status_.ok() && !waits_for_room_ && !round_posted_ && queue_.empty() &&
                    after_round_.empty() && waiting_.empty() && deletions_.empty() &&
                    !partitions_->has_pending() && !syncs_->has_pending();
  if (!idle) return false;
  size_t bytes = 0;
  for (const LogOp& op : ops) {
    const bool goes_to_open_file = op.kind == LogOp::Kind::kAppend && !op.sync && !op.log->gone &&
                                   op.log->log_file != nullptr &&
                                   op.log->active_base == op.segment_base;
    if (!goes_to_open_file) return false;
    bytes += op.batches.size();
  }
  return bytes <= kQuickBytesMax;
}

}  // namespace millrace::storage
