// Shard: the replicas of a share of the partitions, on one executor, for life: those with
// hash(topic id, partition) mod N. It carries requests to the pure replicas and their answers back,
// keeps their timers, runs the reads that need the disk on the cold-read pools, and their
// housekeeping.
//
// Not here: names and several partitions at once (gather.h), which replicas there should be
// (reconciler.h), rules (replica.h).
//
// Thread: its executor, for every function but the constructor, executor() and index().
#ifndef BROKER_SHARD_H_
#define BROKER_SHARD_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "api/delete_records.h"
#include "api/list_offsets.h"
#include "api/produce.h"
#include "base/clock.h"
#include "base/counters.h"
#include "base/executor.h"
#include "base/ids.h"
#include "base/status.h"
#include "broker/cold_reads.h"
#include "broker/controller_contact.h"
#include "broker/fetch_memory.h"
#include "broker/fetch_run.h"
#include "broker/in_sync_counts.h"
#include "broker/replica.h"
#include "broker/shard_metrics.h"
#include "broker/shard_replication.h"
#include "metadata/delta.h"
#include "metadata/image.h"

namespace millrace::broker {

// The order of one partition's batches on one produce stream (S-23). Shared by the stream and the
// partition's shard; used on the shard only.
struct StreamOrder {
  // A batch failed: later ones fail too, until one comes with a higher restart number.
  bool broken = false;
  uint32_t restart = 0;
};

struct ShardProduce {
  TopicPartition topic_partition;
  // Its id is given by the shard.
  ProduceEvent event;
  // Null for a unary call.
  std::shared_ptr<StreamOrder> order;
  uint32_t restart = 0;
};
using ShardProduceDone = absl::AnyInvocable<void(ProduceReply) &&>;

// One partition at which a fetch waits.
struct ParkItem {
  TopicPartition topic_partition;
  Offset offset;
  std::optional<LeaderEpoch> leader_epoch;
  int64_t bytes_min = 1;
  // As FetchQuery's.
  bool nearby = false;
  // As ShardFetchResult's: waits for its disk.
  bool late = false;
};

struct ReplicaState {
  TopicPartition topic_partition;
  std::string topic;
  int64_t size_bytes = 0;
  Offset log_start_offset;
  Offset high_watermark;
  Offset end_offset;
  // What is in its files.
  Offset written_offset;
  // Of the last batch; kNoLeaderEpoch if there is none.
  LeaderEpoch latest_epoch = kNoLeaderEpoch;
  // Of the leadership that it is, or follows; kNoLeaderEpoch before the first.
  LeaderEpoch leader_epoch = kNoLeaderEpoch;
  bool is_leader = false;
  absl::Status status;
};

class Shard : public std::enable_shared_from_this<Shard>, private ShardReplication::Host {
 public:
  struct Deps {
    NodeId self = kNoNode;
    int index = 0;
    Executor* executor = nullptr;
    const Clock* clock = nullptr;
    MetricRegistry* metrics = nullptr;            // May be null.
    std::shared_ptr<FetchMemory> fetch_memory;    // May be null: answers are not counted.
    std::map<std::string, Executor*> cold_reads;  // By log directory, for metrics.
    absl::Duration housekeeping_interval = absl::Seconds(300);
    // How many replicas of this shard have metrics of their own.
    int metrics_partitions_max = 0;
    ReplicationDeps replication = {};
  };
  static std::shared_ptr<Shard> Create(const Deps& deps);
  ~Shard() override;

  Executor* executor() const { return deps_.executor; }
  int index() const { return deps_.index; }
  const Clock& clock() const { return *deps_.clock; }

  // --- The metadata, as the reconciler hands it on ---
  // Null before the first image.
  const std::shared_ptr<const metadata::Image>& image() const { return image_; }
  // `leaderships_count`: the image shows this broker's current registration (S-01).
  void OnImage(std::shared_ptr<const metadata::Image> image,
               std::shared_ptr<const metadata::Delta> delta, bool leaderships_count);
  using ImageObserver = std::function<void(const metadata::Delta&)>;
  uint64_t Subscribe(ImageObserver observer) {
    observers_.emplace(next_observer_, std::move(observer));
    return next_observer_++;
  }
  void Unsubscribe(uint64_t id) { observers_.erase(id); }

