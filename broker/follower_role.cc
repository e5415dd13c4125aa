#include "broker/follower_role.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/mutant.h"
#include "base/status.h"
#include "record/batch_view.h"

namespace millrace::broker {
namespace {

// Short at first: after an election most leaders learn of it a moment later than some follower.
constexpr absl::Duration kPauseMin = absl::Milliseconds(10);
constexpr absl::Duration kPauseMax = absl::Seconds(1);
constexpr absl::Duration kAnswerMax = absl::Seconds(5);

// What no other batch and no other moment soon makes good.
bool IsOfTheDisk(const absl::Status& status) {
  const ErrorCode code = CodeOf(status);
  return code == ErrorCode::kStorageFull || code == ErrorCode::kStorageError;
}

}  // namespace

void FollowerRole::Follow(NodeId leader, MonotonicTime now, Outbox* outbox) {
  CHECK(leader_ == kNoNode || leader_ == leader);
  leader_ = leader;
  pause_ = kPauseMin;
  Attach(now, outbox);
}

void FollowerRole::Leave(const absl::Status& why, Outbox* outbox) {
  if (leader_ != kNoNode) {
    outbox->detaches.push_back(
        {leader_, {held_->topic_partition, held_->leader_epoch, attach_, why}});
  }
  WakeReaders(outbox);
  leader_ = kNoNode;
  state_ = State::kIdle;
  deadline_ = MonotonicTime::Never();
}

bool FollowerRole::IsCurrent(LeaderEpoch leader_epoch, uint64_t attach) const {
  return leader_epoch == held_->leader_epoch && attach == attach_;
}

void FollowerRole::Attach(MonotonicTime now, Outbox* outbox) {
  WakeReaders(outbox);
  // What is cut now was never committed here.
  held_->uncommitted.Clear();
  state_ = State::kAttaching;
  deadline_ = now + kAnswerMax;
  told_.reset();
  told_log_start_.reset();
  // Above all earlier ones of this process, those of a former replica of this partition too.
  attach_ = std::max(attach_ + 1, static_cast<uint64_t>(std::max<int64_t>(now.nanos(), 0)));
  AttachTo& to = outbox->attaches.emplace_back();
  to.leader = leader_;
  to.request.topic_partition = held_->topic_partition;
  to.request.directory = held_->options.directory;
  to.request.leader_epoch = held_->leader_epoch;
  to.request.attach = attach_;
  to.request.last_epoch = held_->log->latest_epoch();
  to.request.end_offset = held_->log->end_offset();
}

void FollowerRole::Pause(MonotonicTime now, Outbox* outbox) {
  WakeReaders(outbox);
  // A stream that has lasted is worth a quick attempt again, whether or not anything came on it.
  if (state_ == State::kAttached && now - attached_at_ >= kPauseMax) pause_ = kPauseMin;
  state_ = State::kPausing;
  deadline_ = now + pause_;
  pause_ = std::min(pause_ * 2, kPauseMax);
}

void FollowerRole::GiveUp(const absl::Status& status, MonotonicTime now, Outbox* outbox) {
  outbox->detaches.push_back(
      {leader_, {held_->topic_partition, held_->leader_epoch, attach_, status}});
  Pause(now, outbox);
}

void FollowerRole::OnDamage(MonotonicTime now, Outbox* outbox) {
  if (leader_ == kNoNode) return;
  if (!held_->damaged) {
    pause_ = kPauseMin;
    return Attach(now, outbox);
  }
  // If it is not attached, the answer to its next attach comes first: a leader takes nobody's word
  // of whom it does not know.
  if (state_ == State::kAttached) GiveUpDamaged(now, outbox);
}

void FollowerRole::GiveUpDamaged(MonotonicTime now, Outbox* outbox) {
  GiveUp(MakeError(ErrorCode::kCorruptLog,
                   "the follower's log is damaged; it attaches again when it is repaired"),
         now, outbox);
  deadline_ = MonotonicTime::Never();
}

void FollowerRole::OnDetached(const ReplicaDetach& detach, MonotonicTime now, Outbox* outbox) {
  if (!IsCurrent(detach.leader_epoch, detach.attach)) return;
  if (MUTANT("replica.lost-stream-not-noticed")) return;
  if (state_ == State::kAttached || state_ == State::kAttaching) Pause(now, outbox);
}

void FollowerRole::Tick(MonotonicTime now, Outbox* outbox) {
  if (deadline_ <= now) Attach(now, outbox);
}

// --- The check ---

void FollowerRole::OnAttachReply(const AttachReply& reply, MonotonicTime now, Outbox* outbox) {
  const bool current =
      IsCurrent(reply.leader_epoch, reply.attach) || MUTANT("replica.answer-of-any-attach");
  if (!current || state_ != State::kAttaching) return;
  if (!reply.outcome.ok()) return Pause(now, outbox);
  if (held_->damaged) {
    // Nothing is cut now, which reads what stays. The high watermark stands, if the check passed.
    const bool fits = !reply.diverging && !reply.reset_to;
    if (fits) FollowPositions(reply.high_watermark, reply.log_start, outbox);
    return GiveUpDamaged(now, outbox);
  }
  if (MUTANT("replica.high-watermark-before-cut")) {
    FollowPositions(reply.high_watermark, reply.log_start, outbox);
  }
  if (reply.reset_to) {
    ResetTo(*reply.reset_to, outbox);
    return Attach(now, outbox);
  }
  if (reply.diverging && !MUTANT("replica.diverging-not-cut")) {
    return CutDiverging(reply, outbox) ? Attach(now, outbox) : Pause(now, outbox);
  }
  state_ = State::kAttached;
  deadline_ = MonotonicTime::Never();
  // The pause stays: the first push may end this at once, for ever.
  attached_at_ = now;
  FollowPositions(reply.high_watermark, reply.log_start, outbox);
  TellPosition(outbox);
}

bool FollowerRole::CutDiverging(const AttachReply& reply, Outbox* outbox) {
  const ReplicaLog& log = *held_->log;
  const storage::EpochEnd& theirs = *reply.diverging;
  const storage::EpochEnd own = log.EndOfEpoch(theirs.epoch);
  // Where this log lacks the leader's epoch, only its own end of the one below is a batch boundary
  // here; the next attach asks about that.
  Offset to =
      own.epoch == theirs.epoch ? std::min(own.end_offset, theirs.end_offset) : own.end_offset;
  if (own.epoch == kNoLeaderEpoch) to = log.log_start_offset();
  if (MUTANT("replica.cuts-to-high-watermark")) to = held_->high_watermark;
  // One whose records are all deleted has nothing to cut, but the epoch that does not fit.
  const bool empty = log.end_offset() == log.log_start_offset();
  if (to >= log.end_offset() && !empty) return false;
  if (to > log.log_start_offset()) {
    CutTo(to, outbox);
  } else {
    // Nothing stays. The start, below which all is deleted, is kept if the leader reaches it.
    const bool reaches = theirs.end_offset >= log.log_start_offset();
    ResetTo(reaches ? log.log_start_offset() : reply.log_start, outbox);
  }
  return true;
}

void FollowerRole::CutTo(Offset to, Outbox* outbox) {
  TellCut(to, outbox);
  if (to >= held_->high_watermark) return held_->log->TruncateTo(to, held_->high_watermark);
  // By the metadata's decision: a leader that has less was elected.
  held_->MoveHighWatermark(to);
  held_->log->TruncateBelowHighWatermark(to);
}

void FollowerRole::ResetTo(Offset start, Outbox* outbox) {
  TellCut(start, outbox);
  held_->MoveHighWatermark(start);
  held_->log->ResetTo(start);
}

void FollowerRole::TellCut(Offset to, Outbox* outbox) const {
  if (to >= held_->high_watermark) return;
  ReplicaNotice& notice = outbox->notices.emplace_back();
  notice.kind = ReplicaNotice::Kind::kCutBelowHighWatermark;
  notice.topic_partition = held_->topic_partition;
  notice.replica = held_->options.self;
  notice.from = to;
  notice.to = held_->high_watermark;
}

// --- Batches ---

void FollowerRole::OnPush(ReplicaPush push, const Now& now, Outbox* outbox) {
  const bool current =
      IsCurrent(push.leader_epoch, push.attach) || MUTANT("replica.push-of-any-attach");
  if (!current || state_ != State::kAttached) return;
  if (!push.batches.empty()) {
    if (absl::Status status = Append(&push, now.wall); !status.ok()) {
      GiveUp(status, now.monotonic, outbox);
      if (!IsOfTheDisk(status)) return;
      // By then the leader has sent as much as its window takes: not many times a second.
      pause_ = kPauseMax;
      deadline_ = now.monotonic + pause_;
      return;
    }
  }
  // Positions alone count as well: they come when there is no batch to send.
  pause_ = kPauseMin;
  FollowPositions(push.high_watermark, push.log_start, outbox);
}

absl::Status FollowerRole::Append(ReplicaPush* push, WallTime now) {
  ReplicaLog& log = *held_->log;
  Offset base = kNoOffset;
  Offset end = kNoOffset;
  for (Slice rest = push->batches; !rest.empty();) {
    // The checksum over everything is verified here: before it is written.
    ASSIGN_OR_RETURN(const record::BatchView batch, record::BatchView::Parse(rest));
    if (batch.leader_epoch() > push->leader_epoch) {
      return MakeError(ErrorCode::kCorruptMessage,
                       absl::StrCat("a batch of leader epoch ", batch.leader_epoch().value(),
                                    " came in epoch ", push->leader_epoch.value()));
    }
    if (base == kNoOffset) base = batch.base_offset();
    end = batch.next_offset();
    rest.remove_prefix(batch.size());
  }
  if (end <= log.end_offset()) return absl::OkStatus();
  if (base < log.end_offset() && log.end_offset() == log.log_start_offset()) {
    // The leader's log begins inside of this batch, and this one is empty: the whole batch is kept.
    log.ResetTo(base);
    held_->SetHighWatermark(base);
  }
  if (base != log.end_offset()) {
    return MakeError(ErrorCode::kOffsetOutOfRange,
                     absl::StrCat("batches from offset ", base.value(),
                                  " do not continue a log "
                                  "that ends at ",
                                  log.end_offset().value()),
                     {.name = "base_offset", .value = absl::StrCat(base.value())});
  }
  ASSIGN_OR_RETURN(const storage::StagedRange range,
                   log.StageAsFollower(std::move(push->batches), now));
  held_->uncommitted.Add(range.end_offset, static_cast<int64_t>(range.bytes));
  return absl::OkStatus();
}

void FollowerRole::FollowPositions(Offset high_watermark, Offset log_start, Outbox* outbox) {
  if (!MUTANT("replica.high-watermark-beyond-end")) {
    high_watermark = std::min(high_watermark, held_->log->end_offset());
  }
  if (high_watermark > held_->high_watermark) {
    held_->SetHighWatermark(high_watermark);
    // What it had before this attach has no sizes here: a rise counts as one byte at least.
    const int64_t bytes = held_->uncommitted.TakeUpTo(high_watermark);
    held_->fetch_waiters.Advanced(high_watermark, std::max<int64_t>(bytes, 1), &outbox->woken);
  }
  log_start = std::min(log_start, held_->high_watermark);
  if (log_start > held_->log->log_start_offset()) {
    // OnAdvanced follows when it is durable.
    held_->log->RaiseLogStart(log_start, nullptr);
  }
}

// They ask again, and learn that nobody serves here, or go on.
void FollowerRole::WakeReaders(Outbox* outbox) { held_->fetch_waiters.TakeAll(&outbox->woken); }

// --- Positions ---

void FollowerRole::OnAdvanced(Outbox* outbox) {
  if (state_ == State::kAttached) TellPosition(outbox);
}

void FollowerRole::OnAsked(Outbox* outbox) {
  if (state_ != State::kAttached) return;
  told_.reset();
  TellPosition(outbox);
}

void FollowerRole::TellPosition(Outbox* outbox) {
  const LogPosition position = held_->position();
  const Offset log_start = held_->log->durable_log_start();
  const bool same_start = told_log_start_ == log_start;
  if (told_ == position && same_start) return;
  told_ = position;
  told_log_start_ = log_start;
  PositionTo& told = outbox->positions.emplace_back();
  told.leader = leader_;
  told.position = {held_->topic_partition, held_->leader_epoch, attach_, position, std::nullopt};
  if (!same_start) told.position.log_start = log_start;
}

}  // namespace millrace::broker
