// ShardReplication: the replication of one shard: between its replicas and the streams that carry
// what they say to others, in both directions, and the counters of it.
//
// Not here: what replicas decide (replica.h), what streams are (replication/).
//
// Thread: the shard's executor.
#ifndef BROKER_SHARD_REPLICATION_H_
#define BROKER_SHARD_REPLICATION_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/clock.h"
#include "base/counters.h"
#include "base/executor.h"
#include "base/ids.h"
#include "broker/outbox.h"
#include "broker/replica.h"
#include "broker/replica_channel.h"
#include "broker/replication/catch_up_share.h"
#include "broker/replication/follower_streams.h"
#include "broker/replication/leader_streams.h"
#include "broker/replication/replica_port.h"
#include "metadata/delta.h"

namespace millrace::broker {

// What a shard needs for it. The same for all shards of a broker.
struct ReplicationDeps {
  ClusterId cluster_id;
  int shard_count = 1;
  // Outlives the shard. Null: there is no network, and nobody can be followed.
  ReplicaChannel* channel = nullptr;
  // inter.broker.listener.name; empty: the first of each broker.
  std::string listener;
  // Bytes of batches on their way, per stream.
  int64_t window_bytes = 8 << 20;
  // replica.lag.time.max.ms.
  absl::Duration lag_time_max = absl::Seconds(5);
  // Takes what leaders want of the controller; answers come by Shard::OnIsrAnswer.
  std::function<void(const std::vector<IsrProposal>&)> propose;
};

class ShardReplication final : private ReplicaPort {
 public:
  // The shard, as this sees it.
  class Host {
   public:
    virtual ~Host() = default;
    // Null: there is none, or it is offline.
    virtual Replica* FindOpen(const TopicPartition& partition) = 0;
    virtual Outbox* outbox() = 0;
    // A replica's next_deadline() may have changed.
    virtual void Rearm(const Replica& replica) = 0;
    virtual void DrainReplicas() = 0;
    // A read for a follower failed.
    virtual void OnReadFailed(const TopicPartition& /*partition*/, Offset /*from*/,
                              const absl::Status& /*status*/) {}
  };
  struct Deps {
    NodeId self = kNoNode;
    int shard = 0;
    Executor* executor = nullptr;
    const Clock* clock = nullptr;
    MetricRegistry* metrics = nullptr;  // May be null.
    ReplicationDeps shared;
  };

  // `host` outlives this.
  ShardReplication(const Deps& deps, Host* host);

  // `own_epoch`: of this broker's registration, if the image shows it. Drain afterwards.
  // `delta`: what is new in the image since the last one.
  void OnImage(const std::shared_ptr<const metadata::Image>& image, const metadata::Delta& delta,
               BrokerEpoch own_epoch);
  // A follower's stream for this shard; see LeaderStreams::Open.
  std::shared_ptr<LeaderSink> Open(const FollowerHello& hello,
                                   std::shared_ptr<LeaderStream> stream);
  // Asks followers whether they follow still (S-33). Drain afterwards.
  void AskFollowers() { following_.Ask(); }
  // Takes out of `outbox` what is for others.
  void Deliver(Outbox* outbox);
  // Sends it. True if replicas were told of something, and have to be drained again.
  bool Flush();
  // Ends all streams; replicas are not told.
  void Close(const absl::Status& status);

 private:
  struct Metrics {
    Counter* bytes_in = nullptr;
    Counter* bytes_out = nullptr;
    Counter* throttled_bytes_out = nullptr;
    Gauge* throttle = nullptr;
    Counter* isr_shrinks = nullptr;
    Counter* isr_expands = nullptr;
    Counter* lost_data = nullptr;
    Counter* unclean_cuts = nullptr;
  };
  static Metrics MakeMetrics(MetricRegistry* registry);

  // One step of a replica, if it is here.
  template <class Step>
  void With(const TopicPartition& partition, Step step);
  void Note(const ReplicaNotice& notice);
  MonotonicTime now() const { return deps_.clock->Now(); }

  // ReplicaPort.
  void OnAttachReply(const AttachReply& reply) override;
  LogEnd OnPush(ReplicaPush push) override;
  void OnDetached(const ReplicaDetach& detach) override;
  void OnAsked(const TopicPartition& partition) override;
  void OnAttach(const FollowerId& follower, const AttachRequest& request) override;
  void OnFollowerPosition(const FollowerId& follower, const ReplicaPosition& position) override;
  void OnFollowerConfirmed(const FollowerId& follower, const ReplicaPosition& position,
                           MonotonicTime asked_at) override;
  void OnFollowerDetached(const FollowerId& follower, const ReplicaDetach& detach) override;
  void OnFollowerGone(const FollowerId& follower, const TopicPartition& partition) override;
  bool IsThrottled(NodeId follower, const TopicPartition& partition) override;
  std::optional<PendingPush> TakePush(NodeId follower, const TopicPartition& partition,
                                      size_t bytes_max) override;
  void OnPushRead(NodeId follower, const ReplicaPush& header,
                  const absl::StatusOr<storage::ReadResult>& read) override;
  void Drain() override { host_->DrainReplicas(); }

  const Deps deps_;
  Host* const host_;
  const Metrics metrics_;
  FollowerStreams followed_;
  LeaderStreams following_;
  CatchUpShare catch_up_;
};

}  // namespace millrace::broker

#endif  // BROKER_SHARD_REPLICATION_H_