  // --- Replicas ---
  // `directory`: where the log is. A replica leads only where the metadata knows it to be, or has
  // yet to learn where (S-05).
  void AddReplica(const TopicPartition& topic_partition, const std::string& topic,
                  DirectoryId directory, std::unique_ptr<ReplicaLog> log,
                  const TopicSettings& settings);
  // For a replica that cannot be opened: calls are answered with `status`.
  void AddOffline(const TopicPartition& topic_partition, const std::string& topic,
                  const absl::Status& status);
  void SetSettings(const TopicPartition& topic_partition, const TopicSettings& settings,
                   const storage::LogConfig& log_config);
  // Fails those who wait with `status`, and destroys the log without closing it. OK if not here.
  void RemoveReplica(const TopicPartition& topic_partition, const absl::Status& status);
  // Refuses produce from now on with SHUTTING_DOWN; what was appended is still acknowledged.
  void RefuseProduce() { refuses_produce_ = true; }
  // Calls `done` once no acknowledgement is outstanding any more; at once if none is.
  void OnProduceIdle(Task done) {
    if (pending_.empty()) return std::move(done)();
    on_produce_idle_.push_back(std::move(done));
  }
  // Answers everybody, closes all logs (what a fast clean start needs) and destroys them.
  void CloseAll(absl::AnyInvocable<void(absl::Status) &&> done);
  // Destroys what waits here, unanswered: those callbacks hold this shard, and each other. For a
  // broker that is abandoned.
  void Abandon();
  // By topic id and partition.
  std::vector<ReplicaState> Describe() const;
  // In the same order.
  void ForEachLeader(absl::FunctionRef<void(const Replica&)> visit) {
    for (const auto& [partition, hosted] : replicas_) {
      const Replica* const replica = FindOpen(partition);
      if (replica != nullptr && replica->is_leader()) visit(*replica);
    }
  }

  // --- Other brokers, and the controller ---
  // A follower has opened a stream for this shard; see LeaderStreams::Open.
  std::shared_ptr<LeaderSink> OpenReplicaStream(const FollowerHello& hello,
                                                std::shared_ptr<LeaderStream> stream);
  void OnIsrAnswer(const IsrAnswer& answer);
  // The controllers were heard of; never earlier than before. Until the first call they are in this
  // process, or there are none.
  void OnContact(const ControllerContact& contact);

  // --- Calls: `done` runs on this executor, at once or later ---
  void Produce(ShardProduce produce, ShardProduceDone done);
  void Fetch(std::vector<ShardFetchItem> items, FetchBudget budget, ShardFetchDone done);
  // Wakes once, when any of the partitions has what its item asks for (or fails); then, and by
  // Unpark, all of them forget `id`. REQUIRES: `id` is unique in the broker.
  void Park(ParkId id, const std::vector<ParkItem>& items, Task wake);
  void Unpark(ParkId id);
  // Fills all but the name.
  void ListOffsets(const TopicPartition& topic_partition, const api::ListOffsetsPartition& request,
                   absl::AnyInvocable<void(api::ListOffsetsPartitionResult) &&> done);
  // Answered by `deadline`.
  void DeleteRecords(const TopicPartition& topic_partition, Offset before, MonotonicTime deadline,
                     absl::AnyInvocable<void(api::DeleteRecordsPartitionResult) &&> done);

  // The replica here, or why there is none: NOT_LEADER_OR_FOLLOWER with the leader as the image
  // knows it; the error of an offline one.
  absl::StatusOr<Replica*> Find(const TopicPartition& topic_partition);
  ShardMetrics& metrics() { return metrics_; }

  // --- Damage (S-22, S-35) ---
  // Told of every read that found damage, and where it began.
  using DamageObserver =
      std::function<void(const TopicPartition&, Offset from, const absl::Status&)>;
  void SetOnDamage(DamageObserver on_damage) { on_damage_ = std::move(on_damage); }
  // Told of a log that failed alone: its replica is offline, and its directory lives.
  using LogFailureObserver = std::function<void(const TopicPartition&, const absl::Status&)>;
  void SetOnLogFailure(LogFailureObserver on_failure) { on_log_failure_ = std::move(on_failure); }
  // A read of files ended with `status`. Other errors than CORRUPT_LOG, and OK, are no damage.
  void NoteReadFailure(const TopicPartition& topic_partition, Offset from,
                       const absl::Status& status) {
    if (on_damage_ == nullptr || CodeOf(status) != ErrorCode::kCorruptLog) return;
    on_damage_(topic_partition, from, status);
  }
  // See Replica::SetDamaged. OK if it is not here.
  void SetDamaged(const TopicPartition& topic_partition, bool damaged) {
    Replica* const replica = FindOpen(topic_partition);
    if (replica == nullptr) return;
    replica->SetDamaged(damaged, now().monotonic, &outbox_);
    ArmTimer(replica->next_deadline());
    Drain();
  }

  // Cuts the replica's log there if it may; see Replica::MayCutDamaged.
  bool CutDamaged(const TopicPartition& topic_partition, Offset at) {
    Replica* const replica = FindOpen(topic_partition);
    if (replica == nullptr || !replica->MayCutDamaged(at)) return false;
    replica->CutDamaged(at);
    return true;
  }

  // --- For fetches under way: what they read from disks, and where there is no memory for it ---
  ColdReads& cold_reads() { return *cold_reads_; }
  // Resumes the waiting ones when some comes back. Ask again whether there is room after this.
  void WantMemory() { memory_strand_->Want(); }
  bool MemoryIsAwaited() const { return !memory_waiters_.empty(); }
  void AwaitMemory(std::shared_ptr<FetchRun> run) {
    memory_waiters_.push_back(std::move(run));
    CountParked();
  }

