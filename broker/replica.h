// Replica: one partition on this broker: its log, its role and epoch, and who waits for it. Pure:
// it is told what happened and at what time, and says all it wants through an Outbox, which its
// shard drains after the step.
//
// This is the front of it: it follows the metadata, decides which role it plays, and answers
// consumers. What a leader does is leader_role.h (with isr.h and follower_feeds.h), what a follower
// does follower_role.h; a message for the other role, or of another epoch, is refused or dropped.
// Consumers are served by the leader; those in the broker's rack by a follower, too, while it is
// attached and in sync, and it never says that an offset is out of range (S-38, KIP-392).
//
// Rules: S-01 (which leaderships count), S-11 (waiters by epoch), S-33 (a leader that is cut off
// from the controllers), S-38 (what "latest" may say). Not here: who calls (shard.h), several
// partitions at once (gather.h), files (storage/).
//
// Thread: its shard's executor.
#ifndef BROKER_REPLICA_H_
#define BROKER_REPLICA_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "api/list_offsets.h"
#include "base/counters.h"
#include "base/ids.h"
#include "base/monotonic_time.h"
#include "broker/follower_role.h"
#include "broker/held_partition.h"
#include "broker/leader_role.h"
#include "broker/outbox.h"
#include "broker/replica_log.h"
#include "broker/replica_messages.h"
#include "broker/topic_settings.h"
#include "metadata/image.h"

namespace millrace::broker {

class Replica {
 public:
  // `log` is open, and nothing was staged in it by anyone else.
  Replica(const ReplicaOptions& options, TopicPartition topic_partition,
          std::unique_ptr<ReplicaLog> log, const TopicSettings& settings);

  // --- Events ---
  // Appends, or refuses; answers through `outbox`, now or later.
  void Produce(ProduceEvent event, const Now& now, Outbox* outbox);
  // Answered in `deleted`. Errors: OFFSET_OUT_OF_RANGE beyond the high watermark;
  // NOT_ENOUGH_REPLICAS with nothing done; and as CheckLeader.
  void DeleteRecords(const DeletionEvent& event, MonotonicTime now, Outbox* outbox);
  // Parks a fetch that has read up to query.offset; wakes it at once if there is more already, or
  // if the replica does not serve the query any more.
  void Park(ParkId id, const FetchQuery& query, int64_t bytes_min, Outbox* outbox);
  void Unpark(ParkId id) { held_.fetch_waiters.Unpark(id); }
  // The log's positions moved.
  void OnAdvanced(MonotonicTime now, Outbox* outbox);
  // The log's directory failed, for good: offline from now on.
  void OnFailed(const absl::Status& status, Outbox* outbox);
  // What the metadata says now; older epochs than known are ignored. `standings`: StandingsOf it;
  // to be told also when they alone have changed. `may_lead`: the image shows this broker's own
  // registration (S-01).
  void OnMetadata(const metadata::PartitionImage& partition, const BrokerStandings& standings,
                  bool may_lead, MonotonicTime now, Outbox* outbox);
  // The min.insync.replicas of the metadata that OnMetadata tells next: they count together. A
  // raised one that came later than the in-sync set that was decided by it would let too few
  // commit; a lowered one that came before the news of another leader, too.
  void SetMinInsyncReplicas(int min) { held_.settings.min_insync_replicas = min; }
  void OnSettings(const TopicSettings& settings, MonotonicTime now, Outbox* outbox);
  // S-35: a range of the log is damaged, or is no more. While it is, a follower stays detached and
  // leaves the in-sync set, and a leader hands over to whoever else is in sync, if anybody is.
  void SetDamaged(bool damaged, MonotonicTime now, Outbox* outbox);
  // S-22: of a damaged log, what is from `at` on, where a damaged batch begins, is to be had from
  // the leader again rather than repaired: it is not committed, as far as this follower learned,
  // and nobody counts on it for what lies beyond. A leader, and whoever has a seat, never cuts.
  bool MayCutDamaged(Offset at) const;
  // Does so.
  void CutDamaged(Offset at);
  // S-33: wakes those who wait at the end of the log, if the leader may not say any more that it is
  // the end; see LeaderRole::CheckNotReplaced. They ask again, and are refused.
  void WakeIfReplaced(MonotonicTime now, Outbox* outbox);
  // Time has passed; call at or after next_deadline().
  void Tick(MonotonicTime now, Outbox* outbox);
  // The partition leaves this broker, or the broker stops: everybody is answered with `status`.
  void Stop(const absl::Status& status, Outbox* outbox);

  MonotonicTime next_deadline() const;

  // --- From its leader ---
  void OnAttachReply(const AttachReply& reply, MonotonicTime now, Outbox* outbox);
  void OnPush(ReplicaPush push, const Now& now, Outbox* outbox);
  // The leader gave the attach up; or its stream broke or could not be opened, which is said with
  // the key of the last attach that went to it. The replica attaches again after a pause.
  void OnDetached(const ReplicaDetach& detach, MonotonicTime now, Outbox* outbox);
  // S-33: whether it follows still: tells its position again, if it does.
  void OnAsked(Outbox* outbox);

