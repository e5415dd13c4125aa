#include "client/partitioner.h"

#include <algorithm>

#include "base/check.h"
#include "base/coding.h"

namespace millrace::client {
namespace {

// The weight of a partition with nothing to do. Large beside the number of partitions.
constexpr int64_t kWhole = int64_t{1} << 32;

}  // namespace

uint32_t Murmur2(Slice data) {
  constexpr uint32_t kMultiplier = 0x5bd1e995;
  constexpr uint32_t kSeed = 0x9747b28c;
  uint32_t hash = kSeed ^ static_cast<uint32_t>(data.size());
  while (data.size() >= 4) {
    uint32_t word = LoadLittle<uint32_t>(data.data()) * kMultiplier;
    word ^= word >> 24;
    hash = (hash * kMultiplier) ^ (word * kMultiplier);
    data.remove_prefix(4);
  }
  if (!data.empty()) {
    for (size_t i = 0; i < data.size(); ++i) {
      hash ^= static_cast<uint32_t>(static_cast<uint8_t>(data[i])) << (8 * i);
    }
    hash *= kMultiplier;
  }
  hash ^= hash >> 13;
  hash *= kMultiplier;
  return hash ^ (hash >> 15);
}

PartitionIndex PartitionOfKey(Slice key, int32_t partitions) {
  CHECK_GT(partitions, 0);
  // The sign bit is dropped, as in the Java client's toPositive.
  const auto positive = static_cast<int32_t>(Murmur2(key) & 0x7fffffff);
  return PartitionIndex(positive % partitions);
}

PartitionIndex PartitionTurns::Next(absl::Span<const PartitionLoad> loads, bool adaptive) {
  CHECK(!loads.empty());
  if (credit_.size() != loads.size()) {
    // The first turn is `start`'s; the next ones follow it round.
    credit_.assign(loads.size(), 0);
    for (size_t i = 0; i < loads.size(); ++i) {
      const size_t at = (start_ + i) % loads.size();
      credit_[at] = -static_cast<int64_t>(i);
    }
  }
  const bool none_led = std::none_of(loads.begin(), loads.end(),
                                     [](const PartitionLoad& load) { return load.available; });
  int64_t most = 0;
  for (const PartitionLoad& load : loads) most = std::max(most, load.batches);
  int64_t total = 0;
  size_t best = loads.size();
  for (size_t i = 0; i < loads.size(); ++i) {
    if (!loads[i].available && !none_led) continue;
    // A share of a whole, so that what is owed from busier times does not outweigh today's.
    const int64_t weight = adaptive ? kWhole * (most + 1 - loads[i].batches) / (most + 1) : kWhole;
    credit_[i] += weight;
    total += weight;
    if (best == loads.size() || credit_[i] > credit_[best]) best = i;
  }
  credit_[best] -= total;
  return PartitionIndex(static_cast<int32_t>(best));
}

bool StickyPartition::Added(size_t bytes, bool at_batch_end, size_t batch_bytes) {
  bytes_ += bytes;
  return bytes_ >= 2 * batch_bytes || (at_batch_end && bytes_ >= batch_bytes);
}

void StickyPartition::Switch(absl::Span<const PartitionLoad> loads, bool adaptive) {
  current_ = turns_.Next(loads, adaptive);
  bytes_ = 0;
}

}  // namespace millrace::client
