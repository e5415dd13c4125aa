// SnapshotTaker: decides when the state machine is written to a snapshot, and does it, one at a
// time, while the log goes on.
//
// The state is captured at once, at the index that was applied last, and encoded and written on the
// snapshot strand. A snapshot that could not be written costs only log: the next one is tried when
// as much was committed again.
//
// Thread: owner's executor.
// Source: Raft thesis 5.1; metadata.log.max.record.bytes.between.snapshots (KIP-630).
#ifndef RAFT_HOST_SNAPSHOT_TAKER_H_
#define RAFT_HOST_SNAPSHOT_TAKER_H_

#include <cstdint>
#include <functional>
#include <memory>

#include "base/executor.h"
#include "base/ids.h"
#include "raft/host/snapshot_machine.h"
#include "raft/host/snapshot_store.h"
#include "raft/messages.h"
#include "raft/types.h"

namespace millrace::raft {

class SnapshotTaker {
 public:
  struct Dependencies {
    Executor* owner = nullptr;
    Executor* snapshot_disk = nullptr;
    // Null: none are taken.
    std::shared_ptr<SnapshotStore> snapshots;
    SnapshotMachine* machine = nullptr;
  };
  // A snapshot is durable and verified.
  using Taken = std::function<void(const SnapshotOffer&)>;

  // One is due whenever `after_bytes` were committed since the last.
  SnapshotTaker(Dependencies dependencies, uint64_t after_bytes, Taken taken);

  // The machine has applied `bytes` more.
  void OnApplied(uint64_t bytes) { bytes_ += bytes; }
  // The machine's state is another one now, which is a snapshot already.
  void OnInstalled() { bytes_ = 0; }
  bool due() const {
    return dependencies_.snapshots != nullptr && !taking_ && bytes_ >= after_bytes_;
  }
  // Takes one of the machine's state, which `last` was the last to change. `voters`: in force then.
  void Take(const EntryId& last, const VoterSet& voters);

 private:
  void OnWritten(const absl::StatusOr<SnapshotOffer>& written);

  const Dependencies dependencies_;
  const uint64_t after_bytes_;
  const Taken taken_;
  uint64_t bytes_ = 0;
  bool taking_ = false;
  std::shared_ptr<const bool> alive_ = std::make_shared<const bool>(true);
};

}  // namespace millrace::raft

#endif  // RAFT_HOST_SNAPSHOT_TAKER_H_
