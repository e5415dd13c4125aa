// Transfer: a leader hands over to a chosen voter.
//
// While it runs the leader takes no proposals, so that the target can catch up; when the target has
// the whole log it is told to stand for election at once, and wins with the longest log there is.
// If it has not won after an election timeout, the leader goes on as before.
//
// Thread: owner's executor.
// Source: Raft thesis 3.10.
#ifndef RAFT_TRANSFER_H_
#define RAFT_TRANSFER_H_

#include <optional>

#include "base/ids.h"
#include "base/monotonic_time.h"
#include "raft/types.h"

namespace millrace::raft {

class Transfer {
 public:
  void Begin(const VoterId& target, MonotonicTime deadline);
  // Gives up if the deadline has passed.
  void Tick(MonotonicTime now);
  void Abort() { target_.reset(); }

  bool active() const { return target_.has_value(); }
  const std::optional<VoterId>& target() const { return target_; }
  MonotonicTime deadline() const { return active() ? deadline_ : MonotonicTime::Never(); }

  // True once, when `target_match` reaches the end of the leader's log: now it may stand. Again
  // after OnHeartbeatDue, since the message may be lost.
  bool TakeTimeoutNow(LogIndex target_match, LogIndex last);
  void OnHeartbeatDue() { told_ = false; }

 private:
  std::optional<VoterId> target_;
  MonotonicTime deadline_;
  bool told_ = false;
};

}  // namespace millrace::raft

#endif  // RAFT_TRANSFER_H_
