// Broker: the facade of everything that serves partitions on this node, as services, node/ and the
// simulator use it: calls in as api structs, answers out by callback.
//
// It composes: log directories, shards (shard.h), the reconciler (reconciler.h) that makes replicas
// follow the metadata, and gathers (gather.h) that split a call over shards. It decides nothing
// about the cluster and knows no gRPC.
//
// Life: OpenLogDirs, register with the controller, Registered, then OnMetadata for every committed
// image; calls are answered from the first image on. Shutdown before destruction.
//
// Thread: lifecycle functions on `home`. Calls (Produce ... OpenWatch) best on a shard's executor,
// which then serves them without a hand-off; from any other strand they are posted to a shard.
// Their callbacks run on the shard that took the call.
#ifndef BROKER_BROKER_H_
#define BROKER_BROKER_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "api/delete_records.h"
#include "api/fetch.h"
#include "api/list_offsets.h"
#include "api/offset_for_leader_epoch.h"
#include "api/produce.h"
#include "api/watch_topics.h"
#include "base/clock.h"
#include "base/config.h"
#include "base/counters.h"
#include "base/executor.h"
#include "base/file_system.h"
#include "base/ids.h"
#include "base/memory_budget.h"
#include "base/random.h"
#include "broker/gather.h"
#include "broker/log_dir_set.h"
#include "broker/repair_channel.h"
#include "broker/replica_channel.h"
#include "broker/replica_checksum.h"
#include "broker/topic_watch.h"
#include "metadata/authorizer.h"
#include "metadata/feed.h"
#include "metadata/image.h"
#include "storage/log_dir.h"

namespace millrace::broker {

class ControllerChannel;
class DamageControl;
class DirectoryAssigner;
class FollowerLag;
class ForwardChannel;
class Forwarder;
class DamagedLeaders;
class LastCopyReporter;
class FetchStream;
class IsrProposer;
class LogDirSpeeds;
class OngoingFetch;
class ProduceStream;
class ProducerIds;
class Reconciler;

struct BrokerOptions {
  NodeId node_id = kNoNode;
  ClusterId cluster_id;
  // log.dirs: at least one.
  std::vector<std::string> log_dirs;
  // What all directories share; path, cluster and node are filled in from above.
  storage::LogDirOptions log_dir;
  // The node's own file: the weakest layer of topic configs but the defaults.
  ConfigValues static_config;
  // log.retention.check.interval.ms: how often each log is rolled, trimmed and cut by retention.
  absl::Duration housekeeping_interval = absl::Seconds(300);
  // fetch.max.bytes: no answer gets larger than this, whatever the client allows.
  int64_t fetch_bytes_max = 55 << 20;
  // Longest wait for the in-sync set, and for a long poll, whatever the client asks for.
  absl::Duration produce_timeout_max = absl::Minutes(5);
  absl::Duration fetch_wait_max = absl::Minutes(5);
  // Bytes of written batches that each log keeps in memory for readers at its end.
  int64_t tail_cache_bytes_max = 1 << 20;
  // metrics.partitions.max: replicas of this broker with metrics of their own, over all shards.
  int metrics_partitions_max = 100;
  // inter.broker.listener.name: where other brokers' ReplicaService is; empty: their first.
  std::string inter_broker_listener;
  // replica.selector.class: whether readers are served by a replica in their rack (KIP-392).
  bool reads_by_rack = true;
  // replica.lag.time.max.ms: how long a follower may lag before it is out of sync.
  absl::Duration replica_lag_time_max = absl::Seconds(5);
  // broker.session.timeout.ms: so long the controllers wait for this broker to say something.
  absl::Duration session_timeout = absl::Seconds(3);
};

// Seams; all outlive the broker.
struct BrokerDeps {
  Clock* clock = nullptr;
  FileSystem* files = nullptr;
  Random* random = nullptr;
  MetricRegistry* metrics = nullptr;
  // Of answers to fetches; its on_release is taken. Null: they are not counted.
  MemoryBudget* budget = nullptr;
  const metadata::Authorizer* authorizer = nullptr;  // Null: everything is allowed.
  // Where producer ids come from, and who changes in-sync sets. Null: neither.
  ControllerChannel* controller = nullptr;
  // Lifecycle and reconciliation.
  Executor* home = nullptr;
  std::vector<Executor*> shards;
  // Of each log directory, for reads that may block.
  std::function<Executor*(const std::string& log_dir)> cold_reads_of;
  std::function<std::unique_ptr<Executor>(const std::string& name)> make_disk_executor;
  // To other brokers. Null: none can be followed.
  ReplicaChannel* replica_channel = nullptr;
  // The same, for what a damaged disk has lost. Null: damage is found, and stays.
  RepairChannel* repair_channel = nullptr;
};

// How far the start has come; see /readyz.
struct RecoveryProgress {
  int log_dirs_total = 0;
  int log_dirs_opened = 0;
  // Replicas that the metadata wants here, and those whose logs are open.
  int64_t replicas_wanted = 0;
  int64_t replicas_open = 0;

