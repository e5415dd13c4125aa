// FollowerFeeds: what a leader pushes to its followers: who is attached, whether a follower's log
// fits the leader's (KIP-101, KIP-279), how far each was sent, and what is new for it.
//
// A follower is told as sendable once, until TakePush has nothing more for it: nothing is polled,
// and whoever sends may take turns between many partitions. Its send position is the leader's own
// business; what the follower has is only what it says (isr.h).
//
// S-14: keyed by (follower, broker epoch) and the attach number within the leader's epoch.
// Thread: its Replica's.
#ifndef BROKER_FOLLOWER_FEEDS_H_
#define BROKER_FOLLOWER_FEEDS_H_

#include <cstdint>
#include <optional>

#include "absl/container/inlined_vector.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/ids.h"
#include "broker/held_partition.h"
#include "broker/outbox.h"
#include "broker/replica_messages.h"

namespace millrace::broker {

// Whether a follower's log that ends as `request` says is a part of `log`; if not, fills what the
// follower must cut or where it must begin again.
void CheckDivergence(const ReplicaLog& log, const AttachRequest& request, AttachReply* reply);

class FollowerFeeds {
 public:
  // `held` is the replica's and outlives this.
  explicit FollowerFeeds(HeldPartition* held) : held_(held) {}

  // From `request.end_offset` on; takes the place of an earlier attach of this follower.
  void Attach(FollowerId follower, const AttachRequest& request, Outbox* outbox);
  // Whether `follower` holds a later attach than `attach`, or this one already.
  bool IsStale(FollowerId follower, uint64_t attach) const;
  bool IsAttached(FollowerId follower, uint64_t attach) const;
  bool IsAttached(FollowerId follower) const;
  bool IsAttached(NodeId follower) const { return Find(follower) != nullptr; }
  // No push for it any more. Nothing is said to it.
  void Forget(NodeId follower);
  // The same, and it is told.
  void Detach(NodeId follower, const absl::Status& status, Outbox* outbox);
  void DetachAll(const absl::Status& status, Outbox* outbox);
  // In the same way those whose run is no longer the registered one.
  void DetachOlderThan(NodeId follower, BrokerEpoch epoch, Outbox* outbox);

  // The log's end or start, or the high watermark moved: tells who has something to be sent.
  void Tell(Outbox* outbox);
  // As Replica's.
  std::optional<PendingPush> Take(NodeId follower, size_t bytes_max, Outbox* outbox);
  void OnRead(NodeId follower, uint64_t attach, const absl::StatusOr<Offset>& next, Outbox* outbox);

 private:
  enum class Told : uint8_t { kNothing, kCanWait, kNow };
  struct Feed {
    FollowerId follower;
    uint64_t attach = 0;
    // Where the next push begins.
    Offset next;
    // A cold read is under way for the bytes there.
    bool reading = false;
    Told told = Told::kNothing;
    Offset told_high_watermark = kNoOffset;
    Offset told_log_start = kNoOffset;
  };

  Feed* Find(NodeId follower);
  const Feed* Find(NodeId follower) const;
  bool HasNewPositions(const Feed& feed) const;
  void TellOne(Feed* feed, Outbox* outbox);

  HeldPartition* const held_;
  // Those that are attached.
  absl::InlinedVector<Feed, 2> feeds_;
};

}  // namespace millrace::broker

#endif  // BROKER_FOLLOWER_FEEDS_H_
