// SnapshotTaker: decides when the state machine is written to a snapshot, and does it, one at a
// time, while the log goes on.
//
// The state is captured at once, at the index that was applied last, and encoded and written on the
// snapshot strand. A snapshot that could not be written costs only log: it is tried again after a
// while, though nothing more was committed, for by then the log may be full.
//
// Thread: owner's executor.
// Source: Raft thesis 5.1; metadata.log.max.record.bytes.between.snapshots and
// metadata.log.max.snapshot.interval.ms (KIP-630, KIP-876).
#ifndef RAFT_HOST_SNAPSHOT_TAKER_H_
#define RAFT_HOST_SNAPSHOT_TAKER_H_

#include <cstdint>
#include <functional>
#include <memory>

#include "absl/time/time.h"
#include "base/executor.h"
#include "base/ids.h"
#include "base/monotonic_time.h"
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
  // What was begun has ended: with a snapshot that is durable and verified, or without one, and
  // deadline() is another one.
  using Ended = std::function<void(const absl::StatusOr<SnapshotOffer>&)>;
  // From one that failed to the next.
  static constexpr absl::Duration kRetryAfter = absl::Seconds(10);

  // One is due whenever `after_bytes` were committed since the last, or when the first of them was
  // committed `interval` ago.
  SnapshotTaker(Dependencies dependencies, uint64_t after_bytes, absl::Duration interval,
                Ended ended);

  // The machine has applied `bytes` more.
  void OnApplied(uint64_t bytes, MonotonicTime now);
  // The machine's state is another one now, which is a snapshot already.
  void OnInstalled() { bytes_ = taken_bytes_ = 0; }
  bool due(MonotonicTime now) const { return now >= deadline(); }
  // When one is due, if nothing else is committed; Never() if none will be.
  MonotonicTime deadline() const;
  // Takes one of the machine's state, which `last` was the last to change. `voters`: in force then.
  void Take(const EntryId& last, const VoterSet& voters, MonotonicTime now);

 private:
  void OnWritten(const absl::StatusOr<SnapshotOffer>& written);

  const Dependencies dependencies_;
  const uint64_t after_bytes_;
  const absl::Duration interval_;
  const Ended ended_;
  uint64_t bytes_ = 0;
  // When the first of them was applied.
  MonotonicTime since_;
  bool taking_ = false;
  // Of bytes_ and since_, what the one that is being taken will hold.
  uint64_t taken_bytes_ = 0;
  MonotonicTime taken_since_;
  // None before; for one that failed.
  MonotonicTime retry_at_;
  std::shared_ptr<const bool> alive_ = std::make_shared<const bool>(true);
};

}  // namespace millrace::raft

#endif  // RAFT_HOST_SNAPSHOT_TAKER_H_
