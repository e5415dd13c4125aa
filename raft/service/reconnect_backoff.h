// ReconnectBackoff: how long a voter waits before it tries again to reach a peer.
//
// The first attempt after a break is made at once: the peer may have a connection reset behind it
// and nothing worse. From then on 50 ms, doubling to 500 ms, with jitter, so that voters which lost
// each other at one moment do not come back at one.
//
// Thread: owner's.
// Source: S-31 (first reconnect without back-off).
#ifndef RAFT_SERVICE_RECONNECT_BACKOFF_H_
#define RAFT_SERVICE_RECONNECT_BACKOFF_H_

#include "absl/time/time.h"
#include "base/random.h"

namespace millrace::raft {

class ReconnectBackoff {
 public:
  // `random` outlives this.
  explicit ReconnectBackoff(Random* random) : random_(random) {}

  // The peer has shown that it lives.
  void Reset() { failures_ = 0; }

  // How long to wait, after one failure more.
  absl::Duration Next();

 private:
  Random* const random_;
  // Since the last Reset; stops counting where the wait stops growing.
  int failures_ = 0;
};

}  // namespace millrace::raft

#endif  // RAFT_SERVICE_RECONNECT_BACKOFF_H_
