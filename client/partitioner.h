// Partitioner: which partition a record goes to: the one that was asked for, else the one its key
// hashes to, else the topic's sticky one.
//
// The hash is that of Kafka's Java client, so that records of equal keys meet in one partition
// whoever wrote them. Records without a key stick to one partition until its batch is closed: full
// batches are worth more than an even spread of single records (KIP-480).
//
// Source: Murmur2 by Austin Appleby (public domain), with the seed and tail of Kafka's client.
//
// Thread: the producer's caller.
#ifndef CLIENT_PARTITIONER_H_
#define CLIENT_PARTITIONER_H_

#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/ids.h"

namespace millrace::client {

// Kafka's 32-bit murmur2.
uint32_t Murmur2(Slice data);

// The partition of a key among `partitions`. REQUIRES: partitions > 0.
PartitionIndex PartitionOfKey(Slice key, int32_t partitions);

// Where a topic's records without a key go. One per topic.
class StickyPartition {
 public:
  // `start` spreads the producers of a topic: a random number.
  explicit StickyPartition(uint64_t start) : state_(start) {}

  // REQUIRES: partitions > 0.
  PartitionIndex Current(int32_t partitions) const {
    return PartitionIndex(static_cast<int32_t>(state_ % static_cast<uint64_t>(partitions)));
  }
  // The batch under way is closed: another partition's turn.
  void Advance() { ++state_; }

 private:
  uint64_t state_;
};

}  // namespace millrace::client

#endif  // CLIENT_PARTITIONER_H_
