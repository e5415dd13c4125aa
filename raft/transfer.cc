#include "raft/transfer.h"

namespace millrace::raft {

void Transfer::Begin(const VoterId& target, MonotonicTime deadline) {
  target_ = target;
  deadline_ = deadline;
  told_ = false;
}

void Transfer::Tick(MonotonicTime now) {
  if (active() && now >= deadline_) Abort();
}

bool Transfer::TakeTimeoutNow(LogIndex target_match, LogIndex last) {
  if (!active() || told_ || target_match < last) return false;
  told_ = true;
  return true;
}

}  // namespace millrace::raft
