// FoundingChannel: how a node that founds its cluster asks another one for its state: the seam of
// the founding to the network.
//
// Implemented over gRPC by raft/service, and by simulators.
//
// Thread: owner's executor, for the call and its callback.
// Source: S-18.
#ifndef RAFT_HOST_FOUNDING_CHANNEL_H_
#define RAFT_HOST_FOUNDING_CHANNEL_H_

#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "raft/host/founding_state.h"

namespace millrace::raft {

// The name that an error of an exchange is about when whoever answers there is not to be trusted.
inline constexpr char kUntrustedPeer[] = "certificate";

class FoundingChannel {
 public:
  using Callback = absl::AnyInvocable<void(absl::StatusOr<FoundingState>) &&>;

  virtual ~FoundingChannel() = default;

  // Tells the node at `address` ("host:port") what this one is, and hears what that one is. The
  // answer is given after the question arrived, never from a cache: founding rests on it.
  // `callback` runs at most once, later, and need not run if no answer comes: who asks does not
  // wait for ever.
  virtual void Exchange(std::string address, FoundingState mine, Callback callback) = 0;
};

}  // namespace millrace::raft

#endif  // RAFT_HOST_FOUNDING_CHANNEL_H_
