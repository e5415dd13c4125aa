// ReplicaPort: what the replication streams of a shard do to its replicas. Implemented by the
// shard, which finds the replica and passes it the time and the outbox; by a fake in tests.
//
// Each call is one step of one replica; what is not here any more takes no notice. What replicas
// want in consequence comes when the shard drains, never from inside these calls: whoever has made
// one or more of them calls Drain.
//
// Thread: the shard's executor.
#ifndef BROKER_REPLICATION_REPLICA_PORT_H_
#define BROKER_REPLICATION_REPLICA_PORT_H_

#include <cstddef>
#include <optional>

#include "absl/status/status.h"
#include "base/ids.h"
#include "base/monotonic_time.h"
#include "broker/replica_messages.h"

namespace millrace::broker {

class ReplicaPort {
 public:
  virtual ~ReplicaPort() = default;

  // --- Of a replica that follows ---
  virtual void OnAttachReply(const AttachReply& reply) = 0;
  // Where the log ends behind this push, and up to where it is written.
  struct LogEnd {
    Offset end;
    Offset written;
  };
  virtual LogEnd OnPush(ReplicaPush push) = 0;
  // The leader gives the attach up, or the way to it is broken.
  virtual void OnDetached(const ReplicaDetach& detach) = 0;

  // S-33: it tells its position again, if it follows still.
  virtual void OnAsked(const TopicPartition& partition) = 0;

  // --- Of a replica that leads ---
  virtual void OnAttach(const FollowerId& follower, const AttachRequest& request) = 0;
  virtual void OnFollowerPosition(const FollowerId& follower, const ReplicaPosition& position) = 0;
  // That position answered what was asked at `asked_at` (S-33).
  virtual void OnFollowerConfirmed(const FollowerId& follower, const ReplicaPosition& position,
                                   MonotonicTime asked_at) = 0;
  virtual void OnFollowerDetached(const FollowerId& follower, const ReplicaDetach& detach) = 0;
  // The way to the follower is broken.
  virtual void OnFollowerGone(const FollowerId& follower,
                              const TopicPartition& topic_partition) = 0;
  // Whether the follower comes with a reassignment that has a throttle, and nobody waits for it: it
  // is not in sync, nor about to be. A Sendable tells when that ends.
  virtual bool IsThrottled(NodeId follower, const TopicPartition& partition) = 0;
  // What comes next for the follower; nullopt: nothing until the next Sendable.
  virtual std::optional<PendingPush> TakePush(NodeId follower, const TopicPartition& partition,
                                              size_t bytes_max) = 0;
  // How the cold read of the last TakePush ended: the batches that go out, or none with an error.
  virtual void OnPushRead(NodeId follower, const ReplicaPush& header,
                          const absl::StatusOr<storage::ReadResult>& read) = 0;

  virtual void Drain() = 0;
};

}  // namespace millrace::broker

#endif  // BROKER_REPLICATION_REPLICA_PORT_H_
