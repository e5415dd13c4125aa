// Reads one WAL segment's bytes: the groups that verify, and what is to be thought of the rest.
//
// Damage that is followed by a group of the same segment is corruption, because a group is written
// only after all before it are durable; otherwise the rest is a torn tail (or was never written).
// What the next segment says about this one's end is wal_recovery.h's business.
//
// Thread: any (pure functions).
// Source: S-09.
#ifndef RAFT_HOST_WAL_SCAN_H_
#define RAFT_HOST_WAL_SCAN_H_

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "raft/host/wal_format.h"

namespace millrace::raft {

struct WalGroup {
  // In the segment.
  uint64_t offset = 0;
  WalGroupHeader header;
  // Borrow from the scanned bytes.
  std::vector<WalRecord> records;
  // The chain's value at its end.
  uint32_t chain = 0;
};

enum class WalTail {
  // Zeros to the end of the file: nothing was ever written after the last group.
  kClean,
  // No header there, but not all zeros: the header was torn, or these are a recycled file's bytes.
  kUnknown,
  // A header of this segment, without the records it announces.
  kTorn,
  // Later groups of this segment verify: what was durable is damaged.
  kDamaged,
};

struct WalScan {
  // In order, each following the one before, from offset 0. Empty if the segment was not started.
  std::vector<WalGroup> groups;
  // Where the next group would begin.
  uint64_t tail_offset = 0;
  WalTail tail = WalTail::kClean;
  // Says what is wrong at tail_offset; for people.
  std::string reason;
  // Groups that verify behind the damage, by themselves; for people and repair only.
  std::vector<WalGroup> beyond_damage;
};

WalScan ScanWalSegment(Slice bytes, uint64_t generation);

}  // namespace millrace::raft

#endif  // RAFT_HOST_WAL_SCAN_H_
