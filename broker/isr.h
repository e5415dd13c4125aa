// Isr: the leader's view of who is in sync: the committed set and the one it has proposed, how far
// every replica has come, who may join, who lags, and the life of a proposal.
//
// S-15: positions are taken over the maximal set (committed plus proposed), the min ISR test is on
// the committed set only; the union stays until a refusal at the same partition epoch, or metadata
// with a higher one. S-02, S-06: a position is what was written, or what is durable, by the topic's
// level. Joining: KIP-841, KIP-903, KAFKA-7128. S-34: the high watermark waits for outsiders that
// are as near as they will come by themselves, for a bounded time.
//
// Not here: batches and streams (follower_feeds.h), what the common position makes of waiters
// (leader_role.h). Source: Kafka's Partition.scala, KIP-497 and KIP-966, by their conditions.
// Thread: its Replica's.
#ifndef BROKER_ISR_H_
#define BROKER_ISR_H_

#include <algorithm>
#include <cstdint>
#include <optional>

#include "absl/container/inlined_vector.h"
#include "absl/functional/function_ref.h"
#include "absl/time/time.h"
#include "base/ids.h"
#include "base/monotonic_time.h"
#include "broker/held_partition.h"
#include "broker/outbox.h"
#include "broker/replica_messages.h"
#include "metadata/image.h"

namespace millrace::broker {

class Isr {
 public:
  // `held` is the replica's and outlives this.
  explicit Isr(HeldPartition* held) : held_(held) {}

  // --- The metadata ---
  // This broker leads a new epoch: what followers said before counts no more (S-14).
  void Begin(const metadata::PartitionImage& partition, const BrokerStandings& standings,
             MonotonicTime now);
  // In the same epoch, not older than what is known.
  void OnMetadata(const metadata::PartitionImage& partition, const BrokerStandings& standings,
                  MonotonicTime now, Outbox* outbox);
  // Brokers were fenced, unfenced or registered anew.
  void OnStandings(const BrokerStandings& standings, MonotonicTime now);

  // --- Followers ---
  // It wants to attach, and its log ends at `end`: what it said before counts no more. Reports lost
  // data if that is below what it acknowledged in this epoch: then it leaves, and is no eligible
  // leader either (S-05).
  void OnAttaching(NodeId follower, Offset end, MonotonicTime now, Outbox* outbox);
  // The divergence check passed.
  void OnAttached(FollowerId follower, MonotonicTime now);
  void OnDetached(NodeId follower, MonotonicTime now);
  // It said that its log is damaged: it leaves at once, is no eligible leader either, until it
  // attaches again (S-35).
  void OnDamaged(NodeId follower);
  // REQUIRES: told in the current attach.
  void OnPosition(NodeId follower, LogPosition position, MonotonicTime now);
  // The same; before its position.
  void OnLogStart(NodeId follower, Offset log_start);
  // Asked at `asked_at`, it has said since then that it follows in this epoch (S-33).
  // REQUIRES: told in the current attach.
  void OnConfirmed(NodeId follower, MonotonicTime asked_at);
  // The leader's log grew; it ended at `before`.
  void OnAppended(Offset before, MonotonicTime now);

  // --- Changes ---
  void OnAnswer(const IsrAnswer& answer, MonotonicTime now, Outbox* outbox);
  // S-07: all members have on their disks what was acknowledged before the topic's level was
  // raised, and the controllers do not know it yet; or they do, or there is nothing to be known.
  void SetRaised(bool raised) { raised_ = raised; }
  // Proposes what is due, if nothing is in flight.
  void Propose(MonotonicTime now, Outbox* outbox);
  // When Propose or the common position may change by time alone.
  MonotonicTime next_deadline() const;

  // --- What follows ---
  // The offset up to which all that must be waited for have come; nullopt while one of them has not
  // said how far it is.
  std::optional<Offset> CommonPosition(MonotonicTime now) const;
  // Up to where all of the maximal set have deleted, on their disks (KIP-107); nullopt while one
  // has not said how far it is, or nothing may be promised for want of replicas in sync.
  std::optional<Offset> CommonLogStart() const;
  // Somebody was told that what lies below is gone: who joins must have deleted it too.
  void PromiseLogStart(Offset start) { promised_log_start_ = std::max(promised_log_start_, start); }
  // Whether the high watermark waits for what this follower has yet to get: it is of the maximal
  // set, or an outsider that is about to join (S-34).
  bool IsAwaited(NodeId follower, MonotonicTime now) const;
  // So many committed members it takes for something to be committed: min.insync.replicas, never
  // more than there are replicas (S-16); and not fewer than the controller counted with in its last
  // answer, which may come before the metadata that raised it. By that number it keeps eligible
  // leaders, who would lack what fewer commit.
  int Min() const;
  bool HasMin() const;
  // S-33: whether at `since`, or later, nobody else led: all who could be elected followed then.
  bool IsConfirmedSince(MonotonicTime since) const;

