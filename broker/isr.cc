#include "broker/isr.h"

#include <algorithm>
#include <utility>

#include "base/mutant.h"

namespace millrace::broker {
namespace {

// How long a proposal without a clear answer waits before it is put out again, and how long one
// that was refused keeps others back.
constexpr absl::Duration kRepeatAfter = absl::Milliseconds(100);
constexpr absl::Duration kPauseAfterRefusal = absl::Milliseconds(200);
// S-34.
constexpr absl::Duration kAwaitMax = absl::Milliseconds(500);
// As far behind as one that keeps up may be: a message, and a write on a busy disk.
constexpr absl::Duration kHop = absl::Milliseconds(5);

bool Contains(const metadata::BrokerList& list, NodeId broker) {
  return std::find(list.begin(), list.end(), broker) != list.end();
}

}  // namespace

// --- The metadata ---

void Isr::Begin(const metadata::PartitionImage& partition, const BrokerStandings& standings,
                MonotonicTime now) {
  if (!MUTANT("replica.positions-outlive-the-epoch")) members_.clear();
  proposed_.reset();
  repeat_at_ = MonotonicTime::Never();
  not_before_ = now;
  committed_ = partition.isr;
  answered_min_ = 0;
  recovery_ = partition.recovery_state;
  raised_ = false;
  standings_ = standings;
  epoch_start_ = held_->log->end_offset();
  // What earlier leaders promised is part of that.
  promised_log_start_ = held_->log->durable_log_start();
  TakeMembers(partition, now);
  TakeImpaired(partition);
}

void Isr::TakeMembers(const metadata::PartitionImage& partition, MonotonicTime now) {
  absl::InlinedVector<Member, 2> members;
  const auto add = [&](NodeId broker) {
    if (broker == held_->options.self) return;
    for (const Member& member : members) {
      if (member.broker == broker) return;
    }
    if (Member* known = Find(broker)) {
      members.push_back(std::move(*known));
      return;
    }
    Member& member = members.emplace_back();
    member.broker = broker;
    member.mark_at = member.caught_up_at = member.await_again_at = now;
  };
  for (const metadata::ReplicaImage& replica : partition.replicas) add(replica.broker);
  for (const NodeId broker : partition.isr) add(broker);
  members_ = std::move(members);
  eligible_ = partition.elr;
  replica_count_ = std::max(partition.replication_factor(), 1);
}

void Isr::TakeImpaired(const metadata::PartitionImage& partition) {
  for (const NodeId broker : partition.impaired) {
    // One that has attached since was checked.
    if (Member* const member = Find(broker)) member->damaged |= !member->attached;
  }
}

void Isr::OnMetadata(const metadata::PartitionImage& partition, const BrokerStandings& standings,
                     MonotonicTime now, Outbox* outbox) {
  TakeMembers(partition, now);
  OnStandings(standings, now);
  TakeImpaired(partition);
  // The settings are at least as new as this.
  answered_min_ = 0;
  // The proposal was decided on an older partition epoch: it has taken effect, or never will.
  if (partition.partition_epoch > held_->partition_epoch) {
    proposed_.reset();
    Commit(partition.isr, partition.recovery_state, outbox);
  }
}

void Isr::OnStandings(const BrokerStandings& standings, MonotonicTime now) {
  standings_ = standings;
  for (Member& member : members_) {
    const BrokerStanding* standing = FindStanding(member.broker);
    if (standing == nullptr || standing->epoch <= member.epoch) continue;
    // A newer run is registered: it has to say itself what it has.
    OnDetached(member.broker, now);
    member.position.reset();
    member.log_start.reset();
  }
}

bool Isr::IsMember(NodeId broker) const {
  return std::any_of(members_.begin(), members_.end(),
                     [&](const Member& member) { return member.broker == broker; });
}

const BrokerStanding* Isr::FindStanding(NodeId broker) const {
  for (const BrokerStanding& standing : standings_) {
    if (standing.broker == broker) return &standing;
  }
  return nullptr;
}

// --- Followers ---

void Isr::OnAttaching(NodeId follower, Offset end, MonotonicTime now, Outbox* outbox) {
  Member* member = Find(follower);
  if (member == nullptr) return;
  OnDetached(follower, now);
  member->position.reset();
  member->log_start.reset();
  const bool was_damaged = std::exchange(member->damaged, false);
  const bool durable = held_->settings.durable;
  const Offset acknowledged = member->acknowledged.Counted(durable);
  if (end >= acknowledged) return;
  member->lost_data = true;
  member->acknowledged = {end, end};
  // It has cut what was damaged, as it said that it is (S-22).
  if (was_damaged) return;
  ReplicaNotice& notice = outbox->notices.emplace_back();
  notice.kind = ReplicaNotice::Kind::kFollowerLostData;
  notice.topic_partition = held_->topic_partition;
  notice.replica = follower;
  notice.from = end;
  notice.to = acknowledged;
}

void Isr::OnAttached(FollowerId follower, MonotonicTime now) {
  Member* member = Find(follower.broker);
  if (member == nullptr) return;
  member->epoch = follower.epoch;
  member->attached = true;
  member->confirmed_at.reset();
  member->mark = held_->log->end_offset();
  member->mark_at = now;
  member->behind = absl::InfiniteDuration();
}

void Isr::OnDetached(NodeId follower, MonotonicTime now) {
  Member* member = Find(follower);
  if (member == nullptr || !member->attached) return;
  if (IsAtEnd(*member)) member->caught_up_at = now;
  member->attached = false;
}

void Isr::OnDamaged(NodeId follower) {
  if (Member* const member = Find(follower)) member->damaged = true;
}

void Isr::OnPosition(NodeId follower, LogPosition position, MonotonicTime now) {
  Member* member = Find(follower);
  if (member == nullptr) return;
  member->position = position;
  member->acknowledged.written = std::max(member->acknowledged.written, position.written);
  member->acknowledged.durable = std::max(member->acknowledged.durable, position.durable);
  NoteProgress(member, now);
}

void Isr::OnLogStart(NodeId follower, Offset log_start) {
  if (Member* const member = Find(follower)) member->log_start = log_start;
}

void Isr::OnConfirmed(NodeId follower, MonotonicTime asked_at) {
  if (Member* const member = Find(follower)) member->confirmed_at = asked_at;
}

void Isr::OnAppended(Offset before, MonotonicTime now) {
  for (Member& member : members_) {
    if (!member.attached || !member.position || Counted(member) < before) continue;
    member.caught_up_at = member.mark_at = now;
    member.mark = held_->log->end_offset();
  }
}

void Isr::NoteProgress(Member* member, MonotonicTime now) {
  const Offset end = held_->log->end_offset();
  absl::Duration behind = absl::ZeroDuration();
  if (Counted(*member) >= end) {
    member->caught_up_at = now;
  } else if (Counted(*member) >= member->mark) {
    behind = now - member->mark_at;
    member->caught_up_at = std::max(member->caught_up_at, member->mark_at);
  } else {
    return;
  }
  member->mark = end;
  member->mark_at = now;
  const absl::Duration before = std::exchange(member->behind, behind);
  if (InMaximal(member->broker) || !IsEligible(*member) || now < member->await_again_at) return;
  // As long as it comes nearer by itself, waiting would only cost the producers; and where it is
  // too far behind, waiting would not bring it in.
  const bool comes_nearer = behind > kHop && behind <= before / 2;
  if (comes_nearer || behind > kAwaitMax) return;
  member->awaited_until = now + kAwaitMax;
  member->await_again_at = now + held_->options.lag_time_max;
}

// --- Changes ---

void Isr::Commit(const metadata::BrokerList& isr, metadata::RecoveryState recovery,
                 Outbox* outbox) {
  const auto tell = [&](ReplicaNotice::Kind kind, NodeId broker) {
    ReplicaNotice& notice = outbox->notices.emplace_back();
    notice.kind = kind;
    notice.topic_partition = held_->topic_partition;
    notice.replica = broker;
  };
  for (const NodeId broker : committed_) {
    if (!Contains(isr, broker)) tell(ReplicaNotice::Kind::kIsrShrunk, broker);
  }
  for (const NodeId broker : isr) {
    if (!Contains(committed_, broker)) tell(ReplicaNotice::Kind::kIsrExpanded, broker);
  }
  committed_ = isr;
  recovery_ = recovery;
  repeat_at_ = MonotonicTime::Never();
}

void Isr::OnAnswer(const IsrAnswer& answer, MonotonicTime now, Outbox* outbox) {
  const bool of_mine = proposed_.has_value() && answer.leader_epoch == held_->leader_epoch &&
                       answer.partition_epoch == held_->partition_epoch;
  const bool known = answer.state.has_value() && answer.state->leader_epoch == held_->leader_epoch;
  if (known && (answer.state->partition_epoch > held_->partition_epoch ||
                MUTANT("replica.older-answer-counts"))) {
    // Before the metadata says it; that will bring the same, or something newer (KAFKA-13091).
    proposed_.reset();
    // The metadata will say whether it was taken.
    raised_ = false;
    held_->partition_epoch = answer.state->partition_epoch;
    eligible_.clear();
    if (!MUTANT("replica.answer-without-its-minimum")) answered_min_ = answer.state->min_isr;
    return Commit(answer.state->isr, answer.state->recovery_state, outbox);
  }
  if (!of_mine || MUTANT("replica.refusal-keeps-the-union")) return;
  if (known && answer.state->partition_epoch == held_->partition_epoch) return Refused(now);
  if (MUTANT("replica.unknown-is-refused")) return Refused(now);
  // Perhaps it took effect. A higher leader epoch will come with the metadata.
  repeat_at_ = now + kRepeatAfter;
}

void Isr::Refused(MonotonicTime now) {
  proposed_.reset();
  repeat_at_ = MonotonicTime::Never();
  not_before_ = now + kPauseAfterRefusal;
  // Nobody waits for those that may not join.
  for (Member& member : members_) member.awaited_until = MonotonicTime();
}

void Isr::Propose(MonotonicTime now, Outbox* outbox) {
  for (Member& member : members_) {
    if (member.awaited_until <= now) member.awaited_until = MonotonicTime();
  }
  if (proposed_.has_value() && !MUTANT("replica.two-changes-in-flight")) {
    if (repeat_at_ > now) return;
    repeat_at_ = MonotonicTime::Never();
    return Emit(outbox);
  }
  if (now < not_before_) return;
  not_before_ = MonotonicTime();
  const metadata::BrokerList wanted = Wanted(now);
  if (wanted == committed_ && !HasNews()) return;
  for (Member& member : members_) {
    // It joins with all that is committed.
    if (Contains(wanted, member.broker)) member.lost_data = false;
  }
  proposed_ = WithRuns(wanted);
  Emit(outbox);
}

bool Isr::HasNews() const {
  // KIP-704: this leader's log is open, so it has recovered. S-07: while too few are in sync, there
  // may be eligible leaders who do not have it.
  return recovery_ != metadata::RecoveryState::kRecovered || (raised_ && HasMin()) ||
         AnyThatLacksIsEligible();
}

metadata::BrokerList Isr::Wanted(MonotonicTime now) const {
  metadata::BrokerList wanted;
  // Order as in the committed set; the controller keeps its own.
  for (const NodeId broker : committed_) {
    const auto member = std::find_if(members_.begin(), members_.end(),
                                     [&](const Member& m) { return m.broker == broker; });
    if (member == members_.end() || !MustLeave(*member, now)) wanted.push_back(broker);
  }
  for (const Member& member : members_) {
    if (Contains(committed_, member.broker) || !MayJoin(member)) continue;
    // It would have to leave at once, and so on without end: while nothing can be committed, one
    // that hears nothing has all that is committed.
    if (!Lags(member, now)) wanted.push_back(member.broker);
  }
  // The controller elects one of them then.
  if (HandsOverTo(wanted)) {
    wanted.erase(std::find(wanted.begin(), wanted.end(), held_->options.self));
  }
  return wanted;
}

metadata::BrokerList Isr::ThoseThatLackBeside(const metadata::BrokerList& isr) const {
  metadata::BrokerList lacking;
  for (const Member& member : members_) {
    if (Lacks(member) && !Contains(isr, member.broker)) lacking.push_back(member.broker);
  }
  return lacking;
}

bool Isr::AnyThatLacksIsEligible() const {
  return std::any_of(members_.begin(), members_.end(), [&](const Member& member) {
    return Lacks(member) && Contains(eligible_, member.broker);
  });
}

bool Isr::HandsOverTo(const metadata::BrokerList& isr) const {
  if (!held_->damaged || recovery_ != metadata::RecoveryState::kRecovered) return false;
  if (!Contains(isr, held_->options.self)) return false;
  // Of those that are in sync by the metadata too: whoever joins with this proposal comes later.
  return std::any_of(members_.begin(), members_.end(), [&](const Member& member) {
    return Contains(committed_, member.broker) && Contains(isr, member.broker) &&
           IsEligible(member);
  });
}

Isr::Members Isr::WithRuns(const metadata::BrokerList& brokers) const {
  Members members;
  for (const NodeId broker : brokers) {
    const BrokerStanding* standing = FindStanding(broker);
    members.push_back({broker, standing == nullptr ? kNoBrokerEpoch : standing->epoch});
  }
  return members;
}

void Isr::Emit(Outbox* outbox) const {
  IsrProposal& proposal = outbox->isr_proposals.emplace_back();
  proposal.topic_partition = held_->topic_partition;
  proposal.leader_epoch = held_->leader_epoch;
  proposal.partition_epoch = held_->partition_epoch;
  proposal.new_isr = *proposed_;
  if (MUTANT("replica.names-later-runs")) {
    for (IsrMember& member : proposal.new_isr) member.epoch = FindStanding(member.broker)->epoch;
  }
  metadata::BrokerList isr;
  for (const IsrMember& member : *proposed_) isr.push_back(member.broker);
  proposal.damaged = ThoseThatLackBeside(isr);
  proposal.recovery_state = metadata::RecoveryState::kRecovered;
  proposal.raised = raised_ && HasMin();
}

MonotonicTime Isr::next_deadline() const {
  MonotonicTime next = repeat_at_;
  const bool open = !proposed_.has_value();
  if (open && HasNews()) next = not_before_;
  if (open && HandsOverTo(committed_)) next = std::min(next, not_before_);
  for (const Member& member : members_) {
    if (InMaximal(member.broker)) {
      if (!open || (IsAtEnd(member) && !Lacks(member))) continue;
      const MonotonicTime leaves =
          Lacks(member) ? not_before_ : member.caught_up_at + held_->options.lag_time_max;
      next = std::min(next, std::max(leaves, not_before_));
    } else {
      // When an awaited one's time ends, the high watermark goes on.
      if (member.awaited_until != MonotonicTime()) next = std::min(next, member.awaited_until);
      const bool paused = not_before_ != MonotonicTime();
      if (open && paused && MayJoin(member)) next = std::min(next, not_before_);
    }
  }
  return next;
}

// --- What follows ---

std::optional<Offset> Isr::CommonPosition(MonotonicTime now) const {
  Offset smallest = MUTANT("replica.staged-counts")
                        ? held_->log->end_offset()
                        : held_->position().Counted(held_->settings.durable);
  for (const Member& member : members_) {
    if (InMaximal(member.broker)) {
      if (!member.position && MUTANT("replica.silent-members-not-counted")) continue;
      if (!member.position) return std::nullopt;
      smallest = std::min(smallest, Counted(member));
    } else if (IsAwaitedOutsider(member, now)) {
      smallest = std::min(smallest, Counted(member));
    }
  }
  return smallest;
}

std::optional<Offset> Isr::CommonLogStart() const {
  if (!HasMin() && !MUTANT("replica.deletes-under-min")) return std::nullopt;
  Offset smallest = held_->log->durable_log_start();
  if (MUTANT("replica.deletes-alone")) return smallest;
  for (const Member& member : members_) {
    if (!InMaximal(member.broker)) continue;
    if (!member.position) return std::nullopt;
    if (member.log_start) smallest = std::min(smallest, *member.log_start);
  }
  return smallest;
}

bool Isr::IsAwaitedOutsider(const Member& member, MonotonicTime now) const {
  return member.position && now < member.awaited_until && IsEligible(member);
}

bool Isr::IsAwaited(NodeId follower, MonotonicTime now) const {
  if (InMaximal(follower)) return true;
  return std::any_of(members_.begin(), members_.end(), [&](const Member& member) {
    return member.broker == follower && IsAwaitedOutsider(member, now);
  });
}

int Isr::Min() const {
  return std::max(std::min(held_->settings.min_insync_replicas, replica_count_), answered_min_);
}

bool Isr::HasMin() const {
  const size_t size = MUTANT("replica.proposed-counts-for-min") && proposed_.has_value()
                          ? proposed_->size()
                          : committed_.size();
  return static_cast<int>(size) >= Min();
}

void Isr::ForEachLag(absl::FunctionRef<void(NodeId, int64_t)> visit) const {
  const Offset end = held_->log->end_offset();
  for (const Member& member : members_) {
    Offset has =
        member.position ? Counted(member) : member.acknowledged.Counted(held_->settings.durable);
    if (!member.position && Contains(committed_, member.broker)) {
      has = std::max(has, held_->high_watermark);
    }
    has = std::max(has, held_->log->log_start_offset());
    visit(member.broker, std::max<int64_t>(end - has, 0));
  }
}

bool Isr::IsConfirmedSince(MonotonicTime since) const {
  // Under the minimum there may be eligible leaders out of the set, which this broker does not know
  // of (KIP-966).
  if (!HasMin() && !MUTANT("replica.confirmed-under-min")) return false;
  for (const Member& member : members_) {
    // The controllers may have agreed to what was proposed, and elected one of that.
    if (!InMaximal(member.broker)) continue;
    const bool confirmed = member.attached && member.confirmed_at >= since;
    if (!confirmed) return false;
    if (MUTANT("replica.one-confirms-for-all")) return true;
  }
  return true;
}

Isr::Member* Isr::Find(NodeId broker) {
  for (Member& member : members_) {
    if (member.broker == broker) return &member;
  }
  return nullptr;
}

Offset Isr::Counted(const Member& member) const {
  if (MUTANT("replica.written-counts-as-durable")) return member.position->written;
  return member.position->Counted(held_->settings.durable);
}

bool Isr::IsAtEnd(const Member& member) const {
  return member.attached && member.position && Counted(member) >= held_->log->end_offset();
}

bool Isr::InMaximal(NodeId broker) const {
  if (Contains(committed_, broker)) return true;
  if (MUTANT("replica.proposed-not-counted")) return false;
  return proposed_.has_value() &&
         std::any_of(proposed_->begin(), proposed_->end(),
                     [&](const IsrMember& member) { return member.broker == broker; });
}

bool Isr::IsEligible(const Member& member) const {
  const BrokerStanding* standing = FindStanding(member.broker);
  if (standing == nullptr || !member.attached) return false;
  return standing->epoch == member.epoch && standing->may_join;
}

bool Isr::MayJoin(const Member& member) const {
  if (!IsEligible(member) || !member.position) return false;
  const Offset counted = Counted(member);
  // KAFKA-7128: beyond what earlier epochs may have acknowledged and this leader does not know of.
  if (counted < epoch_start_ && !MUTANT("replica.joins-below-epoch-start")) return false;
  if (member.log_start && *member.log_start < promised_log_start_ &&
      !MUTANT("replica.joins-with-what-was-deleted")) {
    return false;
  }
  return counted >= held_->high_watermark || MUTANT("replica.joins-below-high-watermark");
}

bool Isr::Lags(const Member& member, MonotonicTime now) const {
  return !IsAtEnd(member) && now - member.caught_up_at >= held_->options.lag_time_max;
}

bool Isr::Lacks(const Member& member) { return member.damaged || member.lost_data; }

bool Isr::MustLeave(const Member& member, MonotonicTime now) const {
  return Lacks(member) || Lags(member, now);
}

}  // namespace millrace::broker
