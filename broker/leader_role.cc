#include "broker/leader_role.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/mutant.h"
#include "base/status.h"
#include "broker/produce_validation.h"
#include "record/batch_stamp.h"

namespace millrace::broker {
namespace {

bool IsKnown(api::Acks acks) { return acks >= api::Acks::kUnspecified && acks <= api::Acks::kAll; }

bool WaitsForAll(api::Acks acks) {
  return acks == api::Acks::kAll || acks == api::Acks::kUnspecified;
}

// Memory for the log to own and stamp: that of `batches` where nobody else holds it, as is the rule
// for what came over the network.
Buffer TakeMemory(Bytes* batches, int64_t* copied_bytes) {
  if (std::optional<Buffer> own = Buffer::Reclaim(batches)) return *std::move(own);
  Buffer copy(batches->size());
  std::memcpy(copy.data(), batches->data(), batches->size());
  *copied_bytes += static_cast<int64_t>(batches->size());
  return copy;
}

}  // namespace

void RefuseProduce(const HeldPartition& held, ProduceId id, const absl::Status& status,
                   Outbox* outbox) {
  ProduceReply& reply = outbox->produced.emplace_back();
  reply.id = id;
  reply.outcome = api::PartitionOutcome::Of(status);
  reply.log_start_offset = held.log->log_start_offset();
}

void RefuseDeletion(const HeldPartition& held, ProduceId id, const absl::Status& status,
                    Outbox* outbox) {
  DeletionReply& reply = outbox->deleted.emplace_back();
  reply.id = id;
  reply.outcome = api::PartitionOutcome::Of(status);
  reply.log_start_offset = held.log->log_start_offset();
}

// --- Its term ---

void LeaderRole::Begin(const metadata::PartitionImage& partition, const BrokerStandings& standings,
                       MonotonicTime now, Outbox* outbox) {
  TakeReplicas(partition);
  isr_.Begin(partition, standings, now);
  raising_ = false;
  durable_from_.reset();
  TakeRaise(partition);
  // What an earlier epoch left uncommitted has no sizes here: it counts as one byte.
  held_->uncommitted.Clear();
  if (!KnowsLatest()) held_->uncommitted.Add(isr_.epoch_start(), 1);
  Advance(now, outbox);
}

void LeaderRole::TakeReplicas(const metadata::PartitionImage& partition) {
  replicas_ = partition.replicas;
  throttled_when_behind_.clear();
  if (partition.throttle_bytes_per_s > 0) throttled_when_behind_ = partition.adding;
}

void LeaderRole::TakeRaise(const metadata::PartitionImage& partition) {
  if (!partition.raising) {
    raising_ = false;
    if (!held_->settings.durable) durable_from_.reset();
    return isr_.SetRaised(false);
  }
  if (!raising_) durable_from_ = held_->log->end_offset();
  raising_ = true;
  isr_.SetRaised(!durable_from_);
}

void LeaderRole::OnMetadata(const metadata::PartitionImage& partition,
                            const BrokerStandings& standings, bool newer, MonotonicTime now,
                            Outbox* outbox) {
  for (const BrokerStanding& standing : standings) {
    feeds_.DetachOlderThan(standing.broker, standing.epoch, outbox);
  }
  if (newer) {
    TakeReplicas(partition);
    isr_.OnMetadata(partition, standings, now, outbox);
    TakeRaise(partition);
    held_->partition_epoch = partition.partition_epoch;
  } else {
    isr_.OnStandings(standings, now);
  }
  Advance(now, outbox);
}

void LeaderRole::End(const absl::Status& why, const std::optional<LeaderHint>& hint,
                     Outbox* outbox) {
  feeds_.DetachAll(why, outbox);
  if (MUTANT("replica.waiters-outlive-the-epoch")) return;
  taken_.clear();
  leader_waiters_.TakeAll(&taken_);
  all_waiters_.TakeAll(&taken_);
  for (const ProduceWaiter& waiter : taken_) {
    Refuse(waiter.id,
           MakeError(ErrorCode::kOutcomeUnknown,
                     absl::StrCat("appended at offset ", waiter.base_offset.value(),
                                  ", then: ", why.message(), "; it may or may not stay"),
                     {.leader = hint}),
           outbox);
  }
  taken_.clear();
  deletion_waiters_.TakeAll(&taken_);
  RefuseDeletions(ErrorCode::kOutcomeUnknown, why.message(), hint, outbox);
}

// --- Clients ---

void LeaderRole::Produce(ProduceEvent event, const Now& now, Outbox* outbox) {
  if (absl::Status status = CheckAcks(event.acks, now.monotonic); !status.ok()) {
    return Refuse(event.id, status, outbox);
  }
  ProduceWaiter waiter;
  waiter.id = event.id;
  waiter.deadline = event.deadline;
  const Offset before = held_->log->end_offset();
  if (absl::Status status = Append(&event, now, &waiter, outbox); !status.ok()) {
    return Refuse(event.id, status, outbox);
  }
  if (held_->log->end_offset() > before) {
    isr_.OnAppended(before, now.monotonic);
    feeds_.Tell(outbox);
  }
  Await(event, waiter, outbox);
}

void LeaderRole::DeleteBefore(const DeletionEvent& event, Offset start, MonotonicTime now,
                              Outbox* outbox) {
  // Eligible leaders out of the in-sync set might bring back what was deleted, as they might lack
  // what was produced.
  if (absl::Status status = CheckMin(); !status.ok()) {
    return RefuseDeletion(*held_, event.id, status, outbox);
  }
  start = std::max(start, held_->log->log_start_offset());
  held_->log->RaiseLogStart(start, nullptr);
  deletion_waiters_.Add({.id = event.id, .end_offset = start, .deadline = event.deadline});
  feeds_.Tell(outbox);
  Advance(now, outbox);
}

void LeaderRole::AnswerDeletions(Outbox* outbox) {
  if (deletion_waiters_.empty()) return;
  const std::optional<Offset> common = isr_.CommonLogStart();
  if (!common) return;
  taken_.clear();
  deletion_waiters_.TakeSatisfied(*common, &taken_);
  for (const ProduceWaiter& waiter : taken_) {
    isr_.PromiseLogStart(waiter.end_offset);
    DeletionReply& reply = outbox->deleted.emplace_back();
    reply.id = waiter.id;
    reply.log_start_offset = waiter.end_offset;
  }
}

void LeaderRole::RefuseDeletions(ErrorCode code, absl::string_view why,
                                 const std::optional<LeaderHint>& hint, Outbox* outbox) {
  for (const ProduceWaiter& waiter : taken_) {
    RefuseDeletion(*held_, waiter.id,
                   MakeError(code,
                             absl::StrCat("deleted below offset ", waiter.end_offset.value(),
                                          ", but not by all replicas yet, then: ", why,
                                          "; it may or may not come back: delete it again"),
                             {.leader = hint}),
                   outbox);
  }
}

absl::Status LeaderRole::CheckMin() const {
  if (isr_.HasMin()) return absl::OkStatus();
  return MakeError(ErrorCode::kNotEnoughReplicas,
                   absl::StrCat(isr_.committed().size(), " replicas are in sync, and ",
                                "min.insync.replicas is ", isr_.Min(),
                                "; nothing was changed: try again when more are up"),
                   {.name = "min.insync.replicas"});
}

absl::Status LeaderRole::CheckAcks(api::Acks acks, MonotonicTime now) const {
  if (!IsKnown(acks)) {
    return MakeError(ErrorCode::kInvalidRequiredAcks, "acks is none, leader or all",
                     {.name = "acks", .value = absl::StrCat(static_cast<int>(acks))});
  }
  if (WaitsForAll(acks)) RETURN_IF_ERROR(CheckMin());
  // Of all it needs no leave: who follows another leader does not acknowledge to this one.
  return WaitsForAll(acks) ? absl::OkStatus() : CheckNotReplaced(now);
}

absl::Status LeaderRole::CheckNotReplaced(MonotonicTime now) const {
  const ControllerContact* const contact = held_->options.contact;
  if (contact == nullptr || !contact->IsOld(now)) return absl::OkStatus();
  if (isr_.IsConfirmedSince(now - contact->session_timeout)) return absl::OkStatus();
  if (MUTANT("replica.serves-when-cut-off")) return absl::OkStatus();
  return MakeError(
      ErrorCode::kNotLeaderOrFollower,
      absl::StrCat("this leader has not heard from the controllers for ",
                   absl::FormatDuration(absl::Trunc(now - contact->last, absl::Milliseconds(1))),
                   ", and not all replicas in sync confirm that they follow it: another may lead "
                   "by now; try again, or produce with acks=all"));
}

absl::Status LeaderRole::Append(ProduceEvent* event, const Now& now, ProduceWaiter* waiter,
                                Outbox* outbox) {
  const TopicSettings& settings = held_->settings;
  ASSIGN_OR_RETURN(const ProducedBatches batches,
                   ValidateProduce(event->batches, held_->topic_partition, event->topic_checksum,
                                   settings, now.wall));
  // Only a lone batch can be idempotent; the others have no producer, which every log accepts.
  ASSIGN_OR_RETURN(const std::optional<storage::ProducerBatch> known,
                   held_->log->CheckSequence(batches.front()));
  if (known) {
    waiter->base_offset = known->base_offset;
    waiter->end_offset = known->last_offset + 1;
    if (settings.log_append_time) waiter->log_append_time_ms = known->max_timestamp_ms;
    return absl::OkStatus();
  }
  Buffer memory = TakeMemory(&event->batches, &outbox->copied_bytes);
  if (settings.log_append_time) {
    char* at = memory.data();
    for (const record::BatchView& batch : batches) {
      record::StampLogAppendTime(at, batch.size(), now.wall.ms);
      at += batch.size();
    }
    waiter->log_append_time_ms = now.wall.ms;
  }
  ASSIGN_OR_RETURN(const storage::StagedRange range,
                   held_->log->StageAsLeader(std::move(memory), held_->leader_epoch, now.wall));
  held_->uncommitted.Add(range.end_offset, static_cast<int64_t>(range.bytes));
  waiter->base_offset = range.base_offset;
  waiter->end_offset = range.end_offset;
  return absl::OkStatus();
}

void LeaderRole::Await(const ProduceEvent& event, const ProduceWaiter& waiter, Outbox* outbox) {
  if (event.acks == api::Acks::kNone) {
    ProduceReply& reply = outbox->produced.emplace_back();
    reply.id = event.id;
    reply.log_start_offset = held_->log->log_start_offset();
    return;
  }
  const bool all = WaitsForAll(event.acks);
  // A retry may be of a batch that is acknowledged already.
  const Offset position = all ? held_->high_watermark : own_position();
  if (waiter.end_offset <= position) return Acknowledge(waiter, outbox);
  (all ? all_waiters_ : leader_waiters_).Add(waiter);
}

void LeaderRole::Acknowledge(const ProduceWaiter& waiter, Outbox* outbox) const {
  ProduceReply& reply = outbox->produced.emplace_back();
  reply.id = waiter.id;
  reply.base_offset = waiter.base_offset;
  reply.records = waiter.end_offset - waiter.base_offset;
  reply.log_append_time_ms = waiter.log_append_time_ms;
  reply.log_start_offset = held_->log->log_start_offset();
  reply.level = level();
  reply.synced = waiter.synced;
}

void LeaderRole::Refuse(ProduceId id, const absl::Status& status, Outbox* outbox) const {
  RefuseProduce(*held_, id, status, outbox);
}

// --- Followers ---

absl::Status LeaderRole::CheckFollower(FollowerId follower, DirectoryId directory) const {
  const BrokerStanding* standing = isr_.FindStanding(follower.broker);
  // A standing alone is not enough: after the answer to a proposal that the controller decided on a
  // partition of which no image has come yet, the next image is older as to the partition, and its
  // standings are taken still. Attached then, it would be no member that could ever join.
  const bool member = isr_.IsMember(follower.broker) || MUTANT("replica.attaches-before-a-member");
  if (standing == nullptr || !member) {
    return MakeError(ErrorCode::kUnknownLeaderEpoch,
                     absl::StrCat("this broker does not know broker ", follower.broker.value(),
                                  " to hold a replica of the partition; try again"));
  }
  if (follower.epoch != standing->epoch) {
    const bool newer = follower.epoch > standing->epoch;
    return MakeError(
        newer ? ErrorCode::kUnknownLeaderEpoch : ErrorCode::kStaleBrokerEpoch,
        absl::StrCat("this broker knows broker ", follower.broker.value(), " in epoch ",
                     standing->epoch.value(),
                     newer ? " and has not heard of its new registration yet; try again" : ""),
        {.name = "broker_epoch", .value = absl::StrCat(follower.epoch.value())});
  }
  for (const metadata::ReplicaImage& replica : replicas_) {
    if (replica.broker != follower.broker || replica.directory.is_zero()) continue;
    if (directory == replica.directory) continue;
    return MakeError(
        ErrorCode::kDirectoryUnavailable,
        absl::StrCat("the metadata has this replica in directory ", replica.directory.ToString()),
        {.name = "directory", .value = directory.ToString()});
  }
  return absl::OkStatus();
}

void LeaderRole::OnAttach(FollowerId follower, const AttachRequest& request, MonotonicTime now,
                          Outbox* outbox) {
  if (feeds_.IsStale(follower, request.attach)) return;
  AttachReply reply;
  reply.topic_partition = held_->topic_partition;
  reply.leader_epoch = request.leader_epoch;
  reply.attach = request.attach;
  reply.high_watermark = held_->high_watermark;
  reply.log_start = held_->log->log_start_offset();
  if (absl::Status status = CheckFollower(follower, request.directory); !status.ok()) {
    reply.outcome = api::PartitionOutcome::Of(status);
    outbox->attach_replies.push_back({follower, std::move(reply)});
    return;
  }
  feeds_.Forget(follower.broker);
  isr_.OnAttaching(follower.broker, request.end_offset, now, outbox);
  CheckDivergence(*held_->log, request, &reply);
  const bool fits = !reply.diverging && !reply.reset_to;
  outbox->attach_replies.push_back({follower, std::move(reply)});
  if (fits) {
    isr_.OnAttached(follower, now);
    feeds_.Attach(follower, request, outbox);
  }
  Advance(now, outbox);
}

void LeaderRole::OnPosition(FollowerId follower, const ReplicaPosition& position, MonotonicTime now,
                            Outbox* outbox) {
  if (!feeds_.IsAttached(follower, position.attach)) return;
  const LogPosition& at = position.position;
  if (at.durable > at.written || at.written > held_->log->end_offset()) {
    feeds_.Detach(follower.broker,
                  MakeError(ErrorCode::kInvalidRequest,
                            absl::StrCat("position {", at.written.value(), ", ", at.durable.value(),
                                         "} cannot be, since the log ends at ",
                                         held_->log->end_offset().value())),
                  outbox);
    isr_.OnDetached(follower.broker, now);
    return Advance(now, outbox);
  }
  if (position.log_start) isr_.OnLogStart(follower.broker, *position.log_start);
  isr_.OnPosition(follower.broker, at, now);
  Advance(now, outbox);
}

void LeaderRole::OnConfirmed(FollowerId follower, const ReplicaPosition& position,
                             MonotonicTime asked_at) {
  if (feeds_.IsAttached(follower, position.attach)) isr_.OnConfirmed(follower.broker, asked_at);
}

void LeaderRole::OnDetached(FollowerId follower, const ReplicaDetach& detach, MonotonicTime now,
                            Outbox* outbox) {
  const bool damaged = CodeOf(detach.status) == ErrorCode::kCorruptLog;
  if (feeds_.IsAttached(follower, detach.attach)) {
    if (damaged) isr_.OnDamaged(follower.broker);
    return OnGone(follower, now, outbox);
  }
  // Another run of this follower, or another attach, may have taken its place; else it is one whose
  // log did not fit.
  const BrokerStanding* const standing = isr_.FindStanding(follower.broker);
  const bool is_run = standing != nullptr && standing->epoch == follower.epoch;
  if (!damaged || !is_run || feeds_.IsAttached(follower.broker)) return;
  isr_.OnDamaged(follower.broker);
  Advance(now, outbox);
}

void LeaderRole::OnGone(FollowerId follower, MonotonicTime now, Outbox* outbox) {
  if (!feeds_.IsAttached(follower)) return;
  feeds_.Forget(follower.broker);
  isr_.OnDetached(follower.broker, now);
  Advance(now, outbox);
}

std::optional<PendingPush> LeaderRole::TakePush(NodeId follower, size_t bytes_max,
                                                MonotonicTime now, Outbox* outbox) {
  std::optional<PendingPush> push = feeds_.Take(follower, bytes_max, outbox);
  if (!feeds_.IsAttached(follower)) isr_.OnDetached(follower, now);
  return push;
}

void LeaderRole::OnPushRead(NodeId follower, uint64_t attach, const absl::StatusOr<Offset>& next,
                            MonotonicTime now, Outbox* outbox) {
  feeds_.OnRead(follower, attach, next, outbox);
  if (!feeds_.IsAttached(follower)) isr_.OnDetached(follower, now);
}

void LeaderRole::OnIsrAnswer(const IsrAnswer& answer, MonotonicTime now, Outbox* outbox) {
  isr_.OnAnswer(answer, now, outbox);
  Advance(now, outbox);
}

// --- The rest ---

void LeaderRole::OnSettings(const TopicSettings& before, MonotonicTime now, Outbox* outbox) {
  if (held_->settings.durable && !before.durable) durable_from_ = held_->log->end_offset();
  // Those of a raise may come after the metadata that says so.
  if (!held_->settings.durable && !raising_) durable_from_.reset();
  Advance(now, outbox);
}

void LeaderRole::Tick(MonotonicTime now, Outbox* outbox) {
  taken_.clear();
  leader_waiters_.TakeExpired(now, &taken_);
  all_waiters_.TakeExpired(now, &taken_);
  const bool short_of_replicas = !isr_.HasMin();
  for (const ProduceWaiter& waiter : taken_) {
    Refuse(waiter.id,
           MakeError(short_of_replicas ? ErrorCode::kNotEnoughReplicasAfterAppend
                                       : ErrorCode::kRequestTimedOut,
                     absl::StrCat("appended at offset ", waiter.base_offset.value(),
                                  ", but not acknowledged in time; it may or may not stay")),
           outbox);
  }
  taken_.clear();
  deletion_waiters_.TakeExpired(now, &taken_);
  RefuseDeletions(ErrorCode::kRequestTimedOut, "the time for the answer ended", {}, outbox);
  if (isr_.next_deadline() <= now) Advance(now, outbox);
}

MonotonicTime LeaderRole::next_deadline() const {
  return std::min({leader_waiters_.next_deadline(), all_waiters_.next_deadline(),
                   deletion_waiters_.next_deadline(), isr_.next_deadline()});
}

void LeaderRole::Advance(MonotonicTime now, Outbox* outbox) {
  taken_.clear();
  leader_waiters_.TakeSatisfied(own_position(), &taken_);
  all_waiters_.NoteSynced(own_position(), now);
  if (MUTANT("replica.all-is-the-leader")) all_waiters_.TakeSatisfied(own_position(), &taken_);
  const std::optional<Offset> common = isr_.CommonPosition(now);
  const bool may_rise = common && MayRiseTo(*common);
  const bool falls =
      MUTANT("replica.high-watermark-falls") && common && *common < held_->high_watermark;
  if (may_rise && (*common > held_->high_watermark || falls)) {
    held_->SetHighWatermark(*common);
    all_waiters_.TakeSatisfied(held_->high_watermark, &taken_);
    // Equal to the last stable offset as long as there are no transactions.
    held_->fetch_waiters.Advanced(
        held_->high_watermark, held_->uncommitted.TakeUpTo(held_->high_watermark), &outbox->woken);
    feeds_.Tell(outbox);
  }
  for (const ProduceWaiter& waiter : taken_) Acknowledge(waiter, outbox);
  AnswerDeletions(outbox);
  isr_.Propose(now, outbox);
  NoteThrottled(now, outbox);
}

bool LeaderRole::MayRiseTo(Offset common) {
  // It stands still while too few are in sync (KAFKA-15583), and it never falls.
  if (!isr_.HasMin() && !MUTANT("replica.high-watermark-under-min")) return false;
  if (!durable_from_) return true;
  // The metadata may be here before the settings: then it is not what is durable that counts.
  if (!held_->settings.durable || common < *durable_from_) {
    return MUTANT("replica.rises-while-the-level-is-raised");
  }
  durable_from_.reset();
  isr_.SetRaised(raising_);
  return true;
}

void LeaderRole::NoteThrottled(MonotonicTime now, Outbox* outbox) {
  if (throttled_when_behind_.empty() && throttled_.empty()) return;
  metadata::BrokerList throttled;
  for (const NodeId follower : throttled_when_behind_) {
    if (!isr_.IsAwaited(follower, now)) throttled.push_back(follower);
  }
  std::swap(throttled, throttled_);
  for (const NodeId follower : throttled) {
    if (IsThrottled(follower)) continue;
    outbox->sendable.push_back({follower, held_->topic_partition, /*can_wait=*/false});
  }
}

bool LeaderRole::IsThrottled(NodeId follower) const {
  return std::find(throttled_.begin(), throttled_.end(), follower) != throttled_.end();
}

Offset LeaderRole::own_position() const {
  return held_->position().Counted(held_->settings.durable);
}

api::DurabilityLevel LeaderRole::level() const {
  return held_->settings.durable && !durable_from_ && !raising_ ? api::DurabilityLevel::kDurable
                                                                : api::DurabilityLevel::kReplicated;
}

}  // namespace millrace::broker