  bool done() const {
    return log_dirs_opened == log_dirs_total && replicas_open >= replicas_wanted;
  }
};

struct LogDirDescription {
  std::string path;
  DirectoryId directory_id;
  // OK, or why the directory is offline.
  absl::Status status;
  uint64_t total_bytes = 0;
  uint64_t free_bytes = 0;
  // Its disk is much slower than others, as the controller found.
  bool slow = false;
  // By topic id and partition.
  std::vector<ReplicaState> replicas;
};

class Broker {
 public:
  using Done = absl::AnyInvocable<void(absl::Status) &&>;
  using OpenDone = absl::AnyInvocable<void(absl::StatusOr<std::vector<OpenedLogDir>>) &&>;

  Broker(BrokerOptions options, BrokerDeps deps);
  // REQUIRES: Shutdown is done, or every executor has been shut down. An abandoned broker leaves
  // its directories as a crash would.
  ~Broker();
  Broker(const Broker&) = delete;
  Broker& operator=(const Broker&) = delete;

  // Opens and recovers all directories, each on its own disk executor. `done` runs on `home`. A
  // directory that fails is offline; the whole fails only if all do, or one is not ours (foreign,
  // locked, of a newer format, or damaged: its own error is passed on).
  void OpenLogDirs(OpenDone done);

  // The registration that carried OpenLogDirs' result is committed as `epoch`: makes it durable in
  // every directory (S-03, S-21), after which replicas may append. `done` runs on `home`. Images
  // may come before or after; leaderships count only in images that show this epoch (S-01).
  void Registered(BrokerEpoch epoch, Done done);

  // A committed image. Subscribe this to the feed, on `home`.
  void OnMetadata(const metadata::Update& update);

  // At `last` the controllers had not fenced this broker; told again and again, and never by those
  // of this process (S-33). REQUIRES: on `home`.
  void OnContact(MonotonicTime last);

  // Runs `done` on `home` when the image of `index` is in force on every shard and all replicas
  // that are assigned here are open or offline: from then on a call sees what was decided at
  // `index`. REQUIRES: on `home`.
  void AwaitMetadata(LogIndex index, Task done);

  // Called on `home` when a directory fails, so that the controller learns of it (KIP-858). Set
  // before OpenLogDirs. Where replicas lie the broker itself tells (directory_assigner.h).
  void SetOnLogDirFailed(std::function<void(DirectoryId, const absl::Status&)> callback);

  // How long syncs take in the log directories that had any lately, for the controller; to be asked
  // every second or oftener. REQUIRES: on `home`.
  std::map<DirectoryId, absl::Duration> MeasureDisks();

  // From now on unary calls for partitions that other brokers lead are passed on to them, and the
  // batches of produce streams that ask for it: by the channel made for each shard, at the address
  // of `listener` (broker/forwarder.h). REQUIRES: no call was made yet.
  void ForwardCalls(const std::string& listener,
                    const std::function<std::unique_ptr<ForwardChannel>(int shard)>& make_channel);

  // Refuses new produce (SHUTTING_DOWN), answers what is parked, waits up to `drain` for what was
  // appended, closes all logs and writes the clean-shutdown files. `done` runs on `home`.
  void Shutdown(absl::Duration drain, Done done);

  // Thread: any.
  RecoveryProgress recovery_progress() const;

  // --- Calls ---
  // Appends; answers when `acks` is satisfied for every partition. Failures are per partition.
  void Produce(api::ProduceRequest request, const Caller& caller,
               absl::AnyInvocable<void(api::ProduceResponse) &&> done);
  // Reads, waiting up to max_wait for bytes_min. `done` is called once, unless the call is
  // cancelled through what is returned (which is gone once it has answered; never set off a shard).
  std::weak_ptr<OngoingFetch> Fetch(api::FetchRequest request, const Caller& caller,
                                    absl::AnyInvocable<void(api::FetchResponse) &&> done);
  void ListOffsets(api::ListOffsetsRequest request, const Caller& caller,
                   absl::AnyInvocable<void(api::ListOffsetsResponse) &&> done);
  void DeleteRecords(api::DeleteRecordsRequest request, const Caller& caller,
                     absl::AnyInvocable<void(api::DeleteRecordsResponse) &&> done);
  void OffsetForLeaderEpoch(api::OffsetForLeaderEpochRequest request, const Caller& caller,
                            absl::AnyInvocable<void(api::OffsetForLeaderEpochResponse) &&> done);

