// ListOffsets: the earliest offset of a partition, the latest, or the first at or after a time.
//
// Thread: any (values).
#ifndef API_LIST_OFFSETS_H_
#define API_LIST_OFFSETS_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "api/fetch.h"
#include "api/partition_name.h"
#include "base/ids.h"

namespace millrace::api {

// The numbers are those of millrace.v1.OffsetPosition.
enum class OffsetPosition : int32_t {
  kUnspecified = 0,  // INVALID_REQUEST: the caller must say what is meant.
  kEarliest = 1,
  kLatest = 2,        // The end as the reader's isolation level sees it.
  kTimestamp = 3,     // The first record whose timestamp is at or after `timestamp_ms`.
  kMaxTimestamp = 4,  // The record with the greatest timestamp.
};

struct ListOffsetsPartition {
  PartitionName name;
  OffsetPosition position = OffsetPosition::kUnspecified;
  int64_t timestamp_ms = 0;
  std::optional<LeaderEpoch> leader_epoch;

  friend bool operator==(const ListOffsetsPartition&, const ListOffsetsPartition&) = default;
};

struct ListOffsetsRequest {
  std::vector<ListOffsetsPartition> partitions;
  IsolationLevel isolation_level = IsolationLevel::kUnspecified;

  friend bool operator==(const ListOffsetsRequest&, const ListOffsetsRequest&) = default;
};

struct ListOffsetsPartitionResult {
  PartitionName name;
  PartitionOutcome outcome;
  // kNoOffset if no record is at or after the time.
  Offset offset = kNoOffset;
  // Of the record found; -1 for the positions that are no record's.
  int64_t timestamp_ms = -1;
  LeaderEpoch leader_epoch = kNoLeaderEpoch;

  friend bool operator==(const ListOffsetsPartitionResult&,
                         const ListOffsetsPartitionResult&) = default;
};

struct ListOffsetsResponse {
  std::vector<ListOffsetsPartitionResult> partitions;

  friend bool operator==(const ListOffsetsResponse&, const ListOffsetsResponse&) = default;
};

}  // namespace millrace::api

#endif  // API_LIST_OFFSETS_H_