 private:
  explicit Shard(const Deps& deps);

  class Hosted;
  struct PendingProduce {
    ShardProduceDone done;
    std::shared_ptr<StreamOrder> order;
    MonotonicTime arrived;
    MonotonicTime staged;
    int64_t bytes = 0;
  };
  struct Parked {
    Task wake;
    std::vector<TopicPartition> partitions;
  };

  // ShardReplication::Host.
  Replica* FindOpen(const TopicPartition& partition) override;
  Outbox* outbox() override { return &outbox_; }
  void Rearm(const Replica& replica) override { ArmTimer(replica.next_deadline()); }
  void DrainReplicas() override { Drain(); }
  void OnReadFailed(const TopicPartition& partition, Offset from,
                    const absl::Status& status) override {
    NoteReadFailure(partition, from, status);
  }

  Now now() const { return {deps_.clock->Now(), deps_.clock->WallNow()}; }
  void NoteLogFailure(const TopicPartition& topic_partition, const absl::Status& status) {
    if (on_log_failure_ == nullptr || CodeOf(status) != ErrorCode::kCorruptLog) return;
    on_log_failure_(topic_partition, status);
  }
  absl::Status NotHere(const TopicPartition& topic_partition) const;
  void ApplyMetadata(Hosted* hosted);
  // Delivers what the replicas want. Callbacks may call back: then the outermost call delivers.
  void Drain();
  void Answer(ProduceReply reply);
  void WakeParked(ParkId id);
  void WakeSoon(ParkId id) {
    deps_.executor->Post([weak = weak_from_this(), id] {
      if (const std::shared_ptr<Shard> self = weak.lock()) self->WakeParked(id);
    });
  }
  void ArmTimer(MonotonicTime when);
  void OnTimer();
  // S-33, while the last contact with the controllers is old, or getting so.
  void AskFollowers(MonotonicTime at);
  void Housekeep();
  // Once for all that waits already: it looks at every replica, and thousands may come at once.
  void UpdateGauges() {
    if (metrics_.replicas == nullptr || std::exchange(gauges_posted_, true)) return;
    deps_.executor->Post([weak = weak_from_this()] {
      if (const std::shared_ptr<Shard> self = weak.lock()) self->SetGauges();
    });
  }
  void SetGauges();
  void CountParked() {
    if (metrics_.parked_fetches == nullptr) return;
    metrics_.parked_fetches->Set(static_cast<double>(parked_.size()));
    metrics_.awaiting_memory->Set(static_cast<double>(memory_waiters_.size()));
  }
  // Those that still find no room wait again, in the same order.
  void ResumeMemoryWaiters() {
    if (memory_waiters_.empty()) return;
    for (const std::shared_ptr<FetchRun>& run : std::exchange(memory_waiters_, {})) run->Resume();
    CountParked();
  }

  const Deps deps_;
  ShardMetrics metrics_;
  std::shared_ptr<const metadata::Image> image_;
  bool leaderships_count_ = false;
  bool refuses_produce_ = false;
  ControllerContact contact_;
  // When the followers may have to be asked (S-33).
  MonotonicTime next_ask_ = MonotonicTime::Never();
  // Ordered, so that what happens to all of them does so in the same order in every run.
  std::map<TopicPartition, std::unique_ptr<Hosted>> replicas_;
  // For the hot calls; never iterated.
  absl::flat_hash_map<TopicPartition, Hosted*> by_partition_;
  InSyncCounts in_sync_;
  absl::flat_hash_map<ProduceId, PendingProduce> pending_;
  absl::flat_hash_map<ProduceId, absl::AnyInvocable<void(api::DeleteRecordsPartitionResult) &&>>
      deletions_;
  absl::flat_hash_map<ParkId, Parked> parked_;
  std::map<uint64_t, ImageObserver> observers_;
  uint64_t next_observer_ = 1;
  ProduceId next_produce_{1};
  const std::shared_ptr<ColdReads> cold_reads_;
  // Null without fetch_memory.
  std::shared_ptr<FetchMemory::Strand> memory_strand_;
  std::vector<std::shared_ptr<FetchRun>> memory_waiters_;
  Outbox outbox_;
  Outbox delivering_;
  bool draining_ = false;
  std::unique_ptr<ShardReplication> replication_;
  DamageObserver on_damage_;
  LogFailureObserver on_log_failure_;
  std::vector<Task> on_produce_idle_;
  // Destroys logs that are still closing.
  Task abandon_closing_;
  // When the next timer task will run; Never: none is posted.
  MonotonicTime armed_ = MonotonicTime::Never();
  MonotonicTime next_housekeeping_ = MonotonicTime::Never();
  bool gauges_posted_ = false;
  // Replicas with metrics of their own; shared with them, since some outlive this while they close.
  const std::shared_ptr<int> partitions_told_ = std::make_shared<int>(0);
};

}  // namespace millrace::broker

#endif  // BROKER_SHARD_H_