  // An id for an idempotent producer; `done` runs on `home`. Thread: any. Errors: those of
  // ProducerIds::Take; UNSUPPORTED_VERSION without a controller.
  void InitProducerId(absl::AnyInvocable<void(absl::StatusOr<api::ProducerIdentity>) &&> done);

  // A pipelined produce: answers per partition in order (S-23). REQUIRES: on a shard's executor,
  // where the stream lives and `sink` is called.
  std::unique_ptr<ProduceStream> OpenProduceStream(
      const Caller& caller, std::function<void(api::ProduceStreamResponse)> sink);
  // A push fetch under byte credit. REQUIRES: as above.
  std::unique_ptr<FetchStream> OpenFetchStream(const Caller& caller,
                                               std::function<void(api::FetchStreamResponse)> sink);
  // Leaders of topics, now and whenever they change. `late` is called instead, once, if the
  // metadata that the request asks for is not here by shortly before `deadline` (and within half a
  // minute at most); the watch should then be ended. REQUIRES: as above.
  std::unique_ptr<TopicWatch> OpenTopicWatch(const Caller& caller, api::WatchTopicsRequest request,
                                             std::function<void(api::WatchTopicsResponse)> sink,
                                             MonotonicTime deadline = MonotonicTime::Never(),
                                             std::function<void(absl::Status)> late = nullptr);

  // Where the streams that followers open are taken in. May outlive the broker. Thread: any.
  ReplicaIntake replica_intake();

  // The sum of a range of the replica here, whoever leads (replica_checksum.h): never passed on.
  // `query.topic_partition` is that of `name`. `done` runs on a shard.
  void Checksum(const api::PartitionName& name, const ChecksumQuery& query, const Caller& caller,
                absl::AnyInvocable<void(const ReplicaChecksum&) &&> done);

  // `done` runs on `home`. REQUIRES: on `home`.
  void DescribeLogDirs(absl::AnyInvocable<void(std::vector<LogDirDescription>) &&> done);

  // For records that come without a timestamp. Thread: any.
  WallTime WallNow() const { return deps_.clock->WallNow(); }
  int shard_count() const { return static_cast<int>(shards_.size()); }
  const BrokerOptions& options() const { return options_; }

 private:
  // Null if calls are not passed on.
  Forwarder* ForwarderOf(const Gather* gather) const;
  // Where a call is taken up: by the caller's own shard, or by one chosen for it.
  Gather* CurrentGather();
  std::weak_ptr<OngoingFetch> FetchAt(Gather* gather, api::FetchRequest request,
                                      const Caller& caller,
                                      absl::AnyInvocable<void(api::FetchResponse) &&> done);
  void OnSomeGather(absl::AnyInvocable<void(Gather*) &&> call);
  void CloseShards(Done done);
  // Of all shards, after what they were told before; on `home`.
  void DescribeReplicas(
      absl::AnyInvocable<void(const std::map<TopicPartition, ReplicaState>&) &&> done);
  ReplicationDeps MakeReplicationDeps();

  const BrokerOptions options_;
  const BrokerDeps deps_;
  std::unique_ptr<LogDirSet> log_dirs_;
  std::unique_ptr<LogDirSpeeds> log_dir_speeds_;
  std::shared_ptr<IsrProposer> isr_proposer_;
  std::vector<std::shared_ptr<Shard>> shards_;
  std::vector<std::unique_ptr<Gather>> gathers_;
  // By shard; empty: calls are answered by this broker alone.
  std::vector<std::unique_ptr<Forwarder>> forwarders_;
  std::unique_ptr<DirectoryAssigner> directory_assigner_;
  std::unique_ptr<DamagedLeaders> damaged_leaders_;
  std::unique_ptr<LastCopyReporter> last_copy_reporter_;
  std::unique_ptr<Reconciler> reconciler_;
  std::unique_ptr<DamageControl> damage_control_;
  // By shard; empty without metrics.
  std::vector<std::shared_ptr<FollowerLag>> follower_lags_;
  // Null without a controller.
  std::unique_ptr<ProducerIds> producer_ids_;
  std::atomic<uint32_t> next_gather_{0};
};

}  // namespace millrace::broker

#endif  // BROKER_BROKER_H_
