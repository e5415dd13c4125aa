// NamedPartition and Position: which partition, as users speak of it, and where to begin reading.
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

// Where to begin reading.
struct Position {
  enum class Kind { kOffset, kEarliest, kLatest, kTimestamp };
  Kind kind = Kind::kEarliest;
  Offset offset = {};
  int64_t timestamp_ms = 0;

  friend bool operator==(const Position&, const Position&) = default;
};

}  // namespace millrace::client

#endif  // CLIENT_POSITION_H_
