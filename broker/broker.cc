#include "broker/broker.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/status.h"
#include "broker/controller_channel.h"
#include "broker/damage_control.h"
#include "broker/damaged_leaders.h"
#include "broker/directory_assigner.h"
#include "broker/fetch_call.h"
#include "broker/fetch_stream.h"
#include "broker/follower_lag.h"
#include "broker/forward_channel.h"
#include "broker/forwarder.h"
#include "broker/last_copy_reporter.h"
#include "broker/log_dir_speeds.h"
#include "broker/produce_stream.h"
#include "broker/producer_ids.h"
#include "broker/range_read.h"
#include "broker/reconciler.h"
#include "broker/replication/isr_proposer.h"

namespace millrace::broker {
namespace {

LogDirSet::Deps LogDirSetDeps(const BrokerDeps& deps) {
  LogDirSet::Deps out;
  out.storage.files = deps.files;
  out.storage.clock = deps.clock;
  out.storage.random = deps.random;
  out.storage.metrics = deps.metrics;
  out.home = deps.home;
  out.make_disk_executor = deps.make_disk_executor;
  out.cold_reads_of = deps.cold_reads_of;
  return out;
}

storage::LogDirOptions LogDirOptionsOf(const BrokerOptions& options, const MemoryBudget* budget) {
  storage::LogDirOptions out = options.log_dir;
  // The edge stops reading when what waits to be written fills its half of the memory budget. The
  // directories' own bound, which refuses, lies behind that, where a client never meets it.
  if (budget != nullptr) {
    out.staged_bytes_max = std::max(out.staged_bytes_max, 2 * budget->limit_bytes());
  }
  out.cluster_id = options.cluster_id;
  out.node_id = options.node_id;
  return out;
}

}  // namespace

Broker::Broker(BrokerOptions options, BrokerDeps deps)
    : options_(std::move(options)),
      deps_(std::move(deps)),
      log_dirs_(std::make_unique<LogDirSet>(
          options_.log_dirs, LogDirOptionsOf(options_, deps_.budget), LogDirSetDeps(deps_))),
      log_dir_speeds_(std::make_unique<LogDirSpeeds>(options_.node_id, log_dirs_.get(), deps_.clock,
                                                     deps_.metrics)) {
  CHECK(!options_.log_dirs.empty() && !deps_.shards.empty());
  const std::shared_ptr<FetchMemory> fetch_memory =
      deps_.budget == nullptr ? nullptr : FetchMemory::Create(deps_.budget);
  const ReplicationDeps replication = MakeReplicationDeps();
  std::map<std::string, Executor*> cold_reads;
  for (const LogDirSlot& slot : log_dirs_->slots()) cold_reads[slot.path] = slot.cold_reads;
  for (size_t i = 0; i < deps_.shards.size(); ++i) {
    Shard::Deps shard;
    shard.self = options_.node_id;
    shard.index = static_cast<int>(i);
    shard.executor = deps_.shards[i];
    shard.clock = deps_.clock;
    shard.metrics = deps_.metrics;
    shard.fetch_memory = fetch_memory;
    shard.cold_reads = cold_reads;
    shard.housekeeping_interval = options_.housekeeping_interval;
    shard.replication = replication;
    // Rounded up, so that a small bound is not none.
    const int shard_count = static_cast<int>(deps_.shards.size());
    shard.metrics_partitions_max =
        (options_.metrics_partitions_max + shard_count - 1) / shard_count;
    shards_.push_back(Shard::Create(shard));
  }
  const GatherOptions gather{.self = options_.node_id,
                             .reads_by_rack = options_.reads_by_rack,
                             .fetch_bytes_max = options_.fetch_bytes_max,
                             .produce_timeout_max = options_.produce_timeout_max,
                             .fetch_wait_max = options_.fetch_wait_max};
  for (size_t i = 0; i < shards_.size(); ++i) {
    gathers_.push_back(
        std::make_unique<Gather>(static_cast<int>(i), shards_, deps_.authorizer, gather));
  }
  Reconciler::Deps reconciler;
  reconciler.self = options_.node_id;
  reconciler.home = deps_.home;
  reconciler.log_dirs = log_dirs_.get();
  reconciler.shards = shards_;
  reconciler.static_config = &options_.static_config;
  reconciler.tail_cache_bytes_max = options_.tail_cache_bytes_max;
  reconciler_ = std::make_unique<Reconciler>(std::move(reconciler));
  directory_assigner_ = std::make_unique<DirectoryAssigner>(
      DirectoryAssigner::Deps{options_.node_id, deps_.home, deps_.clock, deps_.controller});
  reconciler_->SetOnAssigned([this](const TopicPartition& partition, DirectoryId directory) {
    directory_assigner_->Assign(partition, directory);
  });
  damaged_leaders_ = std::make_unique<DamagedLeaders>(DamagedLeaders::Deps{
      options_.node_id, deps_.home, deps_.clock,
      [this](const std::vector<IsrProposal>& proposals) { isr_proposer_->Propose(proposals); }});
  reconciler_->SetOnOpened([this](const TopicPartition& partition, bool damaged) {
    damaged_leaders_->OnOpened(partition, damaged);
  });
  last_copy_reporter_ = std::make_unique<LastCopyReporter>(LastCopyReporter::Deps{
      options_.node_id, deps_.home, deps_.clock, deps_.controller, [this](auto done) {
        DescribeReplicas([done = std::move(done)](const auto& replicas) mutable {
          LastCopyReporter::Ends ends;
          for (const auto& [id, state] : replicas) {
            if (state.status.ok()) ends[id] = {state.latest_epoch, state.end_offset};
          }
          std::move(done)(std::move(ends));
        });
      }});
  if (deps_.metrics != nullptr) {
    for (const std::shared_ptr<Shard>& shard : shards_) {
      follower_lags_.push_back(std::make_shared<FollowerLag>(shard, deps_.metrics));
      shard->executor()->Post([weak = std::weak_ptr<FollowerLag>(follower_lags_.back())] {
        if (const std::shared_ptr<FollowerLag> self = weak.lock()) self->Update();
      });
    }
  }
  damage_control_ = std::make_unique<DamageControl>(DamageControl::Deps{
      {options_.node_id, options_.cluster_id, deps_.repair_channel, options_.inter_broker_listener},
      shards_,
      deps_.metrics,
      &options_.static_config});
  if (deps_.controller != nullptr) {
    producer_ids_ = std::make_unique<ProducerIds>(options_.node_id, deps_.controller);
  }
}

ReplicationDeps Broker::MakeReplicationDeps() {
  isr_proposer_ = std::make_shared<IsrProposer>(
      options_.node_id, deps_.home, deps_.controller, [this](const IsrAnswer& answer) {
        const int index = ShardIndexOf(answer.topic_partition, shard_count());
        shards_[index]->executor()->Post(
            [shard = shards_[index], answer] { shard->OnIsrAnswer(answer); });
      });
  ReplicationDeps replication;
  replication.cluster_id = options_.cluster_id;
  replication.shard_count = static_cast<int>(deps_.shards.size());
  replication.channel = deps_.replica_channel;
  replication.listener = options_.inter_broker_listener;
  replication.lag_time_max = options_.replica_lag_time_max;
  replication.propose = [home = deps_.home, weak = std::weak_ptr<IsrProposer>(isr_proposer_)](
                            const std::vector<IsrProposal>& proposals) {
    home->Post([weak, proposals] {
      if (const auto proposer = weak.lock(); proposer != nullptr) proposer->Propose(proposals);
    });
  };
  return replication;
}

ReplicaIntake Broker::replica_intake() {
  std::vector<std::weak_ptr<Shard>> shards(shards_.begin(), shards_.end());
  const auto shard_of = [shards](const FollowerHello& hello) {
    return shards[static_cast<size_t>(hello.leader_shard) % shards.size()].lock();
  };
  ReplicaIntake intake;
  intake.executor_of = [shard_of](const FollowerHello& hello) -> Executor* {
    const std::shared_ptr<Shard> shard = shard_of(hello);
    return shard == nullptr ? nullptr : shard->executor();
  };
  intake.take_in = [shard_of](const FollowerHello& hello,
                              std::shared_ptr<LeaderStream> stream) -> std::shared_ptr<LeaderSink> {
    const std::shared_ptr<Shard> shard = shard_of(hello);
    if (shard == nullptr) return nullptr;
    return shard->OpenReplicaStream(hello, std::move(stream));
  };
  intake.read_range = [shards, cluster_id = options_.cluster_id](const RangeQuery& query,
                                                                 RangeDone done) {
    if (query.cluster_id != cluster_id) {
      return std::move(done)(
          MakeError(ErrorCode::kInconsistentClusterId, "this broker belongs to another cluster"));
    }
    const int index = ShardIndexOf(query.topic_partition, static_cast<int>(shards.size()));
    const std::shared_ptr<Shard> shard = shards[static_cast<size_t>(index)].lock();
    if (shard == nullptr) {
      return std::move(done)(MakeError(ErrorCode::kShuttingDown, "this broker is going"));
    }
    Executor* const executor = shard->executor();
    executor->Post([weak = std::weak_ptr<Shard>(shard), query, done = std::move(done)]() mutable {
      if (const std::shared_ptr<Shard> self = weak.lock()) {
        ReadRange(self, query, std::move(done));
      }
    });
  };
  return intake;
}

Broker::~Broker() {
  for (const std::shared_ptr<Shard>& shard : shards_) shard->Abandon();
}

// --- Life ---

void Broker::OpenLogDirs(OpenDone done) {
  log_dirs_->Open([reconciler = reconciler_.get(), done = std::move(done)](
                      absl::StatusOr<std::vector<OpenedLogDir>> opened) mutable {
    if (opened.ok()) reconciler->OnLogDirsOpen();
    std::move(done)(std::move(opened));
  });
}

void Broker::Registered(BrokerEpoch epoch, Done done) {
  log_dirs_->BeginEpoch(epoch, [this, epoch, done = std::move(done)](absl::Status status) mutable {
    if (status.ok()) {
      reconciler_->OnRegistered(epoch);
      if (producer_ids_ != nullptr) producer_ids_->OnRegistered(epoch);
      isr_proposer_->OnRegistered(epoch);
      directory_assigner_->OnRegistered(epoch);
      last_copy_reporter_->OnRegistered(epoch);
    }
    std::move(done)(std::move(status));
  });
}

void Broker::OnMetadata(const metadata::Update& update) {
  reconciler_->OnMetadata(update);
  directory_assigner_->OnMetadata(*update.image);
  damaged_leaders_->OnMetadata(update.image);
  last_copy_reporter_->OnMetadata(update);
  log_dir_speeds_->OnMetadata(*update.image);
  damage_control_->OnMetadata(update);
}

void Broker::OnContact(MonotonicTime last) {
  const ControllerContact contact{last, options_.session_timeout};
  for (const std::shared_ptr<Shard>& shard : shards_) {
    shard->executor()->Post([weak = std::weak_ptr<Shard>(shard), contact] {
      if (const std::shared_ptr<Shard> self = weak.lock()) self->OnContact(contact);
    });
  }
}

std::map<DirectoryId, absl::Duration> Broker::MeasureDisks() { return log_dir_speeds_->Measure(); }

void Broker::AwaitMetadata(LogIndex index, Task done) {
  reconciler_->Await(index, std::move(done));
}

void Broker::SetOnLogDirFailed(std::function<void(DirectoryId, const absl::Status&)> callback) {
  log_dirs_->SetOnFailed(std::move(callback));
}

void Broker::Shutdown(absl::Duration drain, Done done) {
  reconciler_->Stop();
  // Once, when every shard has nothing left to acknowledge, or when the time is up.
  struct Draining {
    size_t left;
    Done done;
  };
  auto draining = std::make_shared<Draining>(Draining{shards_.size(), std::move(done)});
  const auto go_on = [this, draining] {
    if (draining->done == nullptr) return;
    CloseShards(std::exchange(draining->done, nullptr));
  };
  for (const std::shared_ptr<Shard>& shard : shards_) {
    shard->executor()->Post([shard, draining, go_on, home = deps_.home] {
      shard->RefuseProduce();
      shard->OnProduceIdle([draining, go_on, home] {
        home->Post([draining, go_on] {
          if (--draining->left == 0) go_on();
        });
      });
    });
  }
  deps_.home->PostAt(deps_.clock->Now() + drain, [go_on] { go_on(); });
}

void Broker::CloseShards(Done done) {
  struct Closing {
    size_t left;
    absl::Status status;
    Done done;
  };
  auto closing =
      std::make_shared<Closing>(Closing{shards_.size(), absl::OkStatus(), std::move(done)});
  for (const std::shared_ptr<Shard>& shard : shards_) {
    shard->executor()->Post([this, shard, closing] {
      shard->CloseAll([this, closing](absl::Status status) {
        deps_.home->Post([this, closing, status] {
          if (!status.ok()) closing->status = status;
          if (--closing->left > 0) return;
          log_dirs_->Close([closing](absl::Status closed) {
            std::move(closing->done)(closing->status.ok() ? closed : closing->status);
          });
        });
      });
    });
  }
}

RecoveryProgress Broker::recovery_progress() const {
  RecoveryProgress progress;
  progress.log_dirs_total = static_cast<int>(options_.log_dirs.size());
  progress.log_dirs_opened = log_dirs_->opened_count();
  progress.replicas_wanted = reconciler_->wanted_count();
  progress.replicas_open = reconciler_->open_count();
  return progress;
}

void Broker::ForwardCalls(
    const std::string& listener,
    const std::function<std::unique_ptr<ForwardChannel>(int shard)>& make_channel) {
  for (size_t i = 0; i < gathers_.size(); ++i) {
    forwarders_.push_back(
        std::make_unique<Forwarder>(Forwarder::Options{options_.node_id, listener},
                                    gathers_[i].get(), make_channel(static_cast<int>(i))));
  }
}

// --- Calls ---

Forwarder* Broker::ForwarderOf(const Gather* gather) const {
  return forwarders_.empty() ? nullptr
                             : forwarders_[static_cast<size_t>(gather->edge()->index())].get();
}

Gather* Broker::CurrentGather() {
  for (const std::unique_ptr<Gather>& gather : gathers_) {
    if (gather->edge()->executor()->IsCurrent()) return gather.get();
  }
  return nullptr;
}

void Broker::OnSomeGather(absl::AnyInvocable<void(Gather*) &&> call) {
  if (Gather* const gather = CurrentGather(); gather != nullptr) return std::move(call)(gather);
  Gather* const chosen = gathers_[next_gather_.fetch_add(1) % gathers_.size()].get();
  chosen->edge()->executor()->Post(
      [chosen, call = std::move(call)]() mutable { std::move(call)(chosen); });
}

void Broker::Produce(api::ProduceRequest request, const Caller& caller,
                     absl::AnyInvocable<void(api::ProduceResponse) &&> done) {
  OnSomeGather(
      [this, request = std::move(request), caller, done = std::move(done)](Gather* gather) mutable {
        if (Forwarder* const forwarder = ForwarderOf(gather); forwarder != nullptr) {
          return forwarder->Produce(std::move(request), caller, std::move(done));
        }
        gather->Produce(std::move(request), caller, std::move(done));
      });
}

std::weak_ptr<OngoingFetch> Broker::Fetch(api::FetchRequest request, const Caller& caller,
                                          absl::AnyInvocable<void(api::FetchResponse) &&> done) {
  if (Gather* const gather = CurrentGather(); gather != nullptr) {
    return FetchAt(gather, std::move(request), caller, std::move(done));
  }
  OnSomeGather(
      [this, request = std::move(request), caller, done = std::move(done)](Gather* gather) mutable {
        FetchAt(gather, std::move(request), caller, std::move(done));
      });
  return {};
}

std::weak_ptr<OngoingFetch> Broker::FetchAt(Gather* gather, api::FetchRequest request,
                                            const Caller& caller,
                                            absl::AnyInvocable<void(api::FetchResponse) &&> done) {
  if (Forwarder* const forwarder = ForwarderOf(gather); forwarder != nullptr) {
    return forwarder->Fetch(std::move(request), caller, std::move(done));
  }
  return gather->Fetch(std::move(request), caller, std::move(done));
}

void Broker::ListOffsets(api::ListOffsetsRequest request, const Caller& caller,
                         absl::AnyInvocable<void(api::ListOffsetsResponse) &&> done) {
  OnSomeGather(
      [this, request = std::move(request), caller, done = std::move(done)](Gather* gather) mutable {
        if (Forwarder* const forwarder = ForwarderOf(gather); forwarder != nullptr) {
          return forwarder->ListOffsets(std::move(request), caller, std::move(done));
        }
        gather->ListOffsets(std::move(request), caller, std::move(done));
      });
}

void Broker::DeleteRecords(api::DeleteRecordsRequest request, const Caller& caller,
                           absl::AnyInvocable<void(api::DeleteRecordsResponse) &&> done) {
  OnSomeGather(
      [this, request = std::move(request), caller, done = std::move(done)](Gather* gather) mutable {
        if (Forwarder* const forwarder = ForwarderOf(gather); forwarder != nullptr) {
          return forwarder->DeleteRecords(std::move(request), caller, std::move(done));
        }
        gather->DeleteRecords(std::move(request), caller, std::move(done));
      });
}

void Broker::OffsetForLeaderEpoch(
    api::OffsetForLeaderEpochRequest request, const Caller& caller,
    absl::AnyInvocable<void(api::OffsetForLeaderEpochResponse) &&> done) {
  OnSomeGather(
      [this, request = std::move(request), caller, done = std::move(done)](Gather* gather) mutable {
        if (Forwarder* const forwarder = ForwarderOf(gather); forwarder != nullptr) {
          return forwarder->OffsetForLeaderEpoch(std::move(request), caller, std::move(done));
        }
        gather->OffsetForLeaderEpoch(std::move(request), caller, std::move(done));
      });
}

void Broker::InitProducerId(
    absl::AnyInvocable<void(absl::StatusOr<api::ProducerIdentity>) &&> done) {
  if (producer_ids_ == nullptr) {
    return std::move(done)(
        MakeError(ErrorCode::kUnsupportedVersion, "this broker has no producer ids to give"));
  }
  deps_.home->Post([this, done = std::move(done)]() mutable {
    producer_ids_->Take([done = std::move(done)](absl::StatusOr<ProducerId> id) mutable {
      if (!id.ok()) return std::move(done)(id.status());
      std::move(done)(api::ProducerIdentity{*id, ProducerEpoch(0)});
    });
  });
}

std::unique_ptr<ProduceStream> Broker::OpenProduceStream(
    const Caller& caller, std::function<void(api::ProduceStreamResponse)> sink) {
  Gather* const gather = CurrentGather();
  CHECK(gather != nullptr) << "streams live on a shard";
  return std::make_unique<ProduceStream>(gather, ForwarderOf(gather), caller, std::move(sink));
}

std::unique_ptr<FetchStream> Broker::OpenFetchStream(
    const Caller& caller, std::function<void(api::FetchStreamResponse)> sink) {
  Gather* const gather = CurrentGather();
  CHECK(gather != nullptr) << "streams live on a shard";
  return std::make_unique<FetchStream>(gather, caller, std::move(sink));
}

std::unique_ptr<TopicWatch> Broker::OpenTopicWatch(
    const Caller& caller, api::WatchTopicsRequest request,
    std::function<void(api::WatchTopicsResponse)> sink, MonotonicTime deadline,
    std::function<void(absl::Status)> late) {
  Gather* const gather = CurrentGather();
  CHECK(gather != nullptr) << "streams live on a shard";
  return std::make_unique<TopicWatch>(
      gather, caller, ConfigView{options_.node_id, &options_.static_config}, std::move(request),
      std::move(sink), deadline, std::move(late));
}

void Broker::Checksum(const api::PartitionName& name, const ChecksumQuery& query,
                      const Caller& caller,
                      absl::AnyInvocable<void(const ReplicaChecksum&) &&> done) {
  OnSomeGather([name, query = query, caller, done = std::move(done)](Gather* gather) mutable {
    const absl::StatusOr<TopicPartition> partition =
        gather->Resolve(name, caller, metadata::Operation::kDescribe);
    if (!partition.ok()) {
      ReplicaChecksum sum;
      sum.outcome = api::PartitionOutcome::Of(partition.status());
      return std::move(done)(sum);
    }
    query.topic_partition = *partition;
    const std::shared_ptr<Shard>& shard = gather->ShardOf(*partition);
    gather->On(shard, [shard, query, done = std::move(done)]() mutable {
      ChecksumReplica(shard, query, std::move(done));
    });
  });
}

void Broker::DescribeReplicas(
    absl::AnyInvocable<void(const std::map<TopicPartition, ReplicaState>&) &&> done) {
  struct Describing {
    size_t left;
    std::map<TopicPartition, ReplicaState> replicas;
    absl::AnyInvocable<void(const std::map<TopicPartition, ReplicaState>&) &&> done;
  };
  auto describing = std::make_shared<Describing>(Describing{shards_.size(), {}, std::move(done)});
  for (const std::shared_ptr<Shard>& shard : shards_) {
    shard->executor()->Post([home = deps_.home, shard, describing] {
      home->Post([describing, states = shard->Describe()] {
        for (const ReplicaState& state : states) {
          describing->replicas[state.topic_partition] = state;
        }
        if (--describing->left == 0) std::move(describing->done)(describing->replicas);
      });
    });
  }
}

void Broker::DescribeLogDirs(absl::AnyInvocable<void(std::vector<LogDirDescription>) &&> done) {
  DescribeReplicas([this, done = std::move(done)](
                       const std::map<TopicPartition, ReplicaState>& replicas) mutable {
    std::vector<LogDirDescription> dirs;
    for (const LogDirSlot& slot : log_dirs_->slots()) {
      LogDirDescription& dir = dirs.emplace_back();
      dir.path = slot.path;
      dir.directory_id = slot.id();
      dir.status = slot.status;
      dir.slow = log_dir_speeds_->IsSlow(slot.id());
      if (slot.dir == nullptr) continue;
      dir.total_bytes = slot.dir->total_bytes();
      dir.free_bytes = slot.dir->free_bytes();
    }
    for (const auto& [partition, log_dir] : reconciler_->Placement()) {
      const auto state = replicas.find(partition);
      if (log_dir < 0 || state == replicas.end()) continue;
      dirs[log_dir].replicas.push_back(state->second);
    }
    std::move(done)(std::move(dirs));
  });
}

}  // namespace millrace::broker