  // --- From a follower ---
  void OnAttach(FollowerId follower, const AttachRequest& request, MonotonicTime now,
                Outbox* outbox);
  void OnFollowerPosition(FollowerId follower, const ReplicaPosition& position, MonotonicTime now,
                          Outbox* outbox);
  // That position answered what it was asked at `asked_at` (S-33).
  void OnFollowerConfirmed(FollowerId follower, const ReplicaPosition& position,
                           MonotonicTime asked_at);
  void OnFollowerDetached(FollowerId follower, const ReplicaDetach& detach, MonotonicTime now,
                          Outbox* outbox);
  // Its stream ended.
  void OnFollowerGone(FollowerId follower, MonotonicTime now, Outbox* outbox);
  // Whether a throttle holds the follower back; see ReplicaPort.
  bool IsThrottled(NodeId follower) const {
    return leads_ && status_.ok() && leader_role_.IsThrottled(follower);
  }
  // What comes next for a follower, at most about `bytes_max` of batches (one batch is always
  // given). Nullopt: nothing more; a Sendable tells when there is again.
  std::optional<PendingPush> TakePush(NodeId follower, size_t bytes_max, MonotonicTime now,
                                      Outbox* outbox);
  // A cold read of TakePush is done and goes on at `next_offset`, or failed: then the attach is
  // given up. `leader_epoch` and `attach` are those of the push.
  void OnPushRead(NodeId follower, LeaderEpoch leader_epoch, uint64_t attach,
                  const absl::StatusOr<Offset>& next_offset, MonotonicTime now, Outbox* outbox);

  // --- From the controller ---
  void OnIsrAnswer(const IsrAnswer& answer, MonotonicTime now, Outbox* outbox);

  // --- Queries ---
  FetchAnswer Fetch(const FetchQuery& query);
  // The offset that "latest" names. Errors: as for all calls, and OFFSET_NOT_AVAILABLE after an
  // election until the high watermark has reached the log end of then (S-38).
  absl::StatusOr<Offset> LatestOffset(std::optional<LeaderEpoch> leader_epoch,
                                      MonotonicTime now) const;
  // Fills the offset that `request` asks for, or gives the lookup that finds it. Errors, also of
  // the lookup: as for LatestOffset; INVALID_REQUEST.
  absl::StatusOr<TimeLookup> ListOffsets(const api::ListOffsetsPartition& request,
                                         MonotonicTime now,
                                         api::ListOffsetsPartitionResult* result);
  // OK if this replica leads in this epoch. Errors: NOT_LEADER_OR_FOLLOWER, FENCED_LEADER_EPOCH,
  // UNKNOWN_LEADER_EPOCH, each with the leader as known; STORAGE_ERROR; SHUTTING_DOWN.
  absl::Status CheckLeader(std::optional<LeaderEpoch> leader_epoch) const;
  // Where the largest epoch at or below `asked` ends in this leader's log; none, if it has only
  // later ones. Errors: as CheckLeader(`current`).
  absl::StatusOr<storage::EpochEnd> EndOfEpoch(std::optional<LeaderEpoch> current,
                                               LeaderEpoch asked) const;

  bool is_leader() const { return leads_; }
  LeaderEpoch leader_epoch() const { return held_.leader_epoch; }
  Offset high_watermark() const { return held_.high_watermark; }
  // Served there from now on, as long as this lives. Null: no longer.
  void ShowHighWatermarkIn(Gauge* gauge) {
    held_.shown_in = gauge;
    held_.ShowHighWatermark();
  }
  // Equal to the high watermark as long as there are no transactions.
  Offset last_stable_offset() const { return held_.high_watermark; }
  const TopicPartition& topic_partition() const { return held_.topic_partition; }
  const TopicSettings& settings() const { return held_.settings; }
  const absl::Status& status() const { return status_; }
  ReplicaLog& log() { return *held_.log; }
  const ReplicaLog& log() const { return *held_.log; }
  // Of this leadership. REQUIRES: is_leader().
  const Isr& isr() const { return leader_role_.isr(); }
  // Whether it gets what its leader appends.
  bool is_attached() const { return follower_role_.is_attached(); }
  size_t fetch_waiters() const { return held_.fetch_waiters.size(); }

 private:
  bool Leads(LeaderEpoch leader_epoch) const {
    return status_.ok() && leads_ && leader_epoch == held_.leader_epoch;
  }
  absl::StatusOr<TimeLookup> FirstSince(const api::ListOffsetsPartition& request,
                                        MonotonicTime now) const;
  // Where the log would start then.
  absl::StatusOr<Offset> CheckDeletion(Offset before, MonotonicTime now) const;
  // As CheckLeader; OK also if this follower may serve a reader nearby.
  absl::Status CheckReader(const FetchQuery& query) const;
  absl::Status CheckEpoch(std::optional<LeaderEpoch> leader_epoch) const;
  api::PartitionOutcome OutOfRange(Offset offset) const;
  // `hint`: who leads instead.
  void ResignLeader(const absl::Status& why, const std::optional<LeaderHint>& hint, Outbox* outbox);

  HeldPartition held_;
  // Not OK: offline or stopped; nothing is served.
  absl::Status status_;
  bool leads_ = false;
  // By the metadata that held_ has: in sync; or that, or an eligible leader.
  bool in_sync_ = false;
  bool has_seat_ = false;
  LeaderRole leader_role_;
  FollowerRole follower_role_;
};

}  // namespace millrace::broker

#endif  // BROKER_REPLICA_H_
