// The ids, positions and epochs that the whole project speaks of, each a type of its own.
//
// Widths and meanings are Kafka's where Kafka has the thing. A default-constructed position or
// epoch is 0; where "none" must be said, the constants below say it.
//
// Thread: any (values).
#ifndef BASE_IDS_H_
#define BASE_IDS_H_

#include <compare>
#include <cstdint>
#include <ostream>
#include <utility>

#include "base/strong_id.h"
#include "base/uuid.h"

namespace millrace {

// A process of the cluster: controller, broker or both. From the config, for life.
using NodeId = StrongId<struct NodeIdTag, int32_t>;
// Position of a partition in its topic, from 0.
using PartitionIndex = StrongId<struct PartitionIndexTag, int32_t>;
// Position of a record in its partition's log, from 0.
using Offset = StrongId<struct OffsetTag, int64_t>;
// Version of a partition's leadership; rises with every election (S-01).
using LeaderEpoch = StrongId<struct LeaderEpochTag, int32_t>;
// Version of a partition's metadata (ISR, replicas); a compare-and-set token.
using PartitionEpoch = StrongId<struct PartitionEpochTag, int32_t>;
// The metadata log index of a broker's registration: a higher one fences the lower.
using BrokerEpoch = StrongId<struct BrokerEpochTag, int64_t>;
// Raft term of the metadata log.
using Term = StrongId<struct TermTag, int64_t>;
// Position of an entry in the metadata log, from 1.
using LogIndex = StrongId<struct LogIndexTag, int64_t>;
// Names an idempotent or transactional producer; its epoch fences older instances.
using ProducerId = StrongId<struct ProducerIdTag, int64_t>;
using ProducerEpoch = StrongId<struct ProducerEpochTag, int16_t>;

// A topic's identity: a topic made again under the same name has another one.
using TopicId = StrongUuid<struct TopicIdTag>;
// A log or metadata directory's identity: a wiped disk is another directory (S-05, S-17).
using DirectoryId = StrongUuid<struct DirectoryIdTag>;
// The cluster's identity, fixed when it is founded.
using ClusterId = StrongUuid<struct ClusterIdTag>;
// One run of a broker process.
using IncarnationId = StrongUuid<struct IncarnationIdTag>;

inline constexpr NodeId kNoNode{-1};
inline constexpr LeaderEpoch kNoLeaderEpoch{-1};
inline constexpr Offset kNoOffset{-1};
inline constexpr BrokerEpoch kNoBrokerEpoch{-1};
inline constexpr ProducerId kNoProducerId{-1};
inline constexpr ProducerEpoch kNoProducerEpoch{-1};

// One partition of one topic, whatever the topic is called.
struct TopicPartition {
  TopicId topic_id;
  PartitionIndex partition;

  friend constexpr auto operator<=>(const TopicPartition&, const TopicPartition&) = default;
  template <class H>
  friend H AbslHashValue(H h, const TopicPartition& tp) {
    return H::combine(std::move(h), tp.topic_id, tp.partition);
  }
  friend std::ostream& operator<<(std::ostream& out, const TopicPartition& tp) {
    return out << tp.topic_id << "-" << tp.partition;
  }
};

// An entry of a Raft log: an index alone is ambiguous across terms (S-11).
struct EntryId {
  Term term;
  LogIndex index;

  friend constexpr auto operator<=>(const EntryId&, const EntryId&) = default;
  friend std::ostream& operator<<(std::ostream& out, const EntryId& id) {
    return out << id.term << ":" << id.index;
  }
};

}  // namespace millrace

#endif  // BASE_IDS_H_
