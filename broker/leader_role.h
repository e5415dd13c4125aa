// LeaderRole: what a replica does while it leads: appends and acknowledges, feeds its followers,
// moves the high watermark, and keeps the in-sync set.
//
// Rules: S-02 and S-06 (what counts), S-05 (lost data), S-07 (a level that is raised), S-11
// (waiters by epoch), S-14 (what a position proves), S-15 (which set counts where), S-33 (cut off
// from the controllers), S-38 (what "latest" may say). Not here: whether this replica leads
// (replica.h).
//
// Thread: its Replica's.
#ifndef BROKER_LEADER_ROLE_H_
#define BROKER_LEADER_ROLE_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "broker/follower_feeds.h"
#include "broker/held_partition.h"
#include "broker/isr.h"
#include "broker/outbox.h"
#include "broker/waiters.h"
#include "metadata/image.h"

namespace millrace::broker {

class LeaderRole {
 public:
  // `held` is the replica's and outlives this.
  explicit LeaderRole(HeldPartition* held) : held_(held), isr_(held), feeds_(held) {}

  // --- Its term: between Begin and End all the rest may be called ---
  // held->leader_epoch has begun.
  void Begin(const metadata::PartitionImage& partition, const BrokerStandings& standings,
             MonotonicTime now, Outbox* outbox);
  // The same epoch. `newer`: not older than held->partition_epoch; else only `standings` count.
  void OnMetadata(const metadata::PartitionImage& partition, const BrokerStandings& standings,
                  bool newer, MonotonicTime now, Outbox* outbox);
  // Answers all waiters with an outcome that is not known (S-11); followers are told `why`. To be
  // called while held->leader_epoch is still that of this term. `hint`: who leads instead.
  void End(const absl::Status& why, const std::optional<LeaderHint>& hint, Outbox* outbox);

  // --- Clients ---
  void Produce(ProduceEvent event, const Now& now, Outbox* outbox);
  // KIP-107: raises the log start; answered when no replica that may be elected has what lies below
  // any more. REQUIRES: `start` is not beyond the high watermark.
  void DeleteBefore(const DeletionEvent& event, Offset start, MonotonicTime now, Outbox* outbox);
  // Whether the high watermark has reached the log end of the election (S-38).
  bool KnowsLatest() const { return held_->high_watermark >= isr_.epoch_start(); }
  // S-33: what another leader would make untrue may be said. Error: NOT_LEADER_OR_FOLLOWER, if the
  // controllers may have elected one: they were not heard of for a session timeout, and not all who
  // could lead instead have confirmed within that time that they follow in this epoch.
  absl::Status CheckNotReplaced(MonotonicTime now) const;

  // --- Followers, in this leader epoch ---
  void OnAttach(FollowerId follower, const AttachRequest& request, MonotonicTime now,
                Outbox* outbox);
  void OnPosition(FollowerId follower, const ReplicaPosition& position, MonotonicTime now,
                  Outbox* outbox);
  // This position was the answer to the question of `asked_at` whether it follows still (S-33).
  void OnConfirmed(FollowerId follower, const ReplicaPosition& position, MonotonicTime asked_at);
  // It gave this attach up, and says why: CORRUPT_LOG if its log is damaged (S-35).
  void OnDetached(FollowerId follower, const ReplicaDetach& detach, MonotonicTime now,
                  Outbox* outbox);
  // Its stream ended.
  void OnGone(FollowerId follower, MonotonicTime now, Outbox* outbox);
  // Whether it comes with a reassignment that has a throttle, and the high watermark does not wait
  // for it.
  bool IsThrottled(NodeId follower) const;
  std::optional<PendingPush> TakePush(NodeId follower, size_t bytes_max, MonotonicTime now,
                                      Outbox* outbox);
  void OnPushRead(NodeId follower, uint64_t attach, const absl::StatusOr<Offset>& next,
                  MonotonicTime now, Outbox* outbox);
  void OnIsrAnswer(const IsrAnswer& answer, MonotonicTime now, Outbox* outbox);

  // --- The rest ---
  void OnAdvanced(MonotonicTime now, Outbox* outbox) { Advance(now, outbox); }
  // `before`: held->settings are the new ones.
  void OnSettings(const TopicSettings& before, MonotonicTime now, Outbox* outbox);
  // held->damaged has changed.
  void OnDamage(MonotonicTime now, Outbox* outbox) { Advance(now, outbox); }
  void Tick(MonotonicTime now, Outbox* outbox);
  MonotonicTime next_deadline() const;
  const Isr& isr() const { return isr_; }

 private:
  void TakeReplicas(const metadata::PartitionImage& partition);
  void TakeRaise(const metadata::PartitionImage& partition);
  absl::Status CheckMin() const;
  absl::Status CheckAcks(api::Acks acks, MonotonicTime now) const;
  absl::Status Append(ProduceEvent* event, const Now& now, ProduceWaiter* waiter, Outbox* outbox);
  void Await(const ProduceEvent& event, const ProduceWaiter& waiter, Outbox* outbox);
  void Acknowledge(const ProduceWaiter& waiter, Outbox* outbox) const;
  void Refuse(ProduceId id, const absl::Status& status, Outbox* outbox) const;
  void AnswerDeletions(Outbox* outbox);
  // Of those in `taken_`.
  void RefuseDeletions(ErrorCode code, absl::string_view why, const std::optional<LeaderHint>& hint,
                       Outbox* outbox);
  absl::Status CheckFollower(FollowerId follower, DirectoryId directory) const;
  // Whether the high watermark may rise to `common`. Notes that a raise has been reached (S-07).
  bool MayRiseTo(Offset common);
  // Recomputes what follows from positions and sets.
  void Advance(MonotonicTime now, Outbox* outbox);
  // Who is throttled from now on; tells that there is something to send for those who are no more.
  void NoteThrottled(MonotonicTime now, Outbox* outbox);
  Offset own_position() const;
  api::DurabilityLevel level() const;

  HeldPartition* const held_;
  Isr isr_;
  FollowerFeeds feeds_;
  metadata::Replicas replicas_;
  // Those that come with a reassignment that has a throttle; and of them, those that it holds back.
  metadata::BrokerList throttled_when_behind_;
  metadata::BrokerList throttled_;
  // S-07: as the metadata has it, the topic's level was raised, and counts as `replicated` until
  // the controllers know that what was acknowledged before is on the disks of the in-sync set.
  // Until then so do acknowledgements.
  bool raising_ = false;
  // Until the common position has passed this, the log end at the switch, the high watermark stands
  // still.
  std::optional<Offset> durable_from_;

  // For acks of the leader alone, by its own position; and of all, by the high watermark.
  ProduceWaiters leader_waiters_;
  ProduceWaiters all_waiters_;
  // By the log start of all.
  ProduceWaiters deletion_waiters_;
  // Memory used again in each step.
  std::vector<ProduceWaiter> taken_;
};

// The answer that refuses a deletion.
void RefuseDeletion(const HeldPartition& held, ProduceId id, const absl::Status& status,
                    Outbox* outbox);
// The answer that refuses a produce.
void RefuseProduce(const HeldPartition& held, ProduceId id, const absl::Status& status,
                   Outbox* outbox);

}  // namespace millrace::broker

#endif  // BROKER_LEADER_ROLE_H_
