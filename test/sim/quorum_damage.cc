#include "test/sim/quorum_damage.h"

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/file_system.h"
#include "raft/host/snapshot_format.h"
#include "raft/host/wal_format.h"
#include "raft/host/wal_scan.h"
#include "test/sim/quorum_server.h"

namespace millrace::sim {

bool DamageNewestSnapshot(SimFileSystem& disk, LogIndex installed, SimRandom& random) {
  const auto entries = disk.ListDirectory(kQuorumSnapshots);
  if (!entries.ok()) return false;
  // Names sort as their last entries do.
  std::map<std::string, uint64_t> sizes;
  for (const DirectoryEntry& entry : *entries) {
    const auto last = raft::ParseSnapshotFileName(entry.name);
    if (last.has_value() && last->index >= installed) sizes[entry.name] = entry.size_bytes;
  }
  if (sizes.size() < 2 || sizes.rbegin()->second == 0) return false;
  const auto& [name, bytes] = *sizes.rbegin();
  disk.FlipBit(JoinPath(kQuorumSnapshots, name), random.Below(bytes * 8));
  return true;
}

bool DamageSealedGroup(SimFileSystem& disk, SimRandom& random) {
  const auto entries = disk.ListDirectory(kQuorumWal);
  if (!entries.ok()) return false;
  std::map<uint64_t, std::string> segments;
  for (const DirectoryEntry& entry : *entries) {
    const auto generation = raft::ParseWalSegmentName(entry.name);
    if (generation.has_value()) segments[*generation] = JoinPath(kQuorumWal, entry.name);
  }
  if (segments.empty()) return false;
  const auto& [generation, path] = *segments.rbegin();
  auto file = disk.Open(path, OpenMode::kRead);
  if (!file.ok()) return false;
  std::string bytes((*file)->Size().value_or(0), '\0');
  if (!(*file)->ReadAt(0, absl::MakeSpan(bytes)).ok()) return false;
  const raft::WalScan scan = raft::ScanWalSegment(bytes, generation);
  if (scan.groups.empty() || scan.tail != raft::WalTail::kClean) return false;
  size_t groups = scan.groups.size();
  if ((scan.groups.back().header.flags & raft::kWalFlagSeal) != 0) --groups;
  if (groups == 0) return false;
  // The last one is where a mark is needed.
  const size_t chosen = OneIn(random, 2) ? groups - 1 : random.Below(groups);
  const raft::WalGroup& group = scan.groups[chosen];
  const uint64_t size = group.header.TotalBytes();
  disk.FlipBit(path,
               (group.offset + random.Below(std::min<uint64_t>(size, 200))) * 8 + random.Below(8));
  return true;
}

}  // namespace millrace::sim
