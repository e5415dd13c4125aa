// EpochCache: which leader epoch each part of a log was written in, as (epoch, start offset) pairs.
//
// It answers the divergence question of KIP-101/279 (where does epoch E end here?) and vouches for
// the leader epoch field of a batch, which no checksum covers (S-24). It is derived from the
// batches: its checkpoint file (epoch_checkpoint.h) is a hint that saves reading them (S-13).
// Invariant: epochs and start offsets both rise strictly.
//
// Owned by a Log. Thread: its owner (a value otherwise).
#ifndef STORAGE_EPOCH_CACHE_H_
#define STORAGE_EPOCH_CACHE_H_

#include <ostream>
#include <vector>

#include "absl/status/statusor.h"
#include "base/ids.h"

namespace millrace::storage {

// Batches from `start_offset` on, up to the next entry's, carry `epoch`.
struct EpochEntry {
  LeaderEpoch epoch;
  Offset start_offset;

  friend bool operator==(const EpochEntry&, const EpochEntry&) = default;
  friend std::ostream& operator<<(std::ostream& out, const EpochEntry& e) {
    return out << e.epoch << "@" << e.start_offset;
  }
};

// Where an epoch ends: the first offset that does not belong to it or to an earlier one.
struct EpochEnd {
  LeaderEpoch epoch = kNoLeaderEpoch;
  Offset end_offset = kNoOffset;

  friend bool operator==(const EpochEnd&, const EpochEnd&) = default;
  friend std::ostream& operator<<(std::ostream& out, const EpochEnd& e) {
    return out << e.epoch << "<" << e.end_offset;
  }
};

class EpochCache {
 public:
  EpochCache() = default;

  // Notes that a batch of `epoch` begins at `offset`. Returns whether the cache changed.
  // Errors: CORRUPT_LOG if the epoch falls along the log (S-13).
  absl::StatusOr<bool> Assign(LeaderEpoch epoch, Offset offset);

  // Of the last batch; kNoLeaderEpoch if the log is empty.
  LeaderEpoch latest() const { return entries_.empty() ? kNoLeaderEpoch : entries_.back().epoch; }

  // KIP-279: the largest epoch <= `asked` and where it ends; `log_end` is the end of the last.
  // {kNoLeaderEpoch, kNoOffset} if every epoch known is greater.
  EpochEnd EndOf(LeaderEpoch asked, Offset log_end) const;

  // The epoch that a batch at `offset` must carry; kNoLeaderEpoch if before the first entry.
  LeaderEpoch EpochAt(Offset offset) const;

  // Entries that overlap [from, to), for a reader that checks batches on another thread.
  std::vector<EpochEntry> Covering(Offset from, Offset to) const;

  // Forgets what begins at or after `end`: the log was cut there.
  void TruncateFromEnd(Offset end);
  // Forgets what ends at or before `start`; the entry that covers it then begins there.
  void TruncateFromStart(Offset start);
  void Clear() { entries_.clear(); }

  const std::vector<EpochEntry>& entries() const { return entries_; }

  friend bool operator==(const EpochCache&, const EpochCache&) = default;

 private:
  std::vector<EpochEntry> entries_;
};

}  // namespace millrace::storage

#endif  // STORAGE_EPOCH_CACHE_H_
