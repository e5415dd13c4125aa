// SimDisk: what a Raft host keeps on its disk, as values.
//
// Readys become durable in order and whole, as groups of the WAL do; a crash loses those that were
// under way from some point on. The state machine is a hash of everything applied, and a snapshot
// of it a short file.
//
// Thread: one.
#ifndef RAFT_TESTING_SIM_DISK_H_
#define RAFT_TESTING_SIM_DISK_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "raft/node.h"
#include "raft/ready.h"

namespace millrace::raft::testing {

// The state machine of a simulated server.
struct SimMachine {
  LogIndex applied;
  uint64_t hash = 0;

  void Apply(const Entry& entry);
  // The file of a snapshot, and back.
  std::string Save() const;
  static SimMachine Load(const std::string& file);
};

uint32_t ChecksumOf(const std::string& file);

struct SimDisk {
  HardState hard_state;
  VoterSet founders;
  std::vector<Entry> entries;
  // The newest two; the last is the newest.
  std::vector<std::pair<SnapshotOffer, std::string>> snapshots;
  // Being received.
  std::optional<SnapshotId> receiving;
  std::string received;

  // `ready` is durable now.
  void Apply(const Ready& ready);
  void AddSnapshot(const SnapshotOffer& offer, std::string file);
  const std::string* FindSnapshot(const SnapshotId& id) const;

  // The end of the log, or of the snapshot below it.
  EntryId last() const;
  // Whether it holds this entry, or a snapshot that goes further.
  bool Holds(const EntryId& id) const;
  InitialState Load() const;
  SimMachine LoadMachine() const;
};

}  // namespace millrace::raft::testing

#endif  // RAFT_TESTING_SIM_DISK_H_
