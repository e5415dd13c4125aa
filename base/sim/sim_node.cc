#include "base/sim/sim_node.h"

#include <algorithm>
#include <limits>
#include <set>
#include <utility>

namespace millrace::sim {
namespace {

constexpr uint64_t kSectorSize = 512;
// Linux writes back dirty data by itself when there is much of it; so does this, which bounds
// memory.
constexpr uint64_t kWritebackBytes = 16 << 20;

// Which of the units of a write that spans `units` of them reached the disk.
class TornWrite {
 public:
  TornWrite(uint64_t units, Random& random) : random_(random) {
    switch (random.Below(5)) {
      case 0:
        break;  // Lost.
      case 1:
        prefix_ = units;
        break;
      case 2:
        prefix_ = random.Below(units + 1);
        break;
      default:
        scattered_ = true;
    }
  }
  // REQUIRES: asked for each unit once, in order.
  bool Kept(uint64_t unit) { return scattered_ ? random_.Below(2) == 0 : unit < prefix_; }

 private:
  Random& random_;
  uint64_t prefix_ = 0;
  bool scattered_ = false;
};

}  // namespace

void SimFileData::Add(Change change) {
  change.size_after = cache_.size();
  pending_bytes_ += change.data.size();
  pending_.push_back(std::move(change));
  if (pending_bytes_ > kWritebackBytes) Sync();
}

void SimFileData::Write(uint64_t offset, Slice data) {
  if (data.empty()) return;
  cache_.Write(offset, data);
  Add({.kind = Change::Kind::kWrite,
       .offset = offset,
       .length = data.size(),
       .data = std::string(data)});
}

void SimFileData::ZeroFill(uint64_t offset, uint64_t length) {
  if (length == 0) return;
  cache_.Zero(offset, length);
  Add({.kind = Change::Kind::kZero, .offset = offset, .length = length});
}

void SimFileData::Truncate(uint64_t size) {
  if (size == cache_.size()) return;
  cache_.Resize(size);
  Add({.kind = Change::Kind::kTruncate});
}

void SimFileData::SyncInto(SparseBytes& disk) const {
  std::set<uint64_t> dirty;
  for (const Change& change : pending_) {
    if (change.kind == Change::Kind::kTruncate) {
      // What was cut must not come back when the file grows again.
      if (change.size_after < disk.size()) disk.Resize(change.size_after);
    } else if (!change.failed) {
      const uint64_t last = (change.offset + change.length - 1) / SparseBytes::kPageSize;
      for (uint64_t page = change.offset / SparseBytes::kPageSize; page <= last; ++page) {
        dirty.insert(page);
      }
    }
  }
  disk.Resize(cache_.size());
  const uint64_t pages = (cache_.size() + SparseBytes::kPageSize - 1) / SparseBytes::kPageSize;
  for (uint64_t page : dirty) {
    if (page < pages) disk.SharePage(cache_, page);
  }
}

void SimFileData::Sync() {
  SyncInto(durable_);
  pending_.clear();
  pending_bytes_ = 0;
}

void SimFileData::FailSync() {
  for (Change& change : pending_) change.failed = true;
}

SimFileData SimFileData::Durable(SparseBytes contents) {
  SimFileData data;
  data.cache_ = contents;
  data.durable_ = std::move(contents);
  return data;
}

void SimFileData::FlipBit(uint64_t bit) {
  cache_.FlipBit(bit);
  if (bit / 8 < durable_.size()) durable_.FlipBit(bit);
}

SparseBytes SimFileData::Crash(CrashMode mode, Random& random) const {
  if (pending_.empty() || mode == CrashMode::kLoseAll) return durable_;
  if (mode == CrashMode::kTorn) return CrashTorn(random);
  SparseBytes disk = durable_;
  SyncInto(disk);
  return disk;
}

// Data and size get to the disk by different ways: pages in any order, each as it was at some
// moment; sizes through the journal, so in order.
SparseBytes SimFileData::CrashTorn(Random& random) const {
  const uint64_t unit = random.Below(2) == 0 ? kSectorSize : SparseBytes::kPageSize;
  const size_t sizes_kept = random.Below(pending_.size() + 1);
  // For each unit, the last write that it holds: it holds all earlier ones then, for it was written
  // from one page of the cache.
  std::map<uint64_t, size_t> last_kept;
  for (size_t i = 0; i < pending_.size(); ++i) {
    const Change& change = pending_[i];
    if (change.kind == Change::Kind::kTruncate) continue;
    const uint64_t first = change.offset / unit;
    const uint64_t last = (change.offset + change.length - 1) / unit;
    TornWrite torn(last - first + 1, random);
    for (uint64_t u = first; u <= last; ++u) {
      if (torn.Kept(u - first)) last_kept[u] = i;
    }
  }
  SparseBytes disk = durable_;
  uint64_t size = durable_.size();
  // Blocks beyond a cut that was lost are still the old ones; what was written after the cut went
  // to new blocks, that nothing leads to.
  uint64_t reachable = std::numeric_limits<uint64_t>::max();
  for (size_t i = 0; i < pending_.size(); ++i) {
    const Change& change = pending_[i];
    if (i < sizes_kept) size = change.size_after;
    if (change.kind == Change::Kind::kTruncate) {
      if (i < sizes_kept) {
        if (change.size_after < disk.size()) disk.Resize(change.size_after);
      } else {
        reachable = std::min(reachable, change.size_after);
      }
      continue;
    }
    const uint64_t end = std::min(change.offset + change.length, reachable);
    for (uint64_t at = change.offset; at < end;) {
      const uint64_t piece = std::min(end, (at / unit + 1) * unit) - at;
      const auto kept = last_kept.find(at / unit);
      if (kept != last_kept.end() && kept->second >= i) {
        if (change.kind == Change::Kind::kWrite) {
          disk.Write(at, Slice(change.data).substr(at - change.offset, piece));
        } else {
          disk.Zero(at, piece);
        }
      }
      at += piece;
    }
  }
  disk.Resize(size);
  return disk;
}

}  // namespace millrace::sim
