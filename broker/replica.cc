#include "broker/replica.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
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

Replica::Replica(NodeId self, TopicPartition topic_partition, std::unique_ptr<ReplicaLog> log,
                 const TopicSettings& settings)
    : topic_partition_(topic_partition),
      log_(std::move(log)),
      settings_(settings),
      status_(log_->status()),
      self_(self),
      isr_(self),
      high_watermark_(log_->log_start_offset()),
      epoch_start_(log_->end_offset()) {
  isr_.SetPosition(self_, {log_->written_offset(), log_->durable_offset()});
}

// --- Produce ---

void Replica::Produce(ProduceEvent event, const Now& now, Outbox* outbox) {
  if (absl::Status status = CheckProduce(event); !status.ok()) {
    return Refuse(event.id, status, outbox);
  }
  ProduceWaiter waiter;
  waiter.id = event.id;
  waiter.deadline = event.deadline;
  if (absl::Status status = Append(&event, now, &waiter, outbox); !status.ok()) {
    return Refuse(event.id, status, outbox);
  }
  Await(event, waiter, outbox);
}

absl::Status Replica::CheckProduce(const ProduceEvent& event) const {
  RETURN_IF_ERROR(CheckLeader(event.leader_epoch));
  if (!IsKnown(event.acks)) {
    return MakeError(ErrorCode::kInvalidRequiredAcks, "acks is none, leader or all",
                     {.name = "acks", .value = absl::StrCat(static_cast<int>(event.acks))});
  }
  if (WaitsForAll(event.acks) && !HasMinIsr()) {
    return MakeError(ErrorCode::kNotEnoughReplicas,
                     absl::StrCat(isr_.committed().size(), " replicas are in sync, and ",
                                  "min.insync.replicas is ", settings_.min_insync_replicas,
                                  "; nothing was appended: try again when more are up"),
                     {.name = "min.insync.replicas"});
  }
  return absl::OkStatus();
}

absl::Status Replica::Append(ProduceEvent* event, const Now& now, ProduceWaiter* waiter,
                             Outbox* outbox) {
  ASSIGN_OR_RETURN(const ProducedBatches batches,
                   ValidateProduce(event->batches, topic_partition_, event->topic_checksum,
                                   settings_, now.wall));
  // Only a lone batch can be idempotent; the others have no producer, which every log accepts.
  ASSIGN_OR_RETURN(const std::optional<storage::ProducerBatch> known,
                   log_->CheckSequence(batches.front()));
  if (known) {
    waiter->base_offset = known->base_offset;
    waiter->end_offset = known->last_offset + 1;
    if (settings_.log_append_time) waiter->log_append_time_ms = known->max_timestamp_ms;
    return absl::OkStatus();
  }
  Buffer memory = TakeMemory(&event->batches, &outbox->copied_bytes);
  if (settings_.log_append_time) {
    char* at = memory.data();
    for (const record::BatchView& batch : batches) {
      record::StampLogAppendTime(at, batch.size(), now.wall.ms);
      at += batch.size();
    }
    waiter->log_append_time_ms = now.wall.ms;
  }
  ASSIGN_OR_RETURN(const storage::StagedRange range,
                   log_->StageAsLeader(std::move(memory), leader_epoch_, now.wall));
  uncommitted_.push_back({range.end_offset, static_cast<int64_t>(range.bytes)});
  waiter->base_offset = range.base_offset;
  waiter->end_offset = range.end_offset;
  return absl::OkStatus();
}

void Replica::Await(const ProduceEvent& event, const ProduceWaiter& waiter, Outbox* outbox) {
  if (event.acks == api::Acks::kNone) {
    ProduceReply& reply = outbox->produced.emplace_back();
    reply.id = event.id;
    reply.log_start_offset = log_->log_start_offset();
    return;
  }
  const bool all = WaitsForAll(event.acks);
  // A retry may be of a batch that is acknowledged already.
  const Offset position = all ? high_watermark_ : isr_.own().Counted(settings_.durable);
  if (waiter.end_offset <= position) return Acknowledge(waiter, outbox);
  (all ? all_waiters_ : leader_waiters_).Add(waiter);
}

void Replica::Acknowledge(const ProduceWaiter& waiter, Outbox* outbox) const {
  ProduceReply& reply = outbox->produced.emplace_back();
  reply.id = waiter.id;
  reply.base_offset = waiter.base_offset;
  reply.records = waiter.end_offset - waiter.base_offset;
  reply.log_append_time_ms = waiter.log_append_time_ms;
  reply.log_start_offset = log_->log_start_offset();
  reply.level = level();
}

void Replica::Refuse(ProduceId id, const absl::Status& status, Outbox* outbox) const {
  ProduceReply& reply = outbox->produced.emplace_back();
  reply.id = id;
  reply.outcome = api::PartitionOutcome::Of(status);
  reply.log_start_offset = log_->log_start_offset();
}

