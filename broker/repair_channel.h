// RepairChannel: how a broker asks another for a range of a partition's batches that its own disk
// has lost (S-22). A seam: gRPC (broker/service/), and queues in memory in tests.
//
// The other answers from its files, leader or follower alike, and only what is committed as far as
// it knows; nothing is retried here. What comes is checked by whoever asked
// (storage/segment_repair.h).
//
// Thread: calls on a shard's executor, which also runs the callbacks; never inside the call.
#ifndef BROKER_REPAIR_CHANNEL_H_
#define BROKER_REPAIR_CHANNEL_H_

#include <cstddef>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/bytes.h"
#include "base/executor.h"
#include "base/ids.h"

namespace millrace::broker {

struct RangeQuery {
  ClusterId cluster_id;
  // Who asks.
  NodeId broker = kNoNode;
  TopicPartition topic_partition;
  // From the batch that begins at `from` to the one that ends at `to`.
  Offset from;
  Offset to;
  // About so much is answered, and at least one batch.
  size_t bytes_max = 1 << 20;

  friend bool operator==(const RangeQuery&, const RangeQuery&) = default;
};

// Whole batches. Errors: OFFSET_OUT_OF_RANGE below its log start; OFFSET_NOT_AVAILABLE where they
// are not committed yet, as far as is known there; CORRUPT_LOG where they are damaged there too;
// those of a replica that is not there, of a broker that cannot be reached, or of another cluster.
using RangeDone = absl::AnyInvocable<void(absl::StatusOr<Bytes>) &&>;

class RepairChannel {
 public:
  virtual ~RepairChannel() = default;

  // `address`: "host:port" of the other broker. `executor`: the caller's.
  virtual void ReadRange(const std::string& address, const RangeQuery& query,
                         absl::Duration timeout, Executor* executor, RangeDone done) = 0;
};

}  // namespace millrace::broker

#endif  // BROKER_REPAIR_CHANNEL_H_
