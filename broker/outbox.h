// What goes into a replica with a call, and what it wants done: ProduceEvent and FetchQuery, and
// the Outbox that its shard drains after every step.
//
// Values only. Thread: their shard's executor.
#ifndef BROKER_OUTBOX_H_
#define BROKER_OUTBOX_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "api/partition_name.h"
#include "api/produce.h"
#include "base/bytes.h"
#include "base/ids.h"
#include "base/monotonic_time.h"
#include "broker/replica_log.h"
#include "broker/replica_messages.h"
#include "broker/waiters.h"
#include "rsm/record.h"

namespace millrace::broker {

// The times a step may use.
using rsm::Now;

struct ProduceEvent {
  ProduceId id;
  // As in api::ProducePartition. Memory that nobody else holds becomes the log's; other is copied.
  Bytes batches;
  std::optional<LeaderEpoch> leader_epoch;
  std::optional<uint32_t> topic_checksum;
  api::Acks acks = api::Acks::kAll;
  MonotonicTime deadline = MonotonicTime::Never();
  // When it came to the broker.
  MonotonicTime arrived;
};

struct ProduceReply {
  ProduceId id;
  api::PartitionOutcome outcome;
  Offset base_offset = kNoOffset;
  // How many were acknowledged.
  int64_t records = 0;
  int64_t log_append_time_ms = -1;
  Offset log_start_offset = kNoOffset;
  api::DurabilityLevel level = api::DurabilityLevel::kUnspecified;
  // Of acks=all: when the leader's own log had it, as far as it is noted. From then on it waited
  // for other replicas.
  MonotonicTime synced;
  // When the shard answered; set by the shard.
  MonotonicTime answered;
};

// DeleteRecords on one partition.
struct DeletionEvent {
  ProduceId id;
  // Records below go; kNoOffset: all up to the high watermark.
  Offset before;
  MonotonicTime deadline = MonotonicTime::Never();
};

struct DeletionReply {
  ProduceId id;
  api::PartitionOutcome outcome;
  Offset log_start_offset = kNoOffset;
};

struct FetchQuery {
  Offset offset;
  std::optional<LeaderEpoch> leader_epoch;
  size_t bytes_max = 0;
  // Return the first batch even if it is larger than bytes_max.
  bool at_least_one = true;
  // The reader is in this broker's rack: a follower may serve it (KIP-392).
  bool nearby = false;
  // When it is asked.
  MonotonicTime now = MonotonicTime();
};

struct FetchAnswer {
  api::PartitionOutcome outcome;
  Offset high_watermark = kNoOffset;
  Offset last_stable_offset = kNoOffset;
  Offset log_start_offset = kNoOffset;
  // Empty with an error.
  LogRead read;
};

// What a replica wants done. One Outbox serves all steps of a shard: it keeps its memory.
struct Outbox {
  std::vector<ProduceReply> produced;
  std::vector<DeletionReply> deleted;
  std::vector<ParkId> woken;
  // Bytes of batches that had to be copied because somebody else holds their memory.
  int64_t copied_bytes = 0;

  // As a follower, to its leader.
  std::vector<AttachTo> attaches;
  std::vector<PositionTo> positions;
  // As a leader, to its followers.
  std::vector<AttachReplyTo> attach_replies;
  std::vector<Sendable> sendable;
  // As either, to the other.
  std::vector<DetachTo> detaches;
  // To the controller.
  std::vector<IsrProposal> isr_proposals;
  // To the operator.
  std::vector<ReplicaNotice> notices;

  bool empty() const {
    return produced.empty() && deleted.empty() && woken.empty() && attaches.empty() &&
           positions.empty() && attach_replies.empty() && sendable.empty() && detaches.empty() &&
           isr_proposals.empty() && notices.empty();
  }
  void Clear() {
    produced.clear();
    deleted.clear();
    woken.clear();
    copied_bytes = 0;
    attaches.clear();
    positions.clear();
    attach_replies.clear();
    sendable.clear();
    detaches.clear();
    isr_proposals.clear();
    notices.clear();
  }
};

}  // namespace millrace::broker

#endif  // BROKER_OUTBOX_H_
