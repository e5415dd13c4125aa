// Which shard of a broker owns a partition. Part of the protocol between brokers too: a follower
// asks for a partition at the leader's shard that owns it.
//
// Thread: any (a pure function).
#ifndef BROKER_REPLICATION_SHARD_INDEX_H_
#define BROKER_REPLICATION_SHARD_INDEX_H_

#include <cstdint>

#include "base/ids.h"

namespace millrace::broker {

// Of `count` shards; the same in every run of every process.
inline int ShardIndexOf(const TopicPartition& topic_partition, int count) {
  const Uuid id = topic_partition.topic_id.uuid();
  uint64_t hash = id.high() ^ id.low();
  // Consecutive partitions of a topic go to different shards; topics begin anywhere.
  hash ^= hash >> 29;
  hash *= 0xBF58476D1CE4E5B9;
  hash ^= hash >> 32;
  hash += static_cast<uint64_t>(topic_partition.partition.value());
  return static_cast<int>(hash % static_cast<uint64_t>(count));
}

}  // namespace millrace::broker

#endif  // BROKER_REPLICATION_SHARD_INDEX_H_
