#include "broker/shard.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/mutant.h"
#include "base/status.h"
#include "metadata/topic_config.h"

namespace millrace::broker {

// A replica in its shard: listens to its log, and remembers what answers need. One that is offline
// from the start has no replica.
class Shard::Hosted : public storage::Log::Listener {
 public:
  Hosted(Shard* shard, std::string topic)
      : shard_(shard), told_(shard->partitions_told_), topic_(std::move(topic)) {}
  ~Hosted() override {
    if (replica_ != nullptr) replica_->log().SetListener(nullptr);
    if (metrics_ != nullptr) --*told_;
  }

  void OnAdvanced(Offset /*written*/, Offset /*durable*/) override {
    replica_->OnAdvanced(shard_->now().monotonic, &shard_->outbox_);
    shard_->ArmTimer(replica_->next_deadline());
    Tell();
    shard_->Drain();
  }
  bool leads() const { return replica_ != nullptr && replica_->is_leader(); }
  // Keeps what is served of this partition up to date.
  void Tell() {
    if (metrics_ == nullptr) return;
    const ReplicaLog& log = replica_->log();
    metrics_->Set(log.size_bytes(), log.log_start_offset(), log.end_offset());
  }
  void OnFailed(const absl::Status& status) override {
    shard_->NoteLogFailure(replica_->topic_partition(), status);
    replica_->OnFailed(status, &shard_->outbox_);
    shard_->Drain();
  }

  void Open(std::unique_ptr<Replica> replica) {
    replica_ = std::move(replica);
    replica_->log().SetListener(this);
    ServeMetrics();
  }
  // From now on, if there is a place for them.
  void ServeMetrics() {
    const Deps& deps = shard_->deps_;
    if (deps.metrics == nullptr || replica_ == nullptr || metrics_ != nullptr) return;
    if (*told_ >= deps.metrics_partitions_max) return;
    ++*told_;
    metrics_ = std::make_unique<PartitionMetrics>(deps.metrics, topic_,
                                                  replica_->topic_partition().partition);
    replica_->ShowHighWatermarkIn(metrics_->high_watermark());
    Tell();
  }