// --- Fetch ---

void Replica::Park(ParkId id, Offset offset, std::optional<LeaderEpoch> leader_epoch,
                   int64_t bytes_min, Outbox* outbox) {
  if (offset < last_stable_offset() || !CheckLeader(leader_epoch).ok()) {
    outbox->woken.push_back(id);
    return;
  }
  fetch_waiters_.Park(id, offset, bytes_min);
}

FetchAnswer Replica::Fetch(const FetchQuery& query) {
  FetchAnswer answer;
  if (absl::Status status = CheckLeader(query.leader_epoch); !status.ok()) {
    answer.outcome = api::PartitionOutcome::Of(status);
    return answer;
  }
  answer.high_watermark = high_watermark_;
  answer.last_stable_offset = last_stable_offset();
  answer.log_start_offset = log_->log_start_offset();
  if (query.offset < answer.log_start_offset || query.offset > log_->end_offset()) {
    answer.outcome = {
        ErrorCode::kOffsetOutOfRange,
        absl::StrCat("offset ", query.offset.value(), " is not in the log, which has ",
                     answer.log_start_offset.value(), " to ", high_watermark_.value(),
                     "; begin at its earliest or latest offset"),
        std::nullopt};
    return answer;
  }
  // Between the high watermark and the log end there is nothing to see yet, and nothing is wrong.
  if (query.offset >= last_stable_offset() || query.bytes_max == 0) {
    answer.read.result = storage::ReadResult{{}, query.offset, 0};
    return answer;
  }
  storage::ReadLimits limits;
  limits.up_to = last_stable_offset();
  limits.bytes_max = query.bytes_max;
  limits.at_least_one = query.at_least_one;
  absl::StatusOr<LogRead> read = log_->Read(query.offset, limits);
  if (read.ok()) {
    answer.read = *std::move(read);
  } else {
    answer.outcome = api::PartitionOutcome::Of(read.status());
  }
  return answer;
}

absl::StatusOr<Offset> Replica::LatestOffset(std::optional<LeaderEpoch> leader_epoch) const {
  RETURN_IF_ERROR(CheckLeader(leader_epoch));
  if (high_watermark_ < epoch_start_) {
    return MakeError(ErrorCode::kOffsetNotAvailable,
                     absl::StrCat("the leader of epoch ", leader_epoch_.value(),
                                  " does not know the high watermark yet; try again"));
  }
  return last_stable_offset();
}

absl::StatusOr<Offset> Replica::CheckDeleteRecords(Offset before) const {
  RETURN_IF_ERROR(CheckLeader(std::nullopt));
  if (before == kNoOffset) return high_watermark_;
  if (before < Offset(0) || before > high_watermark_) {
    return MakeError(ErrorCode::kOffsetOutOfRange,
                     absl::StrCat("records can be deleted up to offset ", high_watermark_.value(),
                                  ", the high watermark"),
                     {.name = "before_offset", .value = absl::StrCat(before.value())});
  }
  return before;
}

absl::Status Replica::CheckLeader(std::optional<LeaderEpoch> leader_epoch) const {
  if (!status_.ok()) return status_;
  if (role_ != Role::kLeader) {
    return MakeError(ErrorCode::kNotLeaderOrFollower,
                     leader_ == kNoNode
                         ? std::string("the partition has no leader now; try again")
                         : absl::StrCat("broker ", leader_.value(), " leads the partition"),
                     {.leader = hint()});
  }
  if (!leader_epoch || *leader_epoch == leader_epoch_) return absl::OkStatus();
  if (*leader_epoch < leader_epoch_) {
    return MakeError(
        ErrorCode::kFencedLeaderEpoch,
        absl::StrCat("the leader epoch is ", leader_epoch_.value(),
                     "; take over the leader that comes with this answer"),
        {.name = "leader_epoch", .value = absl::StrCat(leader_epoch->value()), .leader = hint()});
  }
  return MakeError(ErrorCode::kUnknownLeaderEpoch,
                   absl::StrCat("this broker knows leader epoch ", leader_epoch_.value(),
                                " and has not heard of that one yet; try again"),
                   {.name = "leader_epoch", .value = absl::StrCat(leader_epoch->value())});
}

// --- What happens to it ---

void Replica::OnAdvanced(LogPosition own, Outbox* outbox) {
  isr_.SetPosition(self_, own);
  Advance(outbox);
}

void Replica::OnFailed(const absl::Status& status, Outbox* outbox) { Stop(status, outbox); }

void Replica::Stop(const absl::Status& status, Outbox* outbox) {
  CHECK(!status.ok());
  if (status_.ok()) status_ = status;
  // S-01: what is staged may be on disk, or may get there: nobody can say that it is not.
  FailWaiters(status.message(), outbox);
}

