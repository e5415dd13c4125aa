#include "client/partitioner.h"

#include "base/check.h"
#include "base/coding.h"

namespace millrace::client {

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

}  // namespace millrace::client
