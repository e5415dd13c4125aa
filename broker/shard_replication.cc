#include "broker/shard_replication.h"

#include <utility>

#include "base/log.h"

namespace millrace::broker {
namespace {

FollowerStreams::Deps FollowerDeps(const ShardReplication::Deps& deps, ReplicaPort* port,
                                   Counter* bytes_in) {
  FollowerStreams::Deps out;
  out.self = deps.self;
  out.cluster_id = deps.shared.cluster_id;
  out.shard = deps.shard;
  out.executor = deps.executor;
  out.channel = deps.shared.channel;
  out.replicas = port;
  out.listener = deps.shared.listener;
  out.window_bytes = deps.shared.window_bytes;
  out.bytes_received = bytes_in;
  return out;
}

LeaderStreams::Deps LeaderDeps(const ShardReplication::Deps& deps, ReplicaPort* port,
                               Counter* bytes_out, Counter* throttled_bytes_out) {
  LeaderStreams::Deps out;
  out.self = deps.self;
  out.cluster_id = deps.shared.cluster_id;
  out.shard = deps.shard;
  out.shard_count = deps.shared.shard_count;
  out.executor = deps.executor;
  out.clock = deps.clock;
  out.replicas = port;
  out.bytes_sent = bytes_out;
  out.throttled_bytes_sent = throttled_bytes_out;
  return out;
}

}  // namespace

ShardReplication::ShardReplication(const Deps& deps, Host* host)
    : deps_(deps),
      host_(host),
      metrics_(MakeMetrics(deps.metrics)),
      followed_(FollowerDeps(deps, this, metrics_.bytes_in)),
      following_(LeaderDeps(deps, this, metrics_.bytes_out, metrics_.throttled_bytes_out)),
      catch_up_(deps.self, deps.shard, deps.shared.shard_count) {}

ShardReplication::Metrics ShardReplication::MakeMetrics(MetricRegistry* registry) {
  Metrics metrics;
  if (registry == nullptr) return metrics;
  metrics.bytes_in = &registry->AddCounter("millrace_replication_bytes_in_total",
                                           "Bytes of batches that leaders pushed to this broker.");
  metrics.bytes_out = &registry->AddCounter("millrace_replication_bytes_out_total",
                                            "Bytes of batches that this broker pushed.");
  metrics.throttled_bytes_out = &registry->AddCounter(
      "millrace_replication_throttled_bytes_out_total",
      "Of the bytes of batches that this broker pushed, those that a reassignment's throttle held "
      "back.");
  metrics.throttle = &registry->AddGauge(
      "millrace_replication_throttle_bytes_per_second",
      "What this broker may push to replicas that come with throttled reassignments; 0: there are "
      "none.");
  metrics.isr_shrinks = &registry->AddCounter(
      "millrace_isr_shrinks_total", "Replicas that left the in-sync set of a partition led here.");
  metrics.isr_expands =
      &registry->AddCounter("millrace_isr_expands_total",
                            "Replicas that joined the in-sync set of a partition led here.");
  metrics.lost_data =
      &registry->AddCounter("millrace_replication_followers_lost_data_total",
                            "Followers that came back without records that they had acknowledged.");
  metrics.unclean_cuts = &registry->AddCounter(
      "millrace_replication_cuts_below_high_watermark_total",
      "Logs here that were cut where they had been committed, after an unclean election.");
  return metrics;
}

void ShardReplication::OnImage(const std::shared_ptr<const metadata::Image>& image,
                               const metadata::Delta& delta, BrokerEpoch own_epoch) {
  const int64_t rate = catch_up_.OnImage(*image, delta);
  following_.SetCatchUpRate(rate);
  if (metrics_.throttle != nullptr) metrics_.throttle->Set(static_cast<double>(rate));
  followed_.OnImage(image, own_epoch);
  following_.OnImage(image, own_epoch);
}

std::shared_ptr<LeaderSink> ShardReplication::Open(const FollowerHello& hello,
                                                   std::shared_ptr<LeaderStream> stream) {
  return following_.Open(hello, std::move(stream));
}

void ShardReplication::Close(const absl::Status& status) {
  followed_.Close();
  following_.Close(status);
}

// --- From the replicas ---

// What a replica wants first stands before what it wants later, kind by kind; a detach names the
// attach that it ends, so that one which was begun since stays.
void ShardReplication::Deliver(Outbox* outbox) {
  for (const AttachTo& attach : outbox->attaches) followed_.Attach(attach);
  for (const PositionTo& position : outbox->positions) followed_.Tell(position);
  for (const AttachReplyTo& reply : outbox->attach_replies) following_.Reply(reply);
  for (const DetachTo& detach : outbox->detaches) {
    followed_.Detach(detach);
    following_.Detach(detach);
  }
  for (const Sendable& sendable : outbox->sendable) following_.OnSendable(sendable);
  if (!outbox->isr_proposals.empty() && deps_.shared.propose) {
    deps_.shared.propose(outbox->isr_proposals);
  }
  for (const ReplicaNotice& notice : outbox->notices) Note(notice);
}

bool ShardReplication::Flush() {
  const bool told = followed_.Flush();
  following_.Flush();
  return told;
}

void ShardReplication::Note(const ReplicaNotice& notice) {
  const auto count = [](Counter* counter) {
    if (counter != nullptr) counter->Add();
  };
  const auto tell = [&notice](const char* what) {
    LOG_INFO("replication", what,
             {{"topic_id", notice.topic_partition.topic_id},
              {"partition", notice.topic_partition.partition},
              {"replica", notice.replica}});
  };
  switch (notice.kind) {
    case ReplicaNotice::Kind::kIsrShrunk:
      count(metrics_.isr_shrinks);
      return tell("a replica is no longer in sync");
    case ReplicaNotice::Kind::kIsrExpanded:
      count(metrics_.isr_expands);
      return tell("a replica is in sync");
    case ReplicaNotice::Kind::kFollowerLostData:
      count(metrics_.lost_data);
      LOG_ERROR("replication", "a follower has lost records that it had acknowledged",
                {{"topic_id", notice.topic_partition.topic_id},
                 {"partition", notice.topic_partition.partition},
                 {"replica", notice.replica},
                 {"from", notice.from},
                 {"to", notice.to}});
      return;
    case ReplicaNotice::Kind::kCutBelowHighWatermark:
      count(metrics_.unclean_cuts);
      LOG_ERROR("replication", "committed records were cut: the leader does not have them",
                {{"topic_id", notice.topic_partition.topic_id},
                 {"partition", notice.topic_partition.partition},
                 {"replica", notice.replica},
                 {"from", notice.from},
                 {"to", notice.to}});
      return;
  }
}

// --- To the replicas ---

template <class Step>
void ShardReplication::With(const TopicPartition& partition, Step step) {
  Replica* const replica = host_->FindOpen(partition);
  if (replica == nullptr) return;
  step(*replica);
  host_->Rearm(*replica);
}

void ShardReplication::OnAttachReply(const AttachReply& reply) {
  With(reply.topic_partition,
       [&](Replica& replica) { replica.OnAttachReply(reply, now(), host_->outbox()); });
}

ReplicaPort::LogEnd ShardReplication::OnPush(ReplicaPush push) {
  LogEnd end{};
  With(TopicPartition(push.topic_partition), [&](Replica& replica) {
    const Now at{deps_.clock->Now(), deps_.clock->WallNow()};
    replica.OnPush(std::move(push), at, host_->outbox());
    end = {replica.log().end_offset(), replica.log().written_offset()};
  });
  return end;
}

void ShardReplication::OnDetached(const ReplicaDetach& detach) {
  With(detach.topic_partition,
       [&](Replica& replica) { replica.OnDetached(detach, now(), host_->outbox()); });
}

void ShardReplication::OnAsked(const TopicPartition& partition) {
  With(partition, [&](Replica& replica) { replica.OnAsked(host_->outbox()); });
}

void ShardReplication::OnAttach(const FollowerId& follower, const AttachRequest& request) {
  if (host_->FindOpen(request.topic_partition) == nullptr) {
    // It may be opening, or gone, or never have been here: the follower tries again.
    AttachReplyTo& refusal = host_->outbox()->attach_replies.emplace_back();
    refusal.follower = follower;
    refusal.reply.topic_partition = request.topic_partition;
    refusal.reply.leader_epoch = request.leader_epoch;
    refusal.reply.attach = request.attach;
    refusal.reply.outcome = {ErrorCode::kNotLeaderOrFollower,
                             "the leader has not opened its replica", std::nullopt};
    return;
  }
  With(request.topic_partition,
       [&](Replica& replica) { replica.OnAttach(follower, request, now(), host_->outbox()); });
}

void ShardReplication::OnFollowerPosition(const FollowerId& follower,
                                          const ReplicaPosition& position) {
  With(position.topic_partition, [&](Replica& replica) {
    replica.OnFollowerPosition(follower, position, now(), host_->outbox());
  });
}

void ShardReplication::OnFollowerConfirmed(const FollowerId& follower,
                                           const ReplicaPosition& position,
                                           MonotonicTime asked_at) {
  With(position.topic_partition,
       [&](Replica& replica) { replica.OnFollowerConfirmed(follower, position, asked_at); });
}

void ShardReplication::OnFollowerDetached(const FollowerId& follower, const ReplicaDetach& detach) {
  With(detach.topic_partition, [&](Replica& replica) {
    replica.OnFollowerDetached(follower, detach, now(), host_->outbox());
  });
}

void ShardReplication::OnFollowerGone(const FollowerId& follower, const TopicPartition& partition) {
  With(partition,
       [&](Replica& replica) { replica.OnFollowerGone(follower, now(), host_->outbox()); });
}

bool ShardReplication::IsThrottled(NodeId follower, const TopicPartition& partition) {
  Replica* const replica = host_->FindOpen(partition);
  return replica != nullptr && replica->IsThrottled(follower);
}

std::optional<PendingPush> ShardReplication::TakePush(NodeId follower,
                                                      const TopicPartition& partition,
                                                      size_t bytes_max) {
  std::optional<PendingPush> push;
  With(partition, [&](Replica& replica) {
    push = replica.TakePush(follower, bytes_max, now(), host_->outbox());
  });
  return push;
}

void ShardReplication::OnPushRead(NodeId follower, const ReplicaPush& header,
                                  const absl::StatusOr<storage::ReadResult>& read) {
  With(header.topic_partition, [&](Replica& replica) {
    const absl::StatusOr<Offset> next =
        read.ok() ? absl::StatusOr<Offset>(read->next_offset) : read.status();
    replica.OnPushRead(follower, header.leader_epoch, header.attach, next, now(), host_->outbox());
  });
  if (!read.ok()) host_->OnReadFailed(header.topic_partition, header.base_offset, read.status());
}

}  // namespace millrace::broker