  Shard* const shard_;
  const std::shared_ptr<int> told_;
  const std::string topic_;
  DirectoryId directory_;
  // Null beyond metrics_partitions_max. Outlives the replica, which writes to it.
  std::unique_ptr<PartitionMetrics> metrics_;
  std::unique_ptr<Replica> replica_;
  absl::Status offline_;
};

Shard::Shard(const Deps& deps)
    : deps_(deps),
      metrics_(deps.metrics),
      cold_reads_(std::make_shared<ColdReads>(
          deps.executor, deps.clock, ColdReads::MetricsIn(deps.metrics, deps.cold_reads),
          [this](const TopicPartition& partition, Offset from, const absl::Status& status) {
            NoteReadFailure(partition, from, status);
          })) {
  ShardReplication::Deps replication;
  replication.self = deps.self;
  replication.shard = deps.index;
  replication.executor = deps.executor;
  replication.clock = deps.clock;
  replication.metrics = deps.metrics;
  replication.shared = deps.replication;
  ShardReplication::Host* const host = this;
  replication_ = std::make_unique<ShardReplication>(replication, host);
}

Shard::~Shard() {
  if (memory_strand_ != nullptr) memory_strand_->Forget();
}

std::shared_ptr<Shard> Shard::Create(const Deps& deps) {
  std::shared_ptr<Shard> shard(new Shard(deps));
  if (deps.fetch_memory != nullptr) {
    shard->memory_strand_ =
        deps.fetch_memory->AddStrand(deps.executor, [weak = std::weak_ptr<Shard>(shard)] {
          if (const std::shared_ptr<Shard> self = weak.lock()) self->ResumeMemoryWaiters();
        });
  }
  return shard;
}

// --- Metadata ---

void Shard::OnImage(std::shared_ptr<const metadata::Image> image,
                    std::shared_ptr<const metadata::Delta> delta, bool leaderships_count) {
  // Who may be in sync depends on the brokers.
  const bool all = image_ == nullptr || leaderships_count != leaderships_count_ ||
                   !delta->brokers_changed.empty() || !delta->brokers_removed.empty();
  image_ = std::move(image);
  leaderships_count_ = leaderships_count;
  // Streams of runs that have ended are closed before replicas attach again.
  const metadata::BrokerImage* const self = image_->FindBroker(deps_.self);
  replication_->OnImage(image_, *delta,
                        leaderships_count && self != nullptr ? self->epoch : kNoBrokerEpoch);
  if (all) {
    for (auto& [partition, hosted] : replicas_) ApplyMetadata(hosted.get());
  } else {
    for (const TopicPartition& partition : delta->partitions_changed) {
      const auto hosted = replicas_.find(partition);
      if (hosted != replicas_.end()) ApplyMetadata(hosted->second.get());
    }
  }
  Drain();
  UpdateGauges();
  // An observer may unsubscribe itself or others.
  std::vector<uint64_t> ids;
  for (const auto& [id, observer] : observers_) ids.push_back(id);
  for (const uint64_t id : ids) {
    const auto observer = observers_.find(id);
    if (observer == observers_.end()) continue;
    const ImageObserver call = observer->second;
    call(*delta);
  }
}

void Shard::ApplyMetadata(Hosted* hosted) {
  if (image_ == nullptr || hosted->replica_ == nullptr) return;
  const TopicPartition id = hosted->replica_->topic_partition();
  const metadata::PartitionImage* const partition = image_->FindPartition(id);
  if (partition == nullptr) return;
  const DirectoryId known = partition->DirectoryOf(deps_.self);
  const bool in_place = known.is_zero() || known == hosted->directory_;
  // The other settings follow (SetSettings).
  const auto min = metadata::MinInsyncReplicasOf(*image_, id.topic_id);
  if (min.has_value()) hosted->replica_->SetMinInsyncReplicas(*min);
  hosted->replica_->OnMetadata(*partition, StandingsOf(*image_, *partition),
                               leaderships_count_ && in_place, now().monotonic, &outbox_);
  ArmTimer(hosted->replica_->next_deadline());
  in_sync_.Note(*hosted->replica_, *partition);
}

// --- Replicas ---

void Shard::AddReplica(const TopicPartition& topic_partition, const std::string& topic,
                       DirectoryId directory, std::unique_ptr<ReplicaLog> log,
                       const TopicSettings& settings) {
  auto hosted = std::make_unique<Hosted>(this, topic);
  hosted->directory_ = directory;
  hosted->Open(
      std::make_unique<Replica>(ReplicaOptions{.self = deps_.self,
                                               .directory = directory,
                                               .lag_time_max = deps_.replication.lag_time_max,
                                               .contact = &contact_},
                                topic_partition, std::move(log), settings));
  by_partition_[topic_partition] = hosted.get();
  Hosted* const added = hosted.get();
  replicas_[topic_partition] = std::move(hosted);
  ApplyMetadata(added);
  Drain();
  UpdateGauges();
  if (next_housekeeping_ == MonotonicTime::Never()) {
    next_housekeeping_ = now().monotonic + deps_.housekeeping_interval;
  }
  ArmTimer(next_housekeeping_);
}

void Shard::AddOffline(const TopicPartition& topic_partition, const std::string& topic,
                       const absl::Status& status) {
  auto hosted = std::make_unique<Hosted>(this, topic);
  hosted->offline_ = status;
  by_partition_[topic_partition] = hosted.get();
  replicas_[topic_partition] = std::move(hosted);
  UpdateGauges();
}

void Shard::SetSettings(const TopicPartition& topic_partition, const TopicSettings& settings,
                        const storage::LogConfig& log_config) {
  const auto hosted = replicas_.find(topic_partition);
  if (hosted == replicas_.end() || hosted->second->replica_ == nullptr) return;
  hosted->second->replica_->log().SetConfig(log_config);
  hosted->second->replica_->OnSettings(settings, now().monotonic, &outbox_);
  Drain();
  const metadata::PartitionImage* const partition =
      image_ == nullptr ? nullptr : image_->FindPartition(topic_partition);
  if (partition == nullptr) return;
  in_sync_.Note(*hosted->second->replica_, *partition);
  UpdateGauges();
}

void Shard::RemoveReplica(const TopicPartition& topic_partition, const absl::Status& status) {
  const auto found = replicas_.find(topic_partition);
  if (found == replicas_.end()) return;
  // Out of the maps first: answers may make their callers ask again.
  std::unique_ptr<Hosted> hosted = std::move(found->second);
  by_partition_.erase(topic_partition);
  in_sync_.Forget(topic_partition);
  replicas_.erase(found);
  if (hosted->replica_ != nullptr) hosted->replica_->Stop(status, &outbox_);
  Drain();
  hosted.reset();
  UpdateGauges();
}

void Shard::CloseAll(absl::AnyInvocable<void(absl::Status) &&> done) {
  const absl::Status stopped =
      MakeError(ErrorCode::kShuttingDown, "the broker is shutting down; ask another one");
  // Counts the logs that are still closing, and this function itself.
  struct Closing {
    int left = 1;
    absl::Status status;
    absl::AnyInvocable<void(absl::Status) &&> done;
    // Logs live until they have closed.
    std::map<TopicPartition, std::unique_ptr<Hosted>> logs;
  };
  auto closing = std::make_shared<Closing>();
  closing->done = std::move(done);
  abandon_closing_ = [weak = std::weak_ptr<Closing>(closing)] {
    if (const std::shared_ptr<Closing> still = weak.lock()) still->logs.clear();
  };
  const auto closed = [weak = weak_from_this(), closing](const absl::Status& status) {
    if (!status.ok() && closing->status.ok()) closing->status = status;
    if (--closing->left > 0) return;
    // Not from inside a call of the last log.
    if (const std::shared_ptr<Shard> self = weak.lock()) {
      self->deps_.executor->Post([closing] {
        closing->logs.clear();
        std::move(closing->done)(closing->status);
      });
    }
  };
  for (auto& [partition, hosted] : replicas_) {
    if (hosted->replica_ != nullptr) hosted->replica_->Stop(stopped, &outbox_);
  }
  closing->logs = std::move(replicas_);
  replicas_.clear();
  by_partition_.clear();
  Drain();
  replication_->Close(stopped);
  for (auto& [partition, hosted] : closing->logs) {
    if (hosted->replica_ == nullptr || !hosted->replica_->log().status().ok()) continue;
    ++closing->left;
    hosted->replica_->log().Close([closed](absl::Status status) { closed(status); });
  }
  closed(absl::OkStatus());
  // They find no replica any more, and are answered with that.
  cold_reads_->Close();
  ResumeMemoryWaiters();
  if (memory_strand_ != nullptr) memory_strand_->Forget();
  UpdateGauges();
}

void Shard::Abandon() {
  replication_->Close(MakeError(ErrorCode::kShuttingDown, "the broker is gone"));
  // Out of the maps first: what goes may look into them.
  const auto parked = std::exchange(parked_, {});
  const auto pending = std::exchange(pending_, {});
  const auto idle = std::exchange(on_produce_idle_, {});
  const auto waiting = std::exchange(memory_waiters_, {});
  cold_reads_->Abandon();
  // The callbacks of their closing hold those logs.
  if (abandon_closing_) std::exchange(abandon_closing_, nullptr)();
}

std::vector<ReplicaState> Shard::Describe() const {
  std::vector<ReplicaState> states;
  for (const auto& [partition, hosted] : replicas_) {
    ReplicaState& state = states.emplace_back();
    state.topic_partition = partition;
    state.topic = hosted->topic_;
    state.status = hosted->offline_;
    if (hosted->replica_ == nullptr) continue;
    const Replica& replica = *hosted->replica_;
    state.size_bytes = replica.log().size_bytes();
    state.log_start_offset = replica.log().log_start_offset();
    state.high_watermark = replica.high_watermark();
    state.end_offset = replica.log().end_offset();
    state.written_offset = replica.log().written_offset();
    state.latest_epoch = replica.log().latest_epoch();
    state.leader_epoch = replica.leader_epoch();
    state.is_leader = replica.is_leader();
    state.status = replica.status();
  }
  return states;
}

absl::StatusOr<Replica*> Shard::Find(const TopicPartition& topic_partition) {
  const auto found = by_partition_.find(topic_partition);
  if (found == by_partition_.end()) return NotHere(topic_partition);
  if (found->second->replica_ == nullptr) return found->second->offline_;
  return found->second->replica_.get();
}

absl::Status Shard::NotHere(const TopicPartition& topic_partition) const {
  const metadata::PartitionImage* partition =
      image_ == nullptr ? nullptr : image_->FindPartition(topic_partition);
  if (partition == nullptr) {
    return MakeError(
        ErrorCode::kUnknownTopicOrPartition,
        absl::StrCat("there is no partition ", topic_partition.partition.value(),
                     " of the topic with id ", topic_partition.topic_id.ToString()),
        {.name = "partition", .value = absl::StrCat(topic_partition.partition.value())});
  }
  const absl::string_view why = partition->IsReplica(deps_.self)
                                    ? "this broker is still opening the partition; try again"
                                    : "this broker does not hold the partition";
  return MakeError(ErrorCode::kNotLeaderOrFollower, why,
                   {.leader = LeaderHint{partition->leader, partition->leader_epoch, ""}});
}

// --- Other brokers, and the controller ---

Replica* Shard::FindOpen(const TopicPartition& partition) {
  const auto found = by_partition_.find(partition);
  return found == by_partition_.end() ? nullptr : found->second->replica_.get();
}

std::shared_ptr<LeaderSink> Shard::OpenReplicaStream(const FollowerHello& hello,
                                                     std::shared_ptr<LeaderStream> stream) {
  return replication_->Open(hello, std::move(stream));
}

void Shard::OnIsrAnswer(const IsrAnswer& answer) {
  Replica* const replica = FindOpen(answer.topic_partition);
  if (replica == nullptr) return;
  replica->OnIsrAnswer(answer, now().monotonic, &outbox_);
  ArmTimer(replica->next_deadline());
  Drain();
}

void Shard::OnContact(const ControllerContact& contact) {
  contact_ = contact;
  // When it comes, there may have been contact again.
  if (next_ask_ != MonotonicTime::Never()) return;
  next_ask_ = contact_.last + contact_.session_timeout / 2;
  ArmTimer(next_ask_);
}

// --- Calls ---

void Shard::Produce(ShardProduce produce, ShardProduceDone done) {
  produce.event.id = next_produce_;
  ++next_produce_;
  const Now at = now();
  const bool in_order = produce.order == nullptr || !produce.order->broken ||
                        produce.restart > produce.order->restart;
  if (produce.order != nullptr && produce.restart > produce.order->restart) {
    *produce.order = {false, produce.restart};
  }
  pending_.emplace(
      produce.event.id,
      PendingProduce{std::move(done), std::move(produce.order), at.monotonic, at.monotonic,
                     static_cast<int64_t>(produce.event.batches.size())});
  if (produce.event.arrived != MonotonicTime()) {
    metrics_.Stage(ProduceStage::kQueue, at.monotonic - produce.event.arrived);
  }
  const auto refuse = [&, id = produce.event.id](const absl::Status& status) {
    ProduceReply& reply = outbox_.produced.emplace_back();
    reply.id = id;
    reply.outcome = api::PartitionOutcome::Of(status);
  };
  absl::StatusOr<Replica*> replica = Find(produce.topic_partition);
  if (!in_order) {
    refuse(
        MakeError(ErrorCode::kStreamOrderBroken,
                  "an earlier batch for this partition failed on this stream, so this one was not "
                  "appended; send them again in order, with a higher `restart`",
                  {.name = "restart", .value = absl::StrCat(produce.restart)}));
  } else if (refuses_produce_) {
    refuse(MakeError(ErrorCode::kShuttingDown, "the broker is shutting down; ask another one"));
  } else if (!replica.ok()) {
    refuse(replica.status());
  } else {
    const ProduceId id = produce.event.id;
    (*replica)->Produce(std::move(produce.event), at, &outbox_);
    PendingProduce& pending = pending_.find(id)->second;
    pending.staged = deps_.clock->Now();
    metrics_.Stage(ProduceStage::kAppend, pending.staged - at.monotonic);
    if (metrics_.copied_bytes != nullptr) {
      metrics_.copied_bytes->Add(std::exchange(outbox_.copied_bytes, 0));
    }
    ArmTimer((*replica)->next_deadline());
  }
  Drain();
}

void Shard::Fetch(std::vector<ShardFetchItem> items, FetchBudget budget, ShardFetchDone done) {
  std::make_shared<FetchRun>(shared_from_this(), deps_.fetch_memory, std::move(items), budget,
                             std::move(done))
      ->Start();
}

void Shard::Park(ParkId id, const std::vector<ParkItem>& items, Task wake) {
  Parked& parked = parked_[id];
  parked.wake = std::move(wake);
  for (const ParkItem& item : items) {
    absl::StatusOr<Replica*> replica = Find(item.topic_partition);
    if (!replica.ok()) {
      outbox_.woken.push_back(id);
      continue;
    }
    parked.partitions.push_back(item.topic_partition);
    if (item.late) {
      cold_reads_->AwaitAnswer((*replica)->log().cold_reads(), item.topic_partition, id,
                               [this, id] { WakeSoon(id); });
    }
    // No record wakes one that waits for its disk; another leader does.
    const Offset offset = item.late ? Offset(std::numeric_limits<int64_t>::max()) : item.offset;
    (*replica)->Park(id,
                     {.offset = offset, .leader_epoch = item.leader_epoch, .nearby = item.nearby},
                     item.bytes_min, &outbox_);
  }
  CountParked();
  Drain();
}

void Shard::Unpark(ParkId id) {
  const auto parked = parked_.find(id);
  if (parked == parked_.end()) return;
  for (const TopicPartition& partition : parked->second.partitions) {
    const auto hosted = by_partition_.find(partition);
    if (hosted != by_partition_.end() && hosted->second->replica_ != nullptr) {
      hosted->second->replica_->Unpark(id);
    }
  }
  cold_reads_->Forget(id);
  parked_.erase(parked);
  CountParked();
}

void Shard::WakeParked(ParkId id) {
  const auto parked = parked_.find(id);
  if (parked == parked_.end()) return;
  Task wake = std::move(parked->second.wake);
  Unpark(id);
  std::move(wake)();
}

void Shard::DeleteRecords(const TopicPartition& topic_partition, Offset before,
                          MonotonicTime deadline,
                          absl::AnyInvocable<void(api::DeleteRecordsPartitionResult) &&> done) {
  const ProduceId id = next_produce_;
  ++next_produce_;
  deletions_.emplace(id, std::move(done));
  if (const absl::StatusOr<Replica*> replica = Find(topic_partition); replica.ok()) {
    (*replica)->DeleteRecords({id, before, deadline}, now().monotonic, &outbox_);
    ArmTimer((*replica)->next_deadline());
  } else {
    outbox_.deleted.push_back({id, api::PartitionOutcome::Of(replica.status())});
  }
  Drain();
}

void Shard::ListOffsets(const TopicPartition& topic_partition,
                        const api::ListOffsetsPartition& request,
                        absl::AnyInvocable<void(api::ListOffsetsPartitionResult) &&> done) {
  api::ListOffsetsPartitionResult result;
  const auto fail = [&](const absl::Status& status) {
    result.outcome = api::PartitionOutcome::Of(status);
    std::move(done)(std::move(result));
  };
  absl::StatusOr<Replica*> replica = Find(topic_partition);
  if (!replica.ok()) return fail(replica.status());
  absl::StatusOr<TimeLookup> lookup = (*replica)->ListOffsets(request, now().monotonic, &result);
  if (!lookup.ok()) return fail(lookup.status());
  if (*lookup == nullptr) return std::move(done)(std::move(result));
  (*replica)->log().cold_reads()->Post([lookup = *std::move(lookup), done = std::move(done),
                                        result = std::move(result),
                                        executor = deps_.executor]() mutable {
    absl::StatusOr<std::optional<storage::TimestampAndOffset>> at = std::move(lookup)();
    if (!at.ok()) {
      result.outcome = api::PartitionOutcome::Of(at.status());
    } else if (*at) {
      result.offset = (*at)->offset;
      result.timestamp_ms = (*at)->timestamp_ms;
      result.leader_epoch = (*at)->leader_epoch;
    }
    executor->Post([done = std::move(done), result = std::move(result)]() mutable {
      std::move(done)(std::move(result));
    });
  });
}

// --- Delivery, time ---

void Shard::Drain() {
  if (draining_) return;
  draining_ = true;
  do {
    while (!outbox_.empty()) {
      std::swap(outbox_, delivering_);
      for (ProduceReply& reply : delivering_.produced) Answer(std::move(reply));
      for (DeletionReply& reply : delivering_.deleted) {
        api::DeleteRecordsPartitionResult result;
        result.outcome = std::move(reply.outcome);
        result.log_start_offset = reply.log_start_offset;
        std::move(deletions_.extract(reply.id).mapped())(std::move(result));
      }
      for (const ParkId id : delivering_.woken) WakeParked(id);
      replication_->Deliver(&delivering_);
      delivering_.Clear();
    }
  } while (replication_->Flush() || !outbox_.empty());
  draining_ = false;
}

void Shard::Answer(ProduceReply reply) {
  const auto pending = pending_.find(reply.id);
  CHECK(pending != pending_.end()) << "answered twice";
  PendingProduce produce = std::move(pending->second);
  pending_.erase(pending);
  if (!reply.outcome.ok() && produce.order != nullptr) {
    produce.order->broken = !MUTANT("broker.stream-goes-on-after-failure");
  }
  reply.answered = deps_.clock->Now();
  metrics_.produce.Answered(reply.outcome.code, reply.answered - produce.arrived, produce.bytes);
  if (reply.outcome.ok()) metrics_.Acknowledged(produce.staged, reply.synced, reply.answered);
  metrics_.produce.Records(reply.records);
  std::move(produce.done)(std::move(reply));
  if (!pending_.empty()) return;
  for (Task& idle : std::exchange(on_produce_idle_, {})) std::move(idle)();
}

void Shard::ArmTimer(MonotonicTime when) {
  if (when >= armed_) return;
  armed_ = when;
  deps_.executor->PostAt(when, [weak = weak_from_this(), when] {
    const std::shared_ptr<Shard> self = weak.lock();
    // One that was overtaken by an earlier one finds nothing to do.
    if (self != nullptr && self->armed_ == when) self->OnTimer();
  });
}

void Shard::OnTimer() {
  armed_ = MonotonicTime::Never();
  const MonotonicTime at = now().monotonic;
  MonotonicTime next = MonotonicTime::Never();
  if (next_housekeeping_ <= at) Housekeep();
  if (next_ask_ <= at) AskFollowers(at);
  next = std::min({next, next_housekeeping_, next_ask_});
  for (auto& [partition, hosted] : replicas_) {
    if (hosted->replica_ == nullptr) continue;
    if (hosted->replica_->next_deadline() <= at) hosted->replica_->Tick(at, &outbox_);
    next = std::min(next, hosted->replica_->next_deadline());
  }
  Drain();
  ArmTimer(next);
}

void Shard::AskFollowers(MonotonicTime at) {
  // From half a session on: their answers are there when the whole of it has passed.
  next_ask_ = contact_.last + contact_.session_timeout / 2;
  if (at < next_ask_) return;
  next_ask_ = at + contact_.session_timeout / 4;
  replication_->AskFollowers();
  for (auto& [partition, hosted] : replicas_) {
    if (hosted->replica_ != nullptr) hosted->replica_->WakeIfReplaced(at, &outbox_);
  }
}

void Shard::Housekeep() {
  const Now at = now();
  for (auto& [partition, hosted] : replicas_) {
    if (hosted->replica_ != nullptr && hosted->replica_->log().status().ok()) {
      hosted->replica_->log().Housekeep(at.wall);
      hosted->Tell();
    }
  }
  next_housekeeping_ = at.monotonic + deps_.housekeeping_interval;
}

void Shard::SetGauges() {
  gauges_posted_ = false;
  int leaders = 0;
  for (const auto& [partition, hosted] : replicas_) {
    leaders += hosted->leads() ? 1 : 0;
    // Others that went have left their places.
    hosted->ServeMetrics();
  }
  metrics_.Holds(static_cast<int>(replicas_.size()), leaders, in_sync_, *partitions_told_);
}

}  // namespace millrace::broker
