#include "broker/follower_feeds.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/mutant.h"
#include "base/status.h"

namespace millrace::broker {

void CheckDivergence(const ReplicaLog& log, const AttachRequest& request, AttachReply* reply) {
  const Offset start = log.log_start_offset();
  if (request.end_offset < start) {
    reply->reset_to = start;
    return;
  }
  if (MUTANT("replica.divergence-not-checked")) return;
  if (request.last_epoch == kNoLeaderEpoch) {
    // It has no batch: it fits wherever this log has an offset.
    if (request.end_offset > log.end_offset()) reply->reset_to = start;
    return;
  }
  const storage::EpochEnd end = log.EndOfEpoch(request.last_epoch);
  if (end.epoch == kNoLeaderEpoch) {
    // All epochs here are later than any of the follower's, so nothing of it is in this log; also
    // what it has below the start of this log may be something else than was deleted here.
    reply->reset_to = start;
  } else if (end.epoch != request.last_epoch || end.end_offset < request.end_offset) {
    reply->diverging = end;
  }
}

void FollowerFeeds::Attach(FollowerId follower, const AttachRequest& request, Outbox* outbox) {
  Forget(follower.broker);
  Feed& feed = feeds_.emplace_back();
  feed.follower = follower;
  feed.attach = request.attach;
  feed.next = request.end_offset;
  // The answer carries these.
  feed.told_high_watermark = held_->high_watermark;
  feed.told_log_start = held_->log->log_start_offset();
  TellOne(&feed, outbox);
}

bool FollowerFeeds::IsStale(FollowerId follower, uint64_t attach) const {
  const Feed* feed = Find(follower.broker);
  return feed != nullptr && feed->follower == follower && attach <= feed->attach;
}

bool FollowerFeeds::IsAttached(FollowerId follower, uint64_t attach) const {
  const Feed* feed = Find(follower.broker);
  if (feed == nullptr) return false;
  if (MUTANT("replica.positions-of-any-attach")) return true;
  return feed->follower == follower && feed->attach == attach;
}

bool FollowerFeeds::IsAttached(FollowerId follower) const {
  const Feed* feed = Find(follower.broker);
  return feed != nullptr && feed->follower == follower;
}

void FollowerFeeds::Forget(NodeId follower) {
  for (auto feed = feeds_.begin(); feed != feeds_.end(); ++feed) {
    if (feed->follower.broker != follower) continue;
    feeds_.erase(feed);
    return;
  }
}

void FollowerFeeds::Detach(NodeId follower, const absl::Status& status, Outbox* outbox) {
  const Feed* feed = Find(follower);
  if (feed == nullptr) return;
  ReplicaDetach detach{held_->topic_partition, held_->leader_epoch, feed->attach, status};
  outbox->detaches.push_back({follower, std::move(detach)});
  Forget(follower);
}

void FollowerFeeds::DetachAll(const absl::Status& status, Outbox* outbox) {
  while (!feeds_.empty()) Detach(feeds_.back().follower.broker, status, outbox);
}

void FollowerFeeds::DetachOlderThan(NodeId follower, BrokerEpoch epoch, Outbox* outbox) {
  const Feed* feed = Find(follower);
  if (feed == nullptr || feed->follower.epoch >= epoch) return;
  Detach(follower,
         MakeError(ErrorCode::kStaleBrokerEpoch,
                   absl::StrCat("broker ", follower.value(), " is registered anew, in epoch ",
                                epoch.value())),
         outbox);
}

bool FollowerFeeds::HasNewPositions(const Feed& feed) const {
  if (MUTANT("replica.high-watermark-not-pushed")) return false;
  return feed.told_high_watermark != held_->high_watermark ||
         feed.told_log_start != held_->log->log_start_offset();
}

void FollowerFeeds::TellOne(Feed* feed, Outbox* outbox) {
  if (feed->reading || feed->told == Told::kNow) return;
  const bool bytes = feed->next < held_->log->end_offset();
  if (!bytes && (feed->told == Told::kCanWait || !HasNewPositions(*feed))) return;
  feed->told = bytes ? Told::kNow : Told::kCanWait;
  outbox->sendable.push_back({feed->follower.broker, held_->topic_partition, !bytes});
}

void FollowerFeeds::Tell(Outbox* outbox) {
  for (Feed& feed : feeds_) TellOne(&feed, outbox);
}

std::optional<PendingPush> FollowerFeeds::Take(NodeId follower, size_t bytes_max, Outbox* outbox) {
  Feed* feed = Find(follower);
  if (feed == nullptr) return std::nullopt;
  const bool bytes = feed->next < held_->log->end_offset();
  if (feed->reading || (!bytes && !HasNewPositions(*feed))) {
    if (!MUTANT("replica.told-once-for-ever")) feed->told = Told::kNothing;
    return std::nullopt;
  }
  PendingPush push;
  push.header.topic_partition = held_->topic_partition;
  push.header.leader_epoch = held_->leader_epoch;
  push.header.attach = feed->attach;
  push.header.base_offset = feed->next;
  push.header.high_watermark = feed->told_high_watermark = held_->high_watermark;
  push.header.log_start = feed->told_log_start = held_->log->log_start_offset();
  if (!bytes) {
    push.read.result = storage::ReadResult{{}, feed->next, 0};
    return push;
  }
  storage::ReadLimits limits;
  limits.up_to = held_->log->end_offset();
  limits.bytes_max = bytes_max;
  absl::StatusOr<LogRead> read = held_->log->Read(feed->next, limits);
  if (!read.ok()) {
    // The log start may have passed it: the next attach tells it to begin there.
    Detach(follower, read.status(), outbox);
    return std::nullopt;
  }
  push.read = *std::move(read);
  if (push.read.result.has_value()) {
    feed->next = push.read.result->next_offset;
  } else {
    feed->reading = true;
  }
  return push;
}

void FollowerFeeds::OnRead(NodeId follower, uint64_t attach, const absl::StatusOr<Offset>& next,
                           Outbox* outbox) {
  Feed* feed = Find(follower);
  if (feed == nullptr || feed->attach != attach || !feed->reading) return;
  feed->reading = false;
  feed->told = Told::kNothing;
  if (next.ok() && *next > feed->next) {
    feed->next = *next;
    return TellOne(feed, outbox);
  }
  Detach(
      follower,
      next.ok() ? MakeError(ErrorCode::kOffsetNotAvailable, "a read gave nothing") : next.status(),
      outbox);
}

FollowerFeeds::Feed* FollowerFeeds::Find(NodeId follower) {
  for (Feed& feed : feeds_) {
    if (feed.follower.broker == follower) return &feed;
  }
  return nullptr;
}

const FollowerFeeds::Feed* FollowerFeeds::Find(NodeId follower) const {
  return const_cast<FollowerFeeds*>(this)->Find(follower);
}

}  // namespace millrace::broker
