// OffsetForLeaderEpoch: where a leader epoch ends in the leader's log. A client whose last record
// is of that epoch, and lies beyond that end, has read what an unclean election took away.
//
// Thread: any (values). Source: KIP-101, KIP-279, KIP-320.
#ifndef API_OFFSET_FOR_LEADER_EPOCH_H_
#define API_OFFSET_FOR_LEADER_EPOCH_H_

#include <optional>
#include <vector>

#include "api/partition_name.h"
#include "base/ids.h"

namespace millrace::api {

struct OffsetForLeaderEpochPartition {
  PartitionName name;
  // The epoch the client believes in; none means any.
  std::optional<LeaderEpoch> current_leader_epoch;
  // The one asked about.
  LeaderEpoch leader_epoch;

  friend bool operator==(const OffsetForLeaderEpochPartition&,
                         const OffsetForLeaderEpochPartition&) = default;
};

struct OffsetForLeaderEpochRequest {
  std::vector<OffsetForLeaderEpochPartition> partitions;

  friend bool operator==(const OffsetForLeaderEpochRequest&,
                         const OffsetForLeaderEpochRequest&) = default;
};

struct OffsetForLeaderEpochPartitionResult {
  PartitionName name;
  PartitionOutcome outcome;
  // The largest epoch at or below the one asked about, and the first offset behind it. If the log
  // has only later ones: kNoLeaderEpoch, and where the log begins.
  LeaderEpoch leader_epoch = kNoLeaderEpoch;
  Offset end_offset = kNoOffset;

  friend bool operator==(const OffsetForLeaderEpochPartitionResult&,
                         const OffsetForLeaderEpochPartitionResult&) = default;
};

struct OffsetForLeaderEpochResponse {
  std::vector<OffsetForLeaderEpochPartitionResult> partitions;

  friend bool operator==(const OffsetForLeaderEpochResponse&,
                         const OffsetForLeaderEpochResponse&) = default;
};

}  // namespace millrace::api

#endif  // API_OFFSET_FOR_LEADER_EPOCH_H_
