// DeleteRecords: raises the log start offset of partitions; what lies below is gone for readers at
// once, and from the disk with its segment.
//
// Thread: any (values).
#ifndef API_DELETE_RECORDS_H_
#define API_DELETE_RECORDS_H_

#include <vector>

#include "absl/time/time.h"
#include "api/partition_name.h"
#include "base/ids.h"

namespace millrace::api {

struct DeleteRecordsPartition {
  PartitionName name;
  // Records below go; kNoOffset means all up to the high watermark.
  Offset before_offset;

  friend bool operator==(const DeleteRecordsPartition&, const DeleteRecordsPartition&) = default;
};

struct DeleteRecordsRequest {
  std::vector<DeleteRecordsPartition> partitions;
  // Zero means the default.
  absl::Duration timeout;

  friend bool operator==(const DeleteRecordsRequest&, const DeleteRecordsRequest&) = default;
};

struct DeleteRecordsPartitionResult {
  PartitionName name;
  PartitionOutcome outcome;
  Offset log_start_offset = kNoOffset;

  friend bool operator==(const DeleteRecordsPartitionResult&,
                         const DeleteRecordsPartitionResult&) = default;
};

struct DeleteRecordsResponse {
  std::vector<DeleteRecordsPartitionResult> partitions;

  friend bool operator==(const DeleteRecordsResponse&, const DeleteRecordsResponse&) = default;
};

}  // namespace millrace::api

#endif  // API_DELETE_RECORDS_H_
