// Partitioner: which partition a record goes to: the one that was asked for, else the one its key
// hashes to, else the topic's sticky one, or, if the configuration says so, each in turn.
//
// The hash is that of Kafka's Java client, so that records of equal keys meet in one partition
// whoever wrote them. Records without a key stick to one partition for a batch's worth of bytes:
// full batches are worth more than an even spread of single records. Then another one has its turn,
// the busier ones less often: otherwise the slowest broker would collect the most records.
//
// Source: Murmur2 by Austin Appleby (public domain), with the seed and tail of Kafka's client;
// KIP-480 (sticky), KIP-794 (uniform by bytes, weights by queue length). Turns are not drawn at
// random as there, but by smooth weighted round robin: the same shares, evenly spread.
//
// Thread: the producer's caller.
#ifndef CLIENT_PARTITIONER_H_
#define CLIENT_PARTITIONER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/types/span.h"
#include "base/bytes.h"
#include "base/ids.h"
#include "client/record.h"

namespace millrace::client {

// Kafka's 32-bit murmur2.
uint32_t Murmur2(Slice data);

// The partition of a key among `partitions`. REQUIRES: partitions > 0.
PartitionIndex PartitionOfKey(Slice key, int32_t partitions);

// An application's own rule, asked for each record that no partition was given for: one of
// `partitions` (more than 0), counted from 0. Called on the producer's caller's thread.
using CustomPartitioner = absl::AnyInvocable<PartitionIndex(
    const std::string& topic, const BorrowedRecord& record, int32_t partitions)>;

// What is known of a partition when another one's turn comes.
struct PartitionLoad {
  // Batches begun and not acknowledged yet.
  int64_t batches = 0;
  // Somebody leads it.
  bool available = true;
};

// Whose turn it is among partitions, in proportion to weights that may differ each time.
class PartitionTurns {
 public:
  // `start` spreads the producers of a topic: a random number.
  explicit PartitionTurns(uint64_t start) : start_(start) {}

  // Partitions that nobody leads are passed over, unless nobody leads any. If `adaptive`, one with
  // n batches has the weight (most batches of all) + 1 - n; else all weigh the same.
  // REQUIRES: !loads.empty().
  PartitionIndex Next(absl::Span<const PartitionLoad> loads, bool adaptive);

 private:
  uint64_t start_;
  // By partition: what it is owed, in weights.
  std::vector<int64_t> credit_;
};

// Where a topic's records without a key go. One per topic.
class StickyPartition {
 public:
  explicit StickyPartition(uint64_t start) : turns_(start) {}

  // Whether a partition must be chosen, by Switch, before Current may be asked.
  bool none() const { return current_ < PartitionIndex(0); }
  PartitionIndex Current() const { return current_; }

  // A record of `bytes` went to Current(). `at_batch_end`: no batch of the partition is filling
  // now. True if it is another one's turn: the partition has had `batch_bytes` and a batch ends
  // here, or it has had twice as much.
  bool Added(size_t bytes, bool at_batch_end, size_t batch_bytes);
  void Switch(absl::Span<const PartitionLoad> loads, bool adaptive);

 private:
  PartitionTurns turns_;
  PartitionIndex current_{-1};
  // Since the latest switch.
  size_t bytes_ = 0;
};

}  // namespace millrace::client

#endif  // CLIENT_PARTITIONER_H_
