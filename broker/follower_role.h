// FollowerRole: what a replica does while another broker leads: attaches to it, cuts what the
// leader does not have, takes its batches, and tells how far it is. Readers that are parked here
// wake when the high watermark passes them, and when this is attached no more.
//
// It asks by epoch and cuts itself (KIP-101, KIP-279); the high watermark is raised only after the
// check of this attach, to at most the log end (S-14, KAFKA-14704). It takes only what belongs to
// the epoch of its own metadata and to the present attach, and never learns an epoch from a leader.
// Lost streams and refusals are answered with a new attach after a pause that doubles, until a push
// is taken or a stream has lasted. If the disk takes nothing, the pause is the longest at once.
//
// Not here: streams (replication/), whom to follow (replica.h). Thread: its Replica's.
#ifndef BROKER_FOLLOWER_ROLE_H_
#define BROKER_FOLLOWER_ROLE_H_

#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/ids.h"
#include "base/monotonic_time.h"
#include "broker/held_partition.h"
#include "broker/outbox.h"
#include "broker/replica_messages.h"

namespace millrace::broker {

class FollowerRole {
 public:
  // `held` is the replica's and outlives this.
  explicit FollowerRole(HeldPartition* held) : held_(held) {}

  // `leader` leads in the new epoch held->leader_epoch: attaches to it, also if it led before.
  // REQUIRES: no other is followed (Leave).
  void Follow(NodeId leader, MonotonicTime now, Outbox* outbox);
  // There is nobody to follow. The leader followed so far is told `why`.
  void Leave(const absl::Status& why, Outbox* outbox);

  void OnAttachReply(const AttachReply& reply, MonotonicTime now, Outbox* outbox);
  void OnPush(ReplicaPush push, const Now& now, Outbox* outbox);
  // The leader gave the attach up, or the stream did.
  void OnDetached(const ReplicaDetach& detach, MonotonicTime now, Outbox* outbox);
  // S-33: the leader asks whether it is followed still.
  void OnAsked(Outbox* outbox);
  // The log's positions moved.
  void OnAdvanced(Outbox* outbox);
  // held->damaged has changed: attaches again, or gives the attach up and says why. While it is
  // damaged it attaches once to each leader, to say so.
  void OnDamage(MonotonicTime now, Outbox* outbox);

  void Tick(MonotonicTime now, Outbox* outbox);
  MonotonicTime next_deadline() const { return deadline_; }
  // Whom it follows, attached or not; kNoNode: nobody.
  NodeId leader() const { return leader_; }
  bool is_attached() const { return state_ == State::kAttached; }

 private:
  enum class State : uint8_t { kIdle, kPausing, kAttaching, kAttached };

  bool IsCurrent(LeaderEpoch leader_epoch, uint64_t attach) const;
  void Attach(MonotonicTime now, Outbox* outbox);
  // Attaches again after the pause, which grows.
  void Pause(MonotonicTime now, Outbox* outbox);
  void GiveUp(const absl::Status& status, MonotonicTime now, Outbox* outbox);
  // The same because of damage, until OnDamage.
  void GiveUpDamaged(MonotonicTime now, Outbox* outbox);
  // As KIP-279 says. False: there is nothing to cut, so the answer makes no sense.
  bool CutDiverging(const AttachReply& reply, Outbox* outbox);
  void CutTo(Offset to, Outbox* outbox);
  void ResetTo(Offset start, Outbox* outbox);
  void TellCut(Offset to, Outbox* outbox) const;
  absl::Status Append(ReplicaPush* push, WallTime now);
  void FollowPositions(Offset high_watermark, Offset log_start, Outbox* outbox);
  void WakeReaders(Outbox* outbox);
  void TellPosition(Outbox* outbox);

  HeldPartition* const held_;
  State state_ = State::kIdle;
  NodeId leader_ = kNoNode;
  // Of the present or last attempt.
  uint64_t attach_ = 0;
  // The next attempt, or the end of waiting for an answer.
  MonotonicTime deadline_ = MonotonicTime::Never();
  // Before the next attempt but one, if nothing comes of the next.
  absl::Duration pause_;
  // While it is attached: since when.
  MonotonicTime attached_at_;
  // Told in this attach.
  std::optional<LogPosition> told_;
  std::optional<Offset> told_log_start_;
};

}  // namespace millrace::broker

#endif  // BROKER_FOLLOWER_ROLE_H_
