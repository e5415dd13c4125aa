// What the replicas of a partition say to each other, and what a leader asks of the controller, as
// values: broker/codec gives those between brokers their bytes.
//
// A follower attaches: it names the end of its log by epoch and offset, and the leader answers that
// it fits, or where they diverge (KIP-101, KIP-279). Once it fits, the leader pushes batches, and
// the follower tells its positions. Every message carries the leader epoch and the number of the
// attach it belongs to, and is dropped where these are not the current ones (S-14).
//
// A stream keeps the order of what one side sends to the other. Messages may be lost only together
// with all that follow them on the stream, and then both sides are told (Replica::OnDetached,
// OnFollowerGone).
//
// Thread: any (values).
#ifndef BROKER_REPLICA_MESSAGES_H_
#define BROKER_REPLICA_MESSAGES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/status/status.h"
#include "api/partition_name.h"
#include "base/bytes.h"
#include "base/ids.h"
#include "broker/replica_log.h"
#include "metadata/image.h"
#include "storage/epoch_cache.h"

namespace millrace::broker {

// How far one replica has come in its own log.
struct LogPosition {
  Offset written;
  Offset durable;

  Offset Counted(bool durable_level) const { return durable_level ? durable : written; }
  friend bool operator==(const LogPosition&, const LogPosition&) = default;
};

// One run of a follower's process.
struct FollowerId {
  NodeId broker = kNoNode;
  BrokerEpoch epoch = kNoBrokerEpoch;

  friend bool operator==(const FollowerId&, const FollowerId&) = default;
};

// --- Between a follower and its leader ---

// Follower to leader.
struct AttachRequest {
  TopicPartition topic_partition;
  // Where the follower's log is (S-05).
  DirectoryId directory;
  // As the follower's metadata has it.
  LeaderEpoch leader_epoch;
  // Rises with every attempt of a process.
  uint64_t attach = 0;
  // The end of the follower's log; no epoch if it is empty.
  LeaderEpoch last_epoch = kNoLeaderEpoch;
  Offset end_offset;

  friend bool operator==(const AttachRequest&, const AttachRequest&) = default;
};

// Leader to follower. With an error, or with `diverging` or `reset_to`, nothing is attached.
struct AttachReply {
  TopicPartition topic_partition;
  LeaderEpoch leader_epoch;
  uint64_t attach = 0;
  api::PartitionOutcome outcome;
  // The largest epoch of the leader's log that is not above last_epoch, and its end: the follower
  // cuts its log as KIP-279 says, and attaches anew.
  std::optional<storage::EpochEnd> diverging;
  // Nothing of the follower's log can stay: it begins again here, and attaches anew.
  std::optional<Offset> reset_to;
  Offset high_watermark;
  Offset log_start;

  friend bool operator==(const AttachReply&, const AttachReply&) = default;
};

// Leader to follower.
struct ReplicaPush {
  TopicPartition topic_partition;
  LeaderEpoch leader_epoch;
  uint64_t attach = 0;
  // Where the follower's log ends, if nothing was lost. The first batch may begin earlier only if
  // that log is empty and began inside of the batch.
  Offset base_offset;
  // Whole batches; empty: only the positions below. On the receiving side in memory of its own
  // (Buffer::Reclaim), since it becomes the log's.
  Bytes batches;
  Offset high_watermark;
  Offset log_start;

  friend bool operator==(const ReplicaPush&, const ReplicaPush&) = default;
};

// Follower to leader. Of several that wait to be sent for one attach the newest is enough, with the
// newest log start.
struct ReplicaPosition {
  TopicPartition topic_partition;
  LeaderEpoch leader_epoch;
  uint64_t attach = 0;
  LogPosition position;
  // Where its log starts on its disk; nullopt: as it told last in this attach, or, if it never did,
  // it is of a version that does not tell.
  std::optional<Offset> log_start = std::nullopt;

  friend bool operator==(const ReplicaPosition&, const ReplicaPosition&) = default;
};

// Either side gives the attach up.
struct ReplicaDetach {
  TopicPartition topic_partition;
  LeaderEpoch leader_epoch;
  uint64_t attach = 0;
  absl::Status status;

