// HeldPartition: what the parts of one replica share, whichever role it plays: its ids, its log,
// its topic's settings, what the metadata says of its leadership, its high watermark and who waits
// for that.
//
// Invariant: the high watermark lies between the log start and the log end. It never falls while
// this broker leads; a follower lowers it only where it cuts its log below (an unclean election).
//
// Owned by a Replica. Thread: its shard's executor.
#ifndef BROKER_HELD_PARTITION_H_
#define BROKER_HELD_PARTITION_H_

#include <memory>
#include <utility>

#include "absl/time/time.h"
#include "base/counters.h"
#include "base/ids.h"
#include "base/status.h"
#include "broker/controller_contact.h"
#include "broker/replica_log.h"
#include "broker/replica_messages.h"
#include "broker/topic_settings.h"
#include "broker/waiters.h"

namespace millrace::broker {

struct ReplicaOptions {
  NodeId self = kNoNode;
  // Where the log is (S-05).
  DirectoryId directory;
  // replica.lag.time.max.ms: a follower that has not caught up for so long leaves the in-sync set.
  absl::Duration lag_time_max = absl::Seconds(5);
  // The shard's, which outlives this (S-33). Null: the broker cannot be cut off.
  const ControllerContact* contact = nullptr;
};

struct HeldPartition {
  HeldPartition(const ReplicaOptions& replica_options, TopicPartition partition,
                std::unique_ptr<ReplicaLog> opened, const TopicSettings& topic_settings)
      : options(replica_options),
        topic_partition(partition),
        log(std::move(opened)),
        settings(topic_settings),
        high_watermark(log->log_start_offset()) {}

  LogPosition position() const { return {log->written_offset(), log->durable_offset()}; }
  LeaderHint hint() const { return {leader, leader_epoch, ""}; }
  void SetHighWatermark(Offset to) {
    MoveHighWatermark(to);
    log->SetHighWatermark(to);
  }
  // Where the log itself is not to be told: it is cut there next.
  void MoveHighWatermark(Offset to) {
    high_watermark = to;
    ShowHighWatermark();
  }
  void ShowHighWatermark() {
    if (shown_in != nullptr) shown_in->Set(static_cast<double>(high_watermark.value()));
  }

  const ReplicaOptions options;
  const TopicPartition topic_partition;
  const std::unique_ptr<ReplicaLog> log;
  TopicSettings settings;

  // --- As the newest metadata has it, or the controller's answer to a proposal ---
  NodeId leader = kNoNode;
  LeaderEpoch leader_epoch = kNoLeaderEpoch;
  PartitionEpoch partition_epoch{-1};

  Offset high_watermark;
  // Tells operators of each of its moves, whoever made it. Null: this replica has no metrics.
  Gauge* shown_in = nullptr;
  // A range of the log is known to be damaged, and may be had from another replica (S-35): not to
  // be relied on until it is repaired.
  bool damaged = false;
  FetchWaiters fetch_waiters;
  UncommittedBytes uncommitted;
};

}  // namespace millrace::broker

#endif  // BROKER_HELD_PARTITION_H_
