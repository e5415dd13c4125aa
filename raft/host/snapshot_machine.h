// SnapshotMachine: the state machine as snapshots see it: bytes of its state, and back.
//
// Equal states must give equal bytes on every voter, so that a transfer begun by one leader goes on
// with the next (SnapshotId).
//
// Thread: said at each function.
// Source: Raft paper 7; thesis 5.1 (memory-based state machines: a consistent view is captured at
// once, and written while the machine goes on).
#ifndef RAFT_HOST_SNAPSHOT_MACHINE_H_
#define RAFT_HOST_SNAPSHOT_MACHINE_H_

#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "base/ids.h"

namespace millrace::raft {

class SnapshotMachine {
 public:
  virtual ~SnapshotMachine() = default;

  // Holds on to the committed state as it is now; what is returned encodes it, later, on any
  // thread. Thread: owner's executor.
  using Encode = absl::AnyInvocable<absl::StatusOr<std::string>() &&>;
  virtual Encode Capture() = 0;

  // Decodes `body`; what is returned puts the state in place, as the one at `index`, on the owner's
  // executor. Errors: CORRUPT_LOG, UNSUPPORTED_VERSION. Thread: the snapshot disk's.
  using Install = absl::AnyInvocable<void() &&>;
  virtual absl::StatusOr<Install> Decode(LogIndex index, std::string body) = 0;
};

}  // namespace millrace::raft

#endif  // RAFT_HOST_SNAPSHOT_MACHINE_H_