  // How many records each other replica lacks of the leader's log. One that has not said in this
  // leader epoch how far it is has what is committed if it is in sync, and else nothing.
  void ForEachLag(absl::FunctionRef<void(NodeId follower, int64_t records)> visit) const;

  const metadata::BrokerList& committed() const { return committed_; }
  bool has_proposal() const { return proposed_.has_value(); }
  // The log end when this leadership began.
  Offset epoch_start() const { return epoch_start_; }
  // Another replica, by the newest partition that is known. Standings may be of a later image.
  bool IsMember(NodeId broker) const;
  // Null if the image has no replica there.
  const BrokerStanding* FindStanding(NodeId broker) const;

 private:
  // Another replica.
  struct Member {
    NodeId broker = kNoNode;
    // Of the run that is attached, or was last.
    BrokerEpoch epoch = kNoBrokerEpoch;
    bool attached = false;
    // Nothing, until it is told after an attach.
    std::optional<LogPosition> position;
    // Of its log on its disk. Nothing beside a position: its version does not tell, and is trusted.
    std::optional<Offset> log_start;
    // The greatest position of this leader epoch (S-05).
    LogPosition acknowledged;
    // Since then its log ended below that, and it was not proposed to join. Also of one out of
    // sync: it may be eligible, or become that by metadata that is under way.
    bool lost_data = false;
    bool damaged = false;
    // When it was asked whether it follows in this epoch, and confirmed that. In this attach.
    std::optional<MonotonicTime> confirmed_at;
    // The leader's log ended at `mark` at `mark_at`. Who reaches it had caught up then.
    Offset mark;
    MonotonicTime mark_at;
    // How long ago the end was that it reached last; in this attach.
    absl::Duration behind = absl::InfiniteDuration();
    MonotonicTime caught_up_at;
    // S-34: the high watermark waits for this outsider until the first (zero: it does not), and not
    // again before the second.
    MonotonicTime awaited_until;
    MonotonicTime await_again_at;
  };

  using Members = absl::InlinedVector<IsrMember, 4>;

  void TakeMembers(const metadata::PartitionImage& partition, MonotonicTime now);
  // Their logs were cut or found damaged, as their brokers said when they registered.
  void TakeImpaired(const metadata::PartitionImage& partition);
  Member* Find(NodeId broker);
  Offset Counted(const Member& member) const;
  bool IsAtEnd(const Member& member) const;
  bool InMaximal(NodeId broker) const;
  // S-34: of one that is not of the maximal set.
  bool IsAwaitedOutsider(const Member& member, MonotonicTime now) const;
  // Registered as the run that is attached, not fenced and not shutting down.
  bool IsEligible(const Member& member) const;
  bool MayJoin(const Member& member) const;
  // Has not been at the end of the leader's log for too long.
  bool Lags(const Member& member, MonotonicTime now) const;
  bool MustLeave(const Member& member, MonotonicTime now) const;
  // Lacks something that the others count on: lost (S-05), or damaged (S-35).
  static bool Lacks(const Member& member);
  metadata::BrokerList ThoseThatLackBeside(const metadata::BrokerList& isr) const;
  bool AnyThatLacksIsEligible() const;
  // Whether this leader is damaged, and one of `isr` can lead in its place (S-35).
  bool HandsOverTo(const metadata::BrokerList& isr) const;
  void NoteProgress(Member* member, MonotonicTime now);
  void Commit(const metadata::BrokerList& isr, metadata::RecoveryState recovery, Outbox* outbox);
  void Refused(MonotonicTime now);
  // Whether there is something to be told with a proposal, beside the set.
  bool HasNews() const;
  metadata::BrokerList Wanted(MonotonicTime now) const;
  Members WithRuns(const metadata::BrokerList& brokers) const;
  void Emit(Outbox* outbox) const;

  HeldPartition* const held_;
  metadata::BrokerList committed_;
  // Eligible leaders beside those, by the last metadata.
  metadata::BrokerList eligible_;
  // Of an answer that is newer than the metadata; else 0.
  int answered_min_ = 0;
  // In flight; its outcome may be unknown. With the runs that were counted when it was decided: put
  // out again, it must not name later ones, which have said nothing yet (KIP-903).
  std::optional<Members> proposed_;
  metadata::RecoveryState recovery_ = metadata::RecoveryState::kRecovered;
  bool raised_ = false;
  // When the proposal in flight is put out again; Never while its answer is awaited.
  MonotonicTime repeat_at_ = MonotonicTime::Never();
  // After a refusal nothing is proposed before this; zero once it has passed.
  MonotonicTime not_before_;
  int replica_count_ = 1;
  Offset epoch_start_;
  Offset promised_log_start_;
  // In the order of the metadata's replicas, without this broker.
  absl::InlinedVector<Member, 2> members_;
  BrokerStandings standings_;
};

}  // namespace millrace::broker

#endif  // BROKER_ISR_H_