  friend bool operator==(const ReplicaDetach&, const ReplicaDetach&) = default;
};

// --- Between a leader and the controller ---

struct IsrMember {
  NodeId broker = kNoNode;
  // KIP-903: of the run that the leader counted.
  BrokerEpoch epoch = kNoBrokerEpoch;

  friend bool operator==(const IsrMember&, const IsrMember&) = default;
};

struct IsrProposal {
  TopicPartition topic_partition;
  LeaderEpoch leader_epoch;
  // Compare-and-set: the partition's metadata that this was decided on.
  PartitionEpoch partition_epoch;
  absl::InlinedVector<IsrMember, 4> new_isr;
  // Not of new_isr, and damaged: no eligible leaders either (S-35).
  metadata::BrokerList damaged;
  metadata::RecoveryState recovery_state = metadata::RecoveryState::kRecovered;
  // S-07: what was acknowledged before the topic's level was raised is on the disks of all members.
  bool raised = false;

  friend bool operator==(const IsrProposal&, const IsrProposal&) = default;
};

// The controller's answer, or that there is none: exactly one per proposal, never a late one after
// it was said that there is none. A later proposal is decided after an earlier one. With an error
// that leaves open whether the change took effect (timeouts, NOT_CONTROLLER, any other without
// `state`) the replica proposes again by itself after a pause: the sender need not.
struct IsrAnswer {
  TopicPartition topic_partition;
  // Of the proposal.
  LeaderEpoch leader_epoch;
  PartitionEpoch partition_epoch;
  absl::Status status;
  // How the partition stands now.
  struct State {
    NodeId leader = kNoNode;
    LeaderEpoch leader_epoch;
    metadata::BrokerList isr;
    PartitionEpoch partition_epoch;
    metadata::RecoveryState recovery_state = metadata::RecoveryState::kRecovered;
    // So many in sync it took when that was decided; 0: not told.
    int min_isr = 0;

    friend bool operator==(const State&, const State&) = default;
  };
  std::optional<State> state;
};

// --- What a replica knows of the brokers that hold it ---

struct BrokerStanding {
  NodeId broker = kNoNode;
  BrokerEpoch epoch = kNoBrokerEpoch;
  // Registered, not fenced and not shutting down (KIP-841).
  bool may_join = false;

  friend bool operator==(const BrokerStanding&, const BrokerStanding&) = default;
};
using BrokerStandings = absl::InlinedVector<BrokerStanding, 4>;

// Of the brokers that hold `partition`, as `image` has them.
BrokerStandings StandingsOf(const metadata::Image& image,
                            const metadata::PartitionImage& partition);

// --- What a replica wants sent ---

struct AttachTo {
  NodeId leader = kNoNode;
  AttachRequest request;
};

struct AttachReplyTo {
  FollowerId follower;
  AttachReply reply;
};

struct PositionTo {
  NodeId leader = kNoNode;
  ReplicaPosition position;
};

struct DetachTo {
  NodeId peer = kNoNode;
  ReplicaDetach detach;
};

// Replica::TakePush has something for this follower, until it says that it has nothing more.
struct Sendable {
  NodeId follower = kNoNode;
  TopicPartition topic_partition;
  // Nothing but the high watermark or log start is new: this may wait for batches for up to 1 ms.
  bool can_wait = false;
};

// What comes next for a follower: `header` without its batches, and how to get them.
struct PendingPush {
  ReplicaPush header;
  // Without pieces if only the header's positions are new. After a cold read, which holds up this
  // follower's next pushes, Replica::OnPushRead must be called.
  LogRead read;
};

// Something an operator may want to know of, for the log and for counters.
struct ReplicaNotice {
  enum class Kind : uint8_t {
    // A follower's log ends below what it had acknowledged in this leader epoch (S-05).
    kFollowerLostData,
    // This follower cut [from, to), which it had believed committed: an unclean election.
    kCutBelowHighWatermark,
    kIsrShrunk,
    kIsrExpanded,
  };
  Kind kind;
  TopicPartition topic_partition;
  // Whom it is about.
  NodeId replica = kNoNode;
  Offset from = kNoOffset;
  Offset to = kNoOffset;
};

}  // namespace millrace::broker

#endif  // BROKER_REPLICA_MESSAGES_H_
