// NamedPartition, Position, OffsetAndTime: which partition, as users speak of it, where to begin
// reading, and what is found where a time lies.
//
// Thread: any (values).
#ifndef CLIENT_POSITION_H_
#define CLIENT_POSITION_H_

#include <compare>
#include <cstdint>
#include <string>

#include "base/ids.h"

namespace millrace::client {

// A partition by its topic's name.
struct NamedPartition {
  std::string topic;
  PartitionIndex partition;

  friend auto operator<=>(const NamedPartition&, const NamedPartition&) = default;
};

// "topic-0".
inline std::string TextOf(const NamedPartition& name) {
  return name.topic + "-" + std::to_string(name.partition.value());
}

// Where to begin reading.
struct Position {
  enum class Kind { kOffset, kEarliest, kLatest, kTimestamp };
  Kind kind = Kind::kEarliest;
  Offset offset = {};
  int64_t timestamp_ms = 0;
  // With an offset: of the record before it, where that is known (Consumer::ResumePositionOf): with
  // it the consumer notices that an unclean election took away what was read (read_position.h).
  LeaderEpoch leader_epoch = kNoLeaderEpoch;

  friend bool operator==(const Position&, const Position&) = default;
};

// A record's offset and its timestamp.
struct OffsetAndTime {
  Offset offset = kNoOffset;
  // -1 where there is no record.
  int64_t timestamp_ms = -1;

  friend bool operator==(const OffsetAndTime&, const OffsetAndTime&) = default;
};

}  // namespace millrace::client

#endif  // CLIENT_POSITION_H_
