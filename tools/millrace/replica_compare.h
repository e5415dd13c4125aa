// ReplicaCompare: whether the replicas of a partition hold the same, byte for byte, below the high
// watermark: range by range, by the sums that the brokers tell of their own files.
//
// Compared is what all of them have: log starts may differ, and one that is behind ends earlier.
// Partitions may be written to, deleted from and change their leader meanwhile. A range that
// differs is halved until it is a batch.
//
// Not here: who the brokers are and how they are asked (partition_verify_command.h).
//
// Thread: one; blocks as `ask` does.
#ifndef TOOLS_MILLRACE_REPLICA_COMPARE_H_
#define TOOLS_MILLRACE_REPLICA_COMPARE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "millrace/v1/admin_service.pb.h"

namespace millrace::tools {

// What one broker says of its replica, or why it says nothing.
struct ComparedReplica {
  int32_t broker = -1;
  bool is_leader = false;
  int64_t log_start_offset = -1;
  int64_t end_offset = -1;
  absl::Status status;
};

// The first range that is not the same everywhere: one batch, if that can be told.
struct Difference {
  struct Sum {
    int32_t broker = -1;
    int64_t bytes = 0;
    uint32_t crc32c = 0;
    // Not OK: it cannot read the range; CORRUPT_LOG: damage.
    absl::Status status;
  };
  int64_t from_offset = -1;
  int64_t to_offset = -1;
  std::vector<Sum> sums;
};

struct PartitionComparison {
  // In the order of the assignment.
  std::vector<ComparedReplica> replicas;
  // What was compared: all of the common range unless something went wrong.
  int64_t from_offset = 0;
  int64_t to_offset = 0;
  // Of one replica.
  int64_t bytes = 0;
  std::optional<Difference> difference;

  // OK: all replicas were asked, and are alike. CORRUPT_LOG: they are not. Else: one could not be
  // asked, and those that could are alike.
  absl::Status Verdict() const;
};

// Errors: those of the transport, and of the broker as a whole.
using AskReplica = absl::FunctionRef<absl::StatusOr<v1::ChecksumReplicaResponse>(
    int32_t broker, const v1::ChecksumReplicaRequest& request)>;
// Told the offset that was reached, and where it ends.
using CompareProgress = absl::FunctionRef<void(int64_t offset, int64_t end)>;

// `range_bytes`: how much is compared at a time.
PartitionComparison CompareReplicas(const std::string& topic,
                                    const v1::PartitionDescription& partition, int32_t range_bytes,
                                    AskReplica ask, CompareProgress progress);

}  // namespace millrace::tools

#endif  // TOOLS_MILLRACE_REPLICA_COMPARE_H_
