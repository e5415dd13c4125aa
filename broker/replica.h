// Replica: one partition on this broker: its log, its role and epoch, its in-sync set, its high
// watermark and who waits for it. Pure: it is told what happened and at what time, and says all it
// wants through an Outbox, which its shard drains after the step.
//
// Written for the whole of replication, of which only the leader's part with itself as the in-sync
// set exists: positions are taken over InSyncReplicas, whoever is in it. A follower refuses all
// clients' calls.
//
// Rules: S-02 and S-06 (what counts), S-11 (waiters by epoch), S-15 (which set counts where), S-24
// (checks before append), S-38 (what "latest" may say). Not here: who calls (shard.h), several
// partitions at once (gather.h), files (storage/).
//
// Thread: its shard's executor.
#ifndef BROKER_REPLICA_H_
#define BROKER_REPLICA_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "api/partition_name.h"
#include "api/produce.h"
#include "base/bytes.h"
#include "base/ids.h"
#include "base/monotonic_time.h"
#include "broker/in_sync_replicas.h"
#include "broker/replica_log.h"
#include "broker/topic_settings.h"
#include "broker/waiters.h"
#include "metadata/image.h"
#include "rsm/record.h"

namespace millrace::broker {

// The times a step may use.
using rsm::Now;

struct ProduceEvent {
  ProduceId id;
  // As in api::ProducePartition. Memory that nobody else holds becomes the log's; other is copied.
  Bytes batches;
  std::optional<LeaderEpoch> leader_epoch;
  std::optional<uint32_t> topic_checksum;
  api::Acks acks = api::Acks::kAll;
  MonotonicTime deadline = MonotonicTime::Never();
  // When it came to the broker.
  MonotonicTime arrived;
};

struct ProduceReply {
  ProduceId id;
  api::PartitionOutcome outcome;
  Offset base_offset = kNoOffset;
  // How many were acknowledged.
  int64_t records = 0;
  int64_t log_append_time_ms = -1;
  Offset log_start_offset = kNoOffset;
  api::DurabilityLevel level = api::DurabilityLevel::kUnspecified;
  // When the shard answered; set by the shard.
  MonotonicTime answered;
};

struct FetchQuery {
  Offset offset;
  std::optional<LeaderEpoch> leader_epoch;
  size_t bytes_max = 0;
  // Return the first batch even if it is larger than bytes_max.
  bool at_least_one = true;
};

struct FetchAnswer {
  api::PartitionOutcome outcome;
  Offset high_watermark = kNoOffset;
  Offset last_stable_offset = kNoOffset;
  Offset log_start_offset = kNoOffset;
  // Empty with an error.
  LogRead read;
};

// What a replica wants done. One Outbox serves all steps of a shard: it keeps its memory.
struct Outbox {
  std::vector<ProduceReply> produced;
  std::vector<ParkId> woken;
  // Bytes of batches that had to be copied because somebody else holds their memory.
  int64_t copied_bytes = 0;

  bool empty() const { return produced.empty() && woken.empty(); }
  void Clear() {
    produced.clear();
    woken.clear();
    copied_bytes = 0;
  }
};

class Replica {
 public:
  // `log` is open, and nothing was staged in it by anyone else.
  Replica(NodeId self, TopicPartition topic_partition, std::unique_ptr<ReplicaLog> log,
          const TopicSettings& settings);

  // --- Events ---
  // Appends, or refuses; answers through `outbox`, now or later.
  void Produce(ProduceEvent event, const Now& now, Outbox* outbox);
  // Parks a fetch that has read up to `offset`; wakes it at once if there is more already, or if
  // the replica no longer serves `leader_epoch`.
  void Park(ParkId id, Offset offset, std::optional<LeaderEpoch> leader_epoch, int64_t bytes_min,
            Outbox* outbox);
  void Unpark(ParkId id) { fetch_waiters_.Unpark(id); }
  // The log's positions moved.
  void OnAdvanced(LogPosition own, Outbox* outbox);
  // The log's directory failed, for good: offline from now on.
  void OnFailed(const absl::Status& status, Outbox* outbox);
  // What the metadata says now; older epochs than known are ignored. `may_lead`: the image shows
  // this broker's own registration (S-01).
  void OnMetadata(const metadata::PartitionImage& partition, bool may_lead, Outbox* outbox);
  void OnSettings(const TopicSettings& settings, Outbox* outbox);
  // Time has passed; call at or after next_deadline().
  void Tick(MonotonicTime now, Outbox* outbox);
  // The partition leaves this broker, or the broker stops: everybody is answered with `status`.
  void Stop(const absl::Status& status, Outbox* outbox);

