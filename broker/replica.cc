#include "broker/replica.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/mutant.h"
#include "base/status.h"

namespace millrace::broker {

Replica::Replica(const ReplicaOptions& options, TopicPartition topic_partition,
                 std::unique_ptr<ReplicaLog> log, const TopicSettings& settings)
    : held_(options, topic_partition, std::move(log), settings),
      status_(held_.log->status()),
      leader_role_(&held_),
      follower_role_(&held_) {}

// --- The metadata ---

void Replica::OnMetadata(const metadata::PartitionImage& partition,
                         const BrokerStandings& standings, bool may_lead, MonotonicTime now,
                         Outbox* outbox) {
  if (!status_.ok() || partition.leader_epoch < held_.leader_epoch) return;
  const NodeId self = held_.options.self;
  const bool leads = (may_lead || MUTANT("replica.leads-in-any-epoch")) && partition.leader == self;
  const bool newer = partition.leader_epoch > held_.leader_epoch;
  const bool older = !MUTANT("replica.older-image-counts") && !newer &&
                     partition.partition_epoch < held_.partition_epoch;
  if (leads_ && leads && !newer) {
    return leader_role_.OnMetadata(partition, standings, !older, now, outbox);
  }
  if (older) return;
  const bool follows = !leads && partition.leader != kNoNode && partition.leader != self &&
                       partition.IsReplica(self);
  if (leads_) {
    std::optional<LeaderHint> hint;
    if (!leads) hint = LeaderHint{partition.leader, partition.leader_epoch, ""};
    ResignLeader(MakeError(ErrorCode::kFencedLeaderEpoch,
                           absl::StrCat("leader epoch ", partition.leader_epoch.value(), " began")),
                 hint, outbox);
  }
  const bool same_leader = follows && partition.leader == follower_role_.leader();
  if (!same_leader) {
    follower_role_.Leave(
        MakeError(ErrorCode::kFencedLeaderEpoch, "the follower has another leader now"), outbox);
  }
  held_.leader = partition.leader;
  held_.leader_epoch = partition.leader_epoch;
  held_.partition_epoch = partition.partition_epoch;
  in_sync_ = partition.InIsr(self);
  has_seat_ = in_sync_ || partition.InElr(self);
  // Readers are for those in sync.
  if (!in_sync_) held_.fetch_waiters.TakeAll(&outbox->woken);
  leads_ = leads;
  if (leads) return leader_role_.Begin(partition, standings, now, outbox);
  // S-14: on every change of the epoch, under the same leader too.
  const bool anew = newer && !MUTANT("replica.stays-attached-over-epochs");
  if (follows && (anew || !same_leader)) follower_role_.Follow(partition.leader, now, outbox);
}

void Replica::ResignLeader(const absl::Status& why, const std::optional<LeaderHint>& hint,
                           Outbox* outbox) {
  leader_role_.End(why, hint, outbox);
  leads_ = false;
  held_.fetch_waiters.TakeAll(&outbox->woken);
}

void Replica::OnSettings(const TopicSettings& settings, MonotonicTime now, Outbox* outbox) {
  const TopicSettings before = held_.settings;
  held_.settings = settings;
  if (leads_ && status_.ok()) leader_role_.OnSettings(before, now, outbox);
}

void Replica::SetDamaged(bool damaged, MonotonicTime now, Outbox* outbox) {
  if (!status_.ok() || held_.damaged == damaged) return;
  held_.damaged = damaged;
  if (leads_) return leader_role_.OnDamage(now, outbox);
  follower_role_.OnDamage(now, outbox);
}

bool Replica::MayCutDamaged(Offset at) const {
  // While it is damaged it is not attached: the leader learns of the cut with the next attach.
  if (!status_.ok() || !held_.damaged || leads_ || held_.leader == kNoNode) return false;
  // A seat says that it has all that was acknowledged, which may end beyond the high watermark that
  // it knows. It is given up first (S-35).
  if (has_seat_) return false;
  // The log start stands for a high watermark that was not learned yet.
  const Offset high_watermark = held_.high_watermark;
  return high_watermark > held_.log->log_start_offset() && at >= high_watermark &&
         at < held_.log->end_offset();
}

void Replica::CutDamaged(Offset at) {
  CHECK(MayCutDamaged(at));
  held_.log->TruncateTo(at, held_.high_watermark);
}

// --- What happens to it ---

void Replica::OnAdvanced(MonotonicTime now, Outbox* outbox) {
  if (!status_.ok()) return;
  if (leads_) return leader_role_.OnAdvanced(now, outbox);
  follower_role_.OnAdvanced(outbox);
}

void Replica::OnFailed(const absl::Status& status, Outbox* outbox) { Stop(status, outbox); }

void Replica::Stop(const absl::Status& status, Outbox* outbox) {
  CHECK(!status.ok());
  if (status_.ok()) status_ = status;
  // S-01: what is staged may be on disk, or may get there: nobody can say that it is not.
  if (leads_) ResignLeader(status, std::nullopt, outbox);
  follower_role_.Leave(status, outbox);
}

void Replica::WakeIfReplaced(MonotonicTime now, Outbox* outbox) {
  if (!status_.ok() || !leads_ || held_.fetch_waiters.size() == 0) return;
  if (!leader_role_.CheckNotReplaced(now).ok()) held_.fetch_waiters.TakeAll(&outbox->woken);
}

void Replica::Tick(MonotonicTime now, Outbox* outbox) {
  if (!status_.ok()) return;
  if (leads_) return leader_role_.Tick(now, outbox);
  follower_role_.Tick(now, outbox);
}

MonotonicTime Replica::next_deadline() const {
  if (!status_.ok()) return MonotonicTime::Never();
  return leads_ ? leader_role_.next_deadline() : follower_role_.next_deadline();
}

// --- From its leader ---

void Replica::OnAttachReply(const AttachReply& reply, MonotonicTime now, Outbox* outbox) {
  if (status_.ok() && !leads_) follower_role_.OnAttachReply(reply, now, outbox);
}

void Replica::OnPush(ReplicaPush push, const Now& now, Outbox* outbox) {
  if (status_.ok() && !leads_) follower_role_.OnPush(std::move(push), now, outbox);
}

void Replica::OnDetached(const ReplicaDetach& detach, MonotonicTime now, Outbox* outbox) {
  if (status_.ok() && !leads_) follower_role_.OnDetached(detach, now, outbox);
}

void Replica::OnAsked(Outbox* outbox) {
  if (status_.ok() && !leads_) follower_role_.OnAsked(outbox);
}

// --- From a follower ---

void Replica::OnAttach(FollowerId follower, const AttachRequest& request, MonotonicTime now,
                       Outbox* outbox) {
  if (absl::Status status = CheckLeader(request.leader_epoch); !status.ok()) {
    AttachReply reply;
    reply.topic_partition = held_.topic_partition;
    reply.leader_epoch = request.leader_epoch;
    reply.attach = request.attach;
    reply.outcome = api::PartitionOutcome::Of(status);
    outbox->attach_replies.push_back({follower, std::move(reply)});
    return;
  }
  leader_role_.OnAttach(follower, request, now, outbox);
}

void Replica::OnFollowerPosition(FollowerId follower, const ReplicaPosition& position,
                                 MonotonicTime now, Outbox* outbox) {
  if (Leads(position.leader_epoch)) leader_role_.OnPosition(follower, position, now, outbox);
}

void Replica::OnFollowerConfirmed(FollowerId follower, const ReplicaPosition& position,
                                  MonotonicTime asked_at) {
  if (Leads(position.leader_epoch)) leader_role_.OnConfirmed(follower, position, asked_at);
}

void Replica::OnFollowerDetached(FollowerId follower, const ReplicaDetach& detach,
                                 MonotonicTime now, Outbox* outbox) {
  if (Leads(detach.leader_epoch)) leader_role_.OnDetached(follower, detach, now, outbox);
}

void Replica::OnFollowerGone(FollowerId follower, MonotonicTime now, Outbox* outbox) {
  if (Leads(held_.leader_epoch)) leader_role_.OnGone(follower, now, outbox);
}

std::optional<PendingPush> Replica::TakePush(NodeId follower, size_t bytes_max, MonotonicTime now,
                                             Outbox* outbox) {
  if (!Leads(held_.leader_epoch)) return std::nullopt;
  return leader_role_.TakePush(follower, bytes_max, now, outbox);
}

void Replica::OnPushRead(NodeId follower, LeaderEpoch leader_epoch, uint64_t attach,
                         const absl::StatusOr<Offset>& next_offset, MonotonicTime now,
                         Outbox* outbox) {
  if (Leads(leader_epoch)) leader_role_.OnPushRead(follower, attach, next_offset, now, outbox);
}

void Replica::OnIsrAnswer(const IsrAnswer& answer, MonotonicTime now, Outbox* outbox) {
  if (Leads(held_.leader_epoch)) leader_role_.OnIsrAnswer(answer, now, outbox);
}

// --- Clients ---

void Replica::Produce(ProduceEvent event, const Now& now, Outbox* outbox) {
  if (absl::Status status = CheckLeader(event.leader_epoch); !status.ok()) {
    return RefuseProduce(held_, event.id, status, outbox);
  }
  leader_role_.Produce(std::move(event), now, outbox);
}

void Replica::Park(ParkId id, const FetchQuery& query, int64_t bytes_min, Outbox* outbox) {
  if (query.offset < last_stable_offset() || !CheckReader(query).ok()) {
    outbox->woken.push_back(id);
    return;
  }
  held_.fetch_waiters.Park(id, query.offset, bytes_min);
}

FetchAnswer Replica::Fetch(const FetchQuery& query) {
  FetchAnswer answer;
  absl::Status status = CheckReader(query);
  // What is committed may be read in any case; that there is no more may be another leader's to
  // say.
  const bool at_end = query.offset >= last_stable_offset();
  if (status.ok() && leads_ && at_end) status = leader_role_.CheckNotReplaced(query.now);
  if (!status.ok()) {
    answer.outcome = api::PartitionOutcome::Of(status);
    return answer;
  }
  ReplicaLog& log = *held_.log;
  answer.high_watermark = high_watermark();
  answer.last_stable_offset = last_stable_offset();
  answer.log_start_offset = log.log_start_offset();
  if (query.offset < answer.log_start_offset || query.offset > log.end_offset()) {
    answer.outcome = OutOfRange(query.offset);
    return answer;
  }
  const Offset up_to =
      MUTANT("replica.serves-beyond-high-watermark") ? log.end_offset() : last_stable_offset();
  // Between the high watermark and the log end there is nothing to see yet, and nothing is wrong.
  if (query.offset >= up_to || query.bytes_max == 0) {
    answer.read.result = storage::ReadResult{{}, query.offset, 0};
    return answer;
  }
  storage::ReadLimits limits;
  limits.up_to = up_to;
  limits.bytes_max = query.bytes_max;
  limits.at_least_one = query.at_least_one;
  absl::StatusOr<LogRead> read = log.Read(query.offset, limits);
  if (read.ok()) {
    answer.read = *std::move(read);
  } else {
    answer.outcome = api::PartitionOutcome::Of(read.status());
  }
  return answer;
}

api::PartitionOutcome Replica::OutOfRange(Offset offset) const {
  const std::string range =
      absl::StrCat(held_.log->log_start_offset().value(), " to ", high_watermark().value());
  if (leads_ || MUTANT("replica.follower-says-out-of-range")) {
    return {ErrorCode::kOffsetOutOfRange,
            absl::StrCat("offset ", offset.value(), " is not in the log, which has ", range,
                         "; begin at its earliest or latest offset"),
            std::nullopt};
  }
  // S-38: the leader may have more, at either end.
  return {ErrorCode::kOffsetNotAvailable,
          absl::StrCat("offset ", offset.value(), " is not in this follower's log, which has ",
                       range, "; ask the leader"),
          held_.hint()};
}

absl::StatusOr<Offset> Replica::LatestOffset(std::optional<LeaderEpoch> leader_epoch,
                                             MonotonicTime now) const {
  RETURN_IF_ERROR(CheckLeader(leader_epoch));
  RETURN_IF_ERROR(leader_role_.CheckNotReplaced(now));
  if (!leader_role_.KnowsLatest() && !MUTANT("replica.latest-goes-backwards")) {
    return MakeError(ErrorCode::kOffsetNotAvailable,
                     absl::StrCat("the leader of epoch ", held_.leader_epoch.value(),
                                  " does not know the high watermark yet; try again"));
  }
  return last_stable_offset();
}

absl::StatusOr<TimeLookup> Replica::ListOffsets(const api::ListOffsetsPartition& request,
                                                MonotonicTime now,
                                                api::ListOffsetsPartitionResult* result) {
  RETURN_IF_ERROR(CheckLeader(request.leader_epoch));
  result->leader_epoch = held_.leader_epoch;
  switch (request.position) {
    case api::OffsetPosition::kEarliest:
      result->offset = held_.log->log_start_offset();
      return TimeLookup();
    case api::OffsetPosition::kLatest: {
      ASSIGN_OR_RETURN(result->offset, LatestOffset(request.leader_epoch, now));
      return TimeLookup();
    }
    case api::OffsetPosition::kTimestamp:
      return FirstSince(request, now);
    case api::OffsetPosition::kMaxTimestamp:
      RETURN_IF_ERROR(LatestOffset(request.leader_epoch, now).status());
      return held_.log->OffsetOfMaxTimestamp(last_stable_offset());
    default:
      return MakeError(
          ErrorCode::kInvalidRequest, "position is earliest, latest, timestamp or max_timestamp",
          {.name = "position", .value = absl::StrCat(static_cast<int>(request.position))});
  }
}

// KIP-207: what is found below the high watermark is the first for good. That there is none may be
// said by those only who may say what is the latest (S-38, S-33).
absl::StatusOr<TimeLookup> Replica::FirstSince(const api::ListOffsetsPartition& request,
                                               MonotonicTime now) const {
  absl::Status latest = LatestOffset(request.leader_epoch, now).status();
  ASSIGN_OR_RETURN(TimeLookup lookup,
                   held_.log->OffsetForTimestamp(request.timestamp_ms, last_stable_offset()));
  if (latest.ok()) return lookup;
  return TimeLookup([lookup = std::move(lookup), latest = std::move(latest)]() mutable
                    -> absl::StatusOr<std::optional<storage::TimestampAndOffset>> {
    absl::StatusOr<std::optional<storage::TimestampAndOffset>> found = std::move(lookup)();
    if (found.ok() && !*found) return latest;
    return found;
  });
}

absl::StatusOr<storage::EpochEnd> Replica::EndOfEpoch(std::optional<LeaderEpoch> current,
                                                      LeaderEpoch asked) const {
  RETURN_IF_ERROR(CheckLeader(current));
  return held_.log->EndOfEpoch(asked);
}

void Replica::DeleteRecords(const DeletionEvent& event, MonotonicTime now, Outbox* outbox) {
  const absl::StatusOr<Offset> start = CheckDeletion(event.before, now);
  if (!start.ok()) return RefuseDeletion(held_, event.id, start.status(), outbox);
  leader_role_.DeleteBefore(event, *start, now, outbox);
}

absl::StatusOr<Offset> Replica::CheckDeletion(Offset before, MonotonicTime now) const {
  RETURN_IF_ERROR(CheckLeader(std::nullopt));
  // What is committed may lie beyond the high watermark as far as it is known here: neither may
  // less be deleted than all of it, nor may an offset there be called out of range.
  if (before == kNoOffset || before > high_watermark()) {
    RETURN_IF_ERROR(LatestOffset(std::nullopt, now).status());
  }
  if (before == kNoOffset) return high_watermark();
  if (before < Offset(0) || before > high_watermark()) {
    return MakeError(ErrorCode::kOffsetOutOfRange,
                     absl::StrCat("records can be deleted up to offset ", high_watermark().value(),
                                  ", the high watermark"),
                     {.name = "before_offset", .value = absl::StrCat(before.value())});
  }
  return before;
}

absl::Status Replica::CheckReader(const FetchQuery& query) const {
  const bool serves = query.nearby && !leads_ && status_.ok() && in_sync_ &&
                      (follower_role_.is_attached() || MUTANT("replica.serves-unattached"));
  return serves ? CheckEpoch(query.leader_epoch) : CheckLeader(query.leader_epoch);
}

absl::Status Replica::CheckLeader(std::optional<LeaderEpoch> leader_epoch) const {
  if (!status_.ok()) return status_;
  const NodeId leader = held_.leader;
  if (!leads_) {
    return MakeError(ErrorCode::kNotLeaderOrFollower,
                     leader == kNoNode
                         ? std::string("the partition has no leader now; try again")
                         : absl::StrCat("broker ", leader.value(), " leads the partition"),
                     {.leader = held_.hint()});
  }
  return CheckEpoch(leader_epoch);
}

absl::Status Replica::CheckEpoch(std::optional<LeaderEpoch> leader_epoch) const {
  const LeaderEpoch now = held_.leader_epoch;
  if (!leader_epoch || *leader_epoch == now) return absl::OkStatus();
  if (*leader_epoch < now) {
    return MakeError(ErrorCode::kFencedLeaderEpoch,
                     absl::StrCat("the leader epoch is ", now.value(),
                                  "; take over the leader that comes with this answer"),
                     {.name = "leader_epoch",
                      .value = absl::StrCat(leader_epoch->value()),
                      .leader = held_.hint()});
  }
  return MakeError(ErrorCode::kUnknownLeaderEpoch,
                   absl::StrCat("this broker knows leader epoch ", now.value(),
                                " and has not heard of that one yet; try again"),
                   {.name = "leader_epoch", .value = absl::StrCat(leader_epoch->value())});
}

}  // namespace millrace::broker
