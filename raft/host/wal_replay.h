// Replays WAL records, in order, into what they say: hard state, voters, entries.
//
// Checks what every correct log obeys (no gap between entries, terms that never fall, a hard state
// that never goes back), because a log that verifies byte for byte may still be the work of a bug.
//
// Thread: one owner.
#ifndef RAFT_HOST_WAL_REPLAY_H_
#define RAFT_HOST_WAL_REPLAY_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "raft/host/wal_format.h"
#include "raft/types.h"

namespace millrace::raft {

class WalReplay {
 public:
  // Payloads of entries up to `snapshot` are not kept.
  explicit WalReplay(EntryId snapshot) : snapshot_(snapshot) {}

  // `payload`s are copied. Errors: CORRUPT_LOG; UNSUPPORTED_FORMAT_VERSION for a record type of the
  // future.
  absl::Status Apply(const WalRecord& record);

  const HardState& hard_state() const { return hard_state_; }
  const VoterSet& voters() const { return voters_; }
  // The last entry, or what the log goes on after.
  EntryId last() const { return entries_.empty() ? base_ : entries_.back().id(); }
  // What the log that was read goes on after.
  EntryId base() const { return base_; }

  // Whether the log and the snapshot contradict: the log ends below it, or has another term there.
  bool ConflictsWithSnapshot() const;
  // The entries above the snapshot. Errors: CORRUPT_LOG if some between are missing.
  // REQUIRES: !ConflictsWithSnapshot().
  absl::StatusOr<std::vector<Entry>> TakeEntries();

 private:
  absl::Status ApplyStart(const WalRecord& record);
  absl::Status ApplyHardState(const WalRecord& record);
  absl::Status ApplyVoters(const WalRecord& record);
  absl::Status ApplyEntry(const WalRecord& record);
  absl::Status ApplyTruncate(const WalRecord& record);
  void CutBefore(LogIndex index);

  const EntryId snapshot_;
  bool started_ = false;
  HardState hard_state_;
  VoterSet voters_;
  EntryId base_;
  // entries_[i] has index base_.index + 1 + i.
  std::vector<Entry> entries_;
};

}  // namespace millrace::raft

#endif  // RAFT_HOST_WAL_REPLAY_H_