  MonotonicTime next_deadline() const;

  // --- Queries ---
  FetchAnswer Fetch(const FetchQuery& query);
  // The offset that "latest" names. Errors: as for all calls, and OFFSET_NOT_AVAILABLE after an
  // election until the high watermark has reached the log end of then (S-38).
  absl::StatusOr<Offset> LatestOffset(std::optional<LeaderEpoch> leader_epoch) const;
  // OK if this replica leads in this epoch. Errors: NOT_LEADER_OR_FOLLOWER, FENCED_LEADER_EPOCH,
  // UNKNOWN_LEADER_EPOCH, each with the leader as known; STORAGE_ERROR; SHUTTING_DOWN.
  absl::Status CheckLeader(std::optional<LeaderEpoch> leader_epoch) const;
  // Where DeleteRecords(`before`) would let the log start. Errors: OFFSET_OUT_OF_RANGE beyond the
  // high watermark; and as CheckLeader.
  absl::StatusOr<Offset> CheckDeleteRecords(Offset before) const;

  bool is_leader() const { return role_ == Role::kLeader; }
  LeaderEpoch leader_epoch() const { return leader_epoch_; }
  Offset high_watermark() const { return high_watermark_; }
  // Equal to the high watermark as long as there are no transactions.
  Offset last_stable_offset() const { return high_watermark_; }
  const TopicPartition& topic_partition() const { return topic_partition_; }
  const TopicSettings& settings() const { return settings_; }
  const absl::Status& status() const { return status_; }
  ReplicaLog& log() { return *log_; }
  const ReplicaLog& log() const { return *log_; }
  size_t produce_waiters() const { return leader_waiters_.size() + all_waiters_.size(); }
  size_t fetch_waiters() const { return fetch_waiters_.size(); }

 private:
  enum class Role { kFollower, kLeader };
  // A staged range whose commit will wake fetches.
  struct Uncommitted {
    Offset end_offset;
    int64_t bytes;
  };

  absl::Status CheckProduce(const ProduceEvent& event) const;
  absl::Status Append(ProduceEvent* event, const Now& now, ProduceWaiter* waiter, Outbox* outbox);
  void Await(const ProduceEvent& event, const ProduceWaiter& waiter, Outbox* outbox);
  void Acknowledge(const ProduceWaiter& waiter, Outbox* outbox) const;
  void Refuse(ProduceId id, const absl::Status& status, Outbox* outbox) const;
  // Answers all produce waiters with an outcome that is not known (S-11), and wakes all fetches.
  void FailWaiters(absl::string_view why, Outbox* outbox);
  void BecomeLeader(const metadata::PartitionImage& partition);
  // Recomputes what follows from positions and sets.
  void Advance(Outbox* outbox);
  int64_t TakeCommittedBytes();
  bool HasMinIsr() const;
  api::DurabilityLevel level() const;
  LeaderHint hint() const { return {leader_, leader_epoch_, ""}; }

  const TopicPartition topic_partition_;
  const std::unique_ptr<ReplicaLog> log_;
  TopicSettings settings_;
  // Not OK: offline or stopped; nothing is served.
  absl::Status status_;

  Role role_ = Role::kFollower;
  NodeId self_;
  NodeId leader_ = kNoNode;
  LeaderEpoch leader_epoch_ = kNoLeaderEpoch;
  PartitionEpoch partition_epoch_{-1};
  int replica_count_ = 1;
  InSyncReplicas isr_;
  // Never falls while this leads (and is never beyond what the maximal in-sync set has).
  Offset high_watermark_;
  // Log end when the current leadership began (S-38).
  Offset epoch_start_;
  // S-07: until the durable position has passed this, acknowledgements promise `replicated` only.
  std::optional<Offset> durable_from_;

  // For acks of the leader alone, by its own position; and of all, by the high watermark.
  ProduceWaiters leader_waiters_;
  ProduceWaiters all_waiters_;
  FetchWaiters fetch_waiters_;
  std::deque<Uncommitted> uncommitted_;
  // Memory used again in each step.
  std::vector<ProduceWaiter> taken_;
};

}  // namespace millrace::broker

#endif  // BROKER_REPLICA_H_
