// What the tests of snapshots share: bodies and voters, a store on a simulated disk, and a file as
// another node's store would have made it.
//
// Thread: the test's one.
#ifndef RAFT_HOST_SNAPSHOT_TEST_BED_H_
#define RAFT_HOST_SNAPSHOT_TEST_BED_H_

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/crc32c.h"
#include "base/sim/sim_file_system.h"
#include "base/sim/sim_random.h"
#include "base/status_matchers.h"
#include "raft/host/snapshot_format.h"
#include "raft/host/snapshot_store.h"
#include "raft/types.h"

namespace millrace::raft {

inline constexpr char kSnapshotTestDirectory[] = "/snapshots";

inline EntryId At(int64_t term, int64_t index) { return EntryId{Term(term), LogIndex(index)}; }

inline VoterSet SampleVoters(int count = 3) {
  VoterSet set;
  set.id = At(1, 2);
  for (int i = 1; i <= count; ++i) {
    set.voters.push_back(
        Voter{VoterId{NodeId(i), DirectoryId(Uuid(0x11, static_cast<uint64_t>(i)))},
              "host" + std::to_string(i) + ":9093", i == 3});
  }
  return set;
}

// Bytes without a pattern; equal for equal arguments.
inline std::string SampleBody(size_t size, uint64_t seed = 1) {
  std::string body(size, '\0');
  uint64_t state = seed * 0x9e3779b97f4a7c15 + 1;
  for (char& c : body) {
    state = state * 6364136223846793005 + 1442695040888963407;
    c = static_cast<char>(state >> 56);
  }
  return body;
}

// A snapshot as another node has it.
struct ForeignSnapshot {
  ForeignSnapshot(const EntryId& last, std::string state)
      : body(std::move(state)), bytes(*EncodeSnapshotFile(last, SampleVoters(), body)) {
    id = SnapshotId{last, bytes.size(), Crc32c(bytes)};
  }

  std::string body;
  std::string bytes;
  SnapshotId id;
};

class SnapshotTestBed {
 public:
  explicit SnapshotTestBed(std::unique_ptr<sim::SimFileSystem> disk = nullptr)
      : files_(disk != nullptr ? std::move(disk) : std::make_unique<sim::SimFileSystem>()) {
    files_->SyncAll();
  }

  // Opens, or closes and opens again.
  absl::Status Open() {
    store_.reset();
    absl::StatusOr<std::unique_ptr<SnapshotStore>> store =
        SnapshotStore::Open(files_.get(), kSnapshotTestDirectory);
    if (!store.ok()) return store.status();
    store_ = *std::move(store);
    return absl::OkStatus();
  }
  void Close() { store_.reset(); }
  bool is_open() const { return store_ != nullptr; }

  // Receives from the store's position on, in pieces; all, or up to `end`.
  absl::Status Receive(const ForeignSnapshot& snapshot, size_t piece, uint64_t end = UINT64_MAX) {
    end = std::min<uint64_t>(end, snapshot.bytes.size());
    const auto receiving = store_->receiving();
    uint64_t at = receiving.has_value() && receiving->id == snapshot.id ? receiving->received : 0;
    while (at < end) {
      const Slice data = Slice(snapshot.bytes).substr(at, std::min<uint64_t>(piece, end - at));
      RETURN_IF_ERROR(store_->AppendReceived(snapshot.id, at, data));
      at += data.size();
    }
    return absl::OkStatus();
  }

  std::vector<std::string> Names() {
    std::vector<std::string> names;
    auto entries = files_->ListDirectory(kSnapshotTestDirectory);
    if (!entries.ok()) return names;
    for (const DirectoryEntry& entry : *entries) names.push_back(entry.name);
    return names;
  }
  static std::string Path(const std::string& name) {
    return JoinPath(kSnapshotTestDirectory, name);
  }
  static std::string PathOf(const EntryId& last) { return Path(SnapshotFileName(last)); }

  SnapshotStore& store() { return *store_; }
  sim::SimFileSystem& files() { return *files_; }

 private:
  std::unique_ptr<sim::SimFileSystem> files_;
  std::unique_ptr<SnapshotStore> store_;
};

}  // namespace millrace::raft

#endif  // RAFT_HOST_SNAPSHOT_TEST_BED_H_
