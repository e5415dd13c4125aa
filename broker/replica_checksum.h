// ReplicaChecksum: the sum of a range of one replica's log, as its disk has it, so that replicas
// can be compared without sending their records. Leaders and followers answer alike.
//
// Of batches below the high watermark only: all replicas have the same there, byte for byte. What
// is read comes from the files, not from the tail cache, and is checked as every read is, so damage
// is told as such. A megabyte at a time, on the cold-read pool of its directory: no request waits
// for it longer than for another reader.
//
// Thread: its shard's executor.
#ifndef BROKER_REPLICA_CHECKSUM_H_
#define BROKER_REPLICA_CHECKSUM_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "absl/functional/any_invocable.h"
#include "api/partition_name.h"
#include "base/executor.h"
#include "base/ids.h"
#include "broker/shard.h"

namespace millrace::broker {

// No call reads more than this, and a batch.
inline constexpr size_t kChecksumBytesMax = size_t{64} << 20;

struct ChecksumQuery {
  TopicPartition topic_partition;
  // The epoch the caller believes in; nullopt: any.
  std::optional<LeaderEpoch> leader_epoch;
  // From the batch that holds `from` up to `to`, or to where the replica ends. A batch that goes
  // beyond `to` is left out: next_offset tells.
  Offset from;
  Offset to;
  // About so much is read, to the end of a batch; 0: nothing, only the bounds are told.
  size_t bytes_max = 0;
  // Whether nobody waits for the answer any more; asked before each read. Null: somebody does.
  std::function<bool()> given_up = nullptr;
};

struct ReplicaChecksum {
  // OK; FENCED_LEADER_EPOCH or UNKNOWN_LEADER_EPOCH; OFFSET_OUT_OF_RANGE if `from` lies outside of
  // the bounds; CORRUPT_LOG for damage, at next_offset; CANCELLED if it was given up; those of a
  // replica that is not here.
  api::PartitionOutcome outcome;
  LeaderEpoch leader_epoch = kNoLeaderEpoch;
  bool is_leader = false;
  // What can be asked for: the log start, and the high watermark as far as it is written here.
  Offset log_start_offset = kNoOffset;
  Offset end_offset = kNoOffset;
  // What was read: whole batches.
  Offset from_offset = kNoOffset;
  Offset next_offset = kNoOffset;
  int64_t bytes = 0;
  uint32_t crc32c = 0;
};

// `done` runs on the shard's executor, once, unless the shard goes before.
void ChecksumReplica(const std::shared_ptr<Shard>& shard, const ChecksumQuery& query,
                     absl::AnyInvocable<void(const ReplicaChecksum&) &&> done);

}  // namespace millrace::broker

#endif  // BROKER_REPLICA_CHECKSUM_H_
