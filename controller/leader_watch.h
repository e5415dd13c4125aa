// LeaderWatch: who leads the quorum of controllers, as far as this node knows, and who wants to
// hear when that changes. It tells; it does not decide: that is Raft's.
//
// The controller's host sets it: to this node only once decisions may be asked for here
// (rsm::HostListener::OnBecameLeader), to another when Raft has heard from it, and to nobody when
// an election begins.
//
// Thread: the controller executor.
#ifndef CONTROLLER_LEADER_WATCH_H_
#define CONTROLLER_LEADER_WATCH_H_

#include <functional>
#include <vector>

#include "base/status.h"

namespace millrace::controller {

class LeaderWatch {
 public:
  using Listener = std::function<void(const LeaderHint& leader)>;

  // `leader` is kNoNode if none is known; its epoch is the term, its address that of its controller
  // listener. Listeners are called, in the order in which they came, unless nothing has changed.
  void Set(const LeaderHint& leader);

  // Calls `listener` now and at each change, as long as this lives.
  void Subscribe(Listener listener);

  const LeaderHint& leader() const { return leader_; }

 private:
  LeaderHint leader_;
  std::vector<Listener> listeners_;
};

}  // namespace millrace::controller

#endif  // CONTROLLER_LEADER_WATCH_H_
