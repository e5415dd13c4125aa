#include "raft/testing/sim_disk.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/coding.h"
#include "base/sim/sim_random.h"

namespace millrace::raft::testing {

void SimMachine::Apply(const Entry& entry) {
  CHECK_EQ(entry.index, applied + 1);
  applied = entry.index;
  hash = sim::MixBits(hash ^ sim::HashText(entry.payload.slice()) ^
                      static_cast<uint64_t>(entry.index.value()));
}

// Of a length that follows from the content, so that transfers end in odd pieces.
std::string SimMachine::Save() const {
  std::string file;
  AppendLittle<int64_t>(applied.value(), &file);
  AppendLittle<uint64_t>(hash, &file);
  file.append(hash % 50, 'x');
  return file;
}

SimMachine SimMachine::Load(const std::string& file) {
  CHECK_GE(file.size(), 16u);
  return SimMachine{LogIndex(LoadLittle<int64_t>(file.data())),
                    LoadLittle<uint64_t>(file.data() + 8)};
}

uint32_t ChecksumOf(const std::string& file) { return static_cast<uint32_t>(sim::HashText(file)); }

void SimDisk::Apply(const Ready& ready) {
  for (const SnapshotChunk& chunk : ready.chunks) {
    if (chunk.offset == 0) {
      receiving = chunk.id;
      received.clear();
    }
    CHECK(receiving == chunk.id);
    CHECK_EQ(received.size(), chunk.offset);
    received += std::string(chunk.data.slice());
  }
  if (ready.install.has_value()) {
    CHECK(receiving == ready.install->id);
    entries.clear();
    snapshots.clear();
    snapshots.emplace_back(*ready.install, std::move(received));
    receiving.reset();
    received.clear();
  }
  if (ready.hard_state.has_value()) hard_state = *ready.hard_state;
  if (ready.entries.empty()) return;
  const LogIndex from = ready.entries.front().index;
  while (!entries.empty() && entries.back().index >= from) entries.pop_back();
  CHECK_EQ(last().index + 1, from);
  entries.insert(entries.end(), ready.entries.begin(), ready.entries.end());
}

void SimDisk::AddSnapshot(const SnapshotOffer& offer, std::string file) {
  snapshots.emplace_back(offer, std::move(file));
  if (snapshots.size() > 2) snapshots.erase(snapshots.begin());
  if (snapshots.size() < 2) return;
  const LogIndex through = snapshots.front().first.id.last.index;
  std::erase_if(entries, [through](const Entry& entry) { return entry.index <= through; });
}

const std::string* SimDisk::FindSnapshot(const SnapshotId& id) const {
  for (const auto& [offer, file] : snapshots) {
    if (offer.id == id) return &file;
  }
  return nullptr;
}

EntryId SimDisk::last() const {
  const EntryId snapshot = snapshots.empty() ? EntryId{} : snapshots.back().first.id.last;
  if (entries.empty() || entries.back().index < snapshot.index) return snapshot;
  return entries.back().id();
}

bool SimDisk::Holds(const EntryId& id) const {
  if (!snapshots.empty() && id.index <= snapshots.back().first.id.last.index) return true;
  return std::any_of(entries.begin(), entries.end(),
                     [&id](const Entry& entry) { return entry.id() == id; });
}

InitialState SimDisk::Load() const {
  InitialState initial;
  initial.hard_state = hard_state;
  initial.founders = founders;
  initial.receiving = receiving;
  initial.received = received.size();
  LogIndex after;
  if (!snapshots.empty()) {
    initial.snapshot = snapshots.back().first;
    after = initial.snapshot->id.last.index;
  }
  for (const Entry& entry : entries) {
    if (entry.index > after) initial.entries.push_back(entry);
  }
  return initial;
}

SimMachine SimDisk::LoadMachine() const {
  return snapshots.empty() ? SimMachine() : SimMachine::Load(snapshots.back().second);
}

}  // namespace millrace::raft::testing
