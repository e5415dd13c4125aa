// MendSegment: one attempt to repair one segment of a replica's log: the segment is copied on the
// cold-read pool of its directory, and what is damaged of it is asked of the brokers that hold the
// partition, range by range: of the leader first, then of those in sync, then of any other (S-22).
//
// What is deleted needs nobody. What is not committed is not repaired: a follower that nobody
// counts on cuts its log where the damage begins, and gets the rest from the leader again
// (Replica::MayCutDamaged).
//
// Not here: what is a repair's due (storage/segment_repair.h), when it is tried (repair_queue.h).
//
// Thread: its shard's executor.
#ifndef BROKER_SEGMENT_MENDER_H_
#define BROKER_SEGMENT_MENDER_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "base/executor.h"
#include "base/ids.h"
#include "broker/repair_channel.h"
#include "broker/shard.h"

namespace millrace::broker {

struct MenderDeps {
  NodeId self = kNoNode;
  ClusterId cluster_id;
  // To other brokers. Null: none can be asked.
  RepairChannel* channel = nullptr;
  // inter.broker.listener.name; empty: the first of each broker.
  std::string listener;
};

struct MendOutcome {
  enum class Kind : uint8_t {
    // Nothing is damaged any more: `ranges` were filled in, perhaps none.
    kWhole,
    // The log was cut there, perhaps by this attempt, the segment or the replica deleted: there is
    // nothing to repair.
    kVoid,
    // All other replicas answered, and none has what is missing.
    kNobodyHasIt,
    // Somebody could not be asked, or could not answer yet; or this broker's disk has no room.
    kLater,
  };
  Kind kind = Kind::kLater;
  int64_t ranges = 0;
  int64_t bytes = 0;
  // Who gave the last range.
  NodeId source = kNoNode;
  // Unless kWhole: why.
  absl::Status why;
};

// The segment that holds `at`. `done` runs on the shard's executor, later, once, unless the shard
// goes before.
void MendSegment(const std::shared_ptr<Shard>& shard, const MenderDeps& deps,
                 const TopicPartition& topic_partition, Offset at,
                 absl::AnyInvocable<void(const MendOutcome&) &&> done);

}  // namespace millrace::broker

#endif  // BROKER_SEGMENT_MENDER_H_