void Replica::OnMetadata(const metadata::PartitionImage& partition, bool may_lead, Outbox* outbox) {
  if (partition.leader_epoch < leader_epoch_) return;
  const bool leads = may_lead && partition.leader == self_;
  const bool same_epoch = partition.leader_epoch == leader_epoch_;
  if (same_epoch && partition.partition_epoch < partition_epoch_) return;
  leader_ = partition.leader;
  partition_epoch_ = partition.partition_epoch;
  replica_count_ = static_cast<int>(partition.replicas.size());
  const bool led = role_ == Role::kLeader;
  if (same_epoch && leads == led) {
    if (leads) isr_.SetCommitted(partition.isr);
    return Advance(outbox);
  }
  leader_epoch_ = partition.leader_epoch;
  if (led) {
    FailWaiters(absl::StrCat("leader epoch ", leader_epoch_.value(), " began"), outbox);
  }
  role_ = Role::kFollower;
  if (!leads) return;
  BecomeLeader(partition);
  Advance(outbox);
}

void Replica::BecomeLeader(const metadata::PartitionImage& partition) {
  role_ = Role::kLeader;
  isr_.Reset(partition.isr);
  epoch_start_ = log_->end_offset();
  // What an earlier epoch left uncommitted has no sizes here: it counts as one byte.
  uncommitted_.clear();
  if (high_watermark_ < epoch_start_) uncommitted_.push_back({epoch_start_, 1});
}

void Replica::OnSettings(const TopicSettings& settings, Outbox* outbox) {
  if (settings.durable && !settings_.durable) durable_from_ = log_->end_offset();
  if (!settings.durable) durable_from_.reset();
  settings_ = settings;
  Advance(outbox);
}

void Replica::Tick(MonotonicTime now, Outbox* outbox) {
  taken_.clear();
  leader_waiters_.TakeExpired(now, &taken_);
  all_waiters_.TakeExpired(now, &taken_);
  for (const ProduceWaiter& waiter : taken_) {
    const bool short_of_replicas = !HasMinIsr();
    Refuse(waiter.id,
           MakeError(short_of_replicas ? ErrorCode::kNotEnoughReplicasAfterAppend
                                       : ErrorCode::kRequestTimedOut,
                     absl::StrCat("appended at offset ", waiter.base_offset.value(),
                                  ", but not acknowledged in time; it may or may not stay")),
           outbox);
  }
}

MonotonicTime Replica::next_deadline() const {
  return std::min(leader_waiters_.next_deadline(), all_waiters_.next_deadline());
}

// --- What follows from it ---

void Replica::Advance(Outbox* outbox) {
  if (role_ != Role::kLeader || !status_.ok()) return;
  taken_.clear();
  leader_waiters_.TakeSatisfied(isr_.own().Counted(settings_.durable), &taken_);
  const std::optional<Offset> position = isr_.MinPosition(settings_.durable);
  if (durable_from_ && position && *position >= *durable_from_) durable_from_.reset();
  // It stands still while too few are in sync, and it never falls.
  if (HasMinIsr() && position && *position > high_watermark_) {
    high_watermark_ = *position;
    log_->SetHighWatermark(high_watermark_);
    all_waiters_.TakeSatisfied(high_watermark_, &taken_);
    fetch_waiters_.Advanced(last_stable_offset(), TakeCommittedBytes(), &outbox->woken);
  }
  for (const ProduceWaiter& waiter : taken_) Acknowledge(waiter, outbox);
}

int64_t Replica::TakeCommittedBytes() {
  int64_t bytes = 0;
  while (!uncommitted_.empty() && uncommitted_.front().end_offset <= high_watermark_) {
    bytes += uncommitted_.front().bytes;
    uncommitted_.pop_front();
  }
  return bytes;
}

void Replica::FailWaiters(absl::string_view why, Outbox* outbox) {
  taken_.clear();
  leader_waiters_.TakeAll(&taken_);
  all_waiters_.TakeAll(&taken_);
  for (const ProduceWaiter& waiter : taken_) {
    Refuse(waiter.id,
           MakeError(ErrorCode::kOutcomeUnknown,
                     absl::StrCat("appended at offset ", waiter.base_offset.value(),
                                  ", then: ", why, "; it may or may not stay"),
                     {.leader = leader_ == self_ ? std::nullopt : std::optional(hint())}),
           outbox);
  }
  fetch_waiters_.TakeAll(&outbox->woken);
}

bool Replica::HasMinIsr() const {
  // S-16: never more than there are replicas.
  return isr_.HasMin(std::min(settings_.min_insync_replicas, std::max(replica_count_, 1)));
}

api::DurabilityLevel Replica::level() const {
  return settings_.durable && !durable_from_ ? api::DurabilityLevel::kDurable
                                             : api::DurabilityLevel::kReplicated;
}

}  // namespace millrace::broker
