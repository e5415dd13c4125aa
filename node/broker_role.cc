#include "node/broker_role.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/status.h"
#include "base/version.h"
#include "broker/log_dir_set.h"
#include "metadata/broker_config.h"
#include "node/log_dir_report.h"
#include "storage/dir_identity.h"

namespace millrace::node {
namespace {

// How long an answer of the controller waits for the broker of the same node to follow.
constexpr absl::Duration kFollowBound = absl::Seconds(2);
constexpr uint64_t kPropertiesBytesMax = 64 << 10;

// Empty: it belongs to none yet.
absl::StatusOr<std::optional<ClusterId>> ClusterOf(FileSystem& files, const std::string& log_dir) {
  const std::string path = JoinPath(log_dir, "meta.properties");
  ASSIGN_OR_RETURN(const bool exists, files.Exists(path));
  if (!exists) return std::nullopt;
  ASSIGN_OR_RETURN(const std::string text, ReadWholeFile(files, path, kPropertiesBytesMax));
  ASSIGN_OR_RETURN(const storage::DirIdentity identity, storage::DecodeDirIdentity(text, path));
  return identity.cluster_id;
}

}  // namespace

absl::StatusOr<ClusterId> ClusterOfLogDirs(FileSystem& files,
                                           const std::vector<std::string>& log_dirs) {
  ClusterId cluster;
  std::string owner;
  for (const std::string& log_dir : log_dirs) {
    const absl::StatusOr<std::optional<ClusterId>> found = ClusterOf(files, log_dir);
    // Such a directory is offline, and the broker lives from the others (KIP-112).
    if (broker::IsDiskError(found.status())) continue;
    RETURN_IF_ERROR(found.status());
    if (!found->has_value()) continue;
    if (!cluster.is_zero() && **found != cluster) {
      return MakeError(
          ErrorCode::kInconsistentClusterId,
          absl::StrCat("log directory '", log_dir, "' belongs to cluster ", (*found)->ToString(),
                       ", but '", owner, "' to ", cluster.ToString(),
                       "; give a broker the directories of one cluster"),
          {.name = "log.dirs", .value = log_dir});
    }
    cluster = **found;
    owner = log_dir;
  }
  return cluster;
}

BrokerRole::BrokerRole(const NodeConfig& config, const Env& env,
                       const metadata::Authorizer* authorizer, broker::ReplicaChannel* replicas,
                       broker::RepairChannel* repairs)
    : config_(config),
      env_(env),
      authorizer_(authorizer),
      replicas_(replicas),
      repairs_(repairs),
      incarnation_(IncarnationId::Draw(*env.random)),
      state_gauge_(env.metrics->AddGauge(
          "millrace_broker_state",
          "What the broker is at, in Kafka's numbers: 0 not running, 1 starting, 2 recovery, 3 "
          "running, 6 pending controlled shutdown, 7 shutting down.")),
      random_(env.make_random()) {}

BrokerRole::~BrokerRole() = default;

// ---- The steps of a start ----

void BrokerRole::Start(ControllerSession* session, ClusterId known,
                       std::vector<metadata::Listener> advertised, Done done,
                       std::function<void(const absl::Status&)> ended) {
  session_ = session;
  advertised_ = std::move(advertised);
  started_ = std::move(done);
  ended_ = std::move(ended);
  Enter(BrokerLifeState::kStarting);
  session_->SetOnEnded([this](const absl::Status& status) {
    LOG_ERROR("node", "this broker is not, or no longer, one of the cluster",
              {{"broker", config_.node_id.value()}, {"error", status.ToString()}});
    if (started_) return Finish(status);
    if (ended_) std::exchange(ended_, nullptr)(status);
  });
  // Recovery need not wait for the controllers.
  if (!known.is_zero()) return Open(known);
  session_->AwaitCluster([this](ClusterId cluster_id) {
    if (!stopping_) Open(cluster_id);
  });
}

void BrokerRole::Open(ClusterId cluster_id) {
  Enter(BrokerLifeState::kRecovery);
  broker_ = std::make_unique<broker::Broker>(
      MakeOptions(cluster_id), broker::BrokerDeps{.clock = env_.clock,
                                                  .files = env_.files,
                                                  .random = random_.get(),
                                                  .metrics = env_.metrics,
                                                  .budget = env_.budget,
                                                  .authorizer = authorizer_,
                                                  .controller = &session_->channel(),
                                                  .home = env_.controller,
                                                  .shards = env_.shards,
                                                  .cold_reads_of = env_.cold_reads_of,
                                                  .make_disk_executor = env_.make_disk_executor,
                                                  .replica_channel = replicas_,
                                                  .repair_channel = repairs_});
  broker_->SetOnLogDirFailed([this](DirectoryId directory, const absl::Status& status) {
    LOG_ERROR("node", "a log directory failed: its partitions are offline",
              {{"directory", directory.ToString()}, {"error", status.ToString()}});
    session_->ReportFailedDirectory(directory);
  });
  session_->SetOnContact([this](MonotonicTime last) { broker_->OnContact(last); });
  shown_.store(broker_.get());
  busy_ = true;
  broker_->OpenLogDirs([this](auto dirs) { OnOpened(std::move(dirs)); });
}

void BrokerRole::OnOpened(absl::StatusOr<std::vector<broker::OpenedLogDir>> dirs) {
  busy_ = false;
  if (may_close_) return Close();
  if (!dirs.ok()) return Finish(dirs.status());
  LogOpenedDirs(*dirs);
  session_->Register(RegistrationOf(*dirs), [this](absl::StatusOr<BrokerEpoch> epoch) {
    if (!stopping_) OnRegistered(epoch);
  });
}

internal::v1::RegisterBrokerRequest BrokerRole::RegistrationOf(
    const std::vector<broker::OpenedLogDir>& dirs) const {
  internal::v1::RegisterBrokerRequest request;
  request.set_broker_id(config_.node_id.value());
  request.set_incarnation_id(incarnation_.ToBytes());
  request.set_rack(config_.settings.broker_rack);
  request.set_version(kVersion);
  request.set_feature_level_min(metadata::kFeatureLevelMin);
  request.set_feature_level_max(metadata::kFeatureLevelMax);
  for (const metadata::Listener& listener : advertised_) {
    internal::v1::BrokerListener* registered = request.add_listeners();
    registered->set_name(listener.name);
    registered->set_host(listener.host);
    registered->set_port(listener.port);
  }
  std::map<TopicId, std::set<PartitionIndex>> impaired;
  for (const broker::OpenedLogDir& dir : dirs) {
    // Its id is not known: the controller tells it by what is missing.
    if (!dir.status.ok()) {
      request.set_has_unopened_log_dirs(true);
      continue;
    }
    internal::v1::BrokerLogDir* registered = request.add_log_dirs();
    registered->set_directory_id(dir.state.directory_id.ToBytes());
    if (dir.state.last_broker_epoch != kNoBrokerEpoch) {
      registered->set_last_open_broker_epoch(dir.state.last_broker_epoch.value());
    }
    registered->set_suspect(dir.state.suspect);
    for (const storage::ReplicaReport& replica : dir.state.replicas) {
      const auto& [topic, partition] = replica.topic_partition;
      if (replica.cut || !replica.status.ok()) impaired[topic].insert(partition);
    }
  }
  for (const auto& [topic, partitions] : impaired) {
    internal::v1::ImpairedReplicas* const of_topic = request.add_impaired_replicas();
    of_topic->set_topic_id(topic.ToBytes());
    for (const PartitionIndex partition : partitions) of_topic->add_partitions(partition.value());
  }
  return request;
}

void BrokerRole::OnRegistered(absl::StatusOr<BrokerEpoch> epoch) {
  if (!epoch.ok()) return Finish(epoch.status());
  epoch_ = *epoch;
  busy_ = true;
  broker_->Registered(epoch_, [this](const absl::Status& status) { OnRecorded(status); });
}

void BrokerRole::OnRecorded(const absl::Status& status) {
  busy_ = false;
  if (may_close_) return Close();
  if (!status.ok()) return Finish(status);
  session_->SetDiskSpeeds([this] { return broker_->MeasureDisks(); });
  session_->feed().Subscribe(env_.controller,
                             [this](const metadata::Update& update) { OnMetadata(update); });
  session_->Activate([this](const absl::Status& active) {
    if (!stopping_) OnActive(active);
  });
}

void BrokerRole::OnMetadata(const metadata::Update& update) {
  broker_->OnMetadata(update);
  if (on_config_ == nullptr) return;
  const bool told = std::exchange(config_told_, true);
  if (told && !metadata::MayChangeBrokerConfig(*update.delta, config_.node_id)) return;
  on_config_(metadata::BrokerConfigOf(*update.image, config_.node_id, config_.given));
}

void BrokerRole::OnActive(const absl::Status& status) {
  if (!status.ok()) return Finish(status);
  LOG_INFO("node", "broker active",
           {{"broker", config_.node_id.value()}, {"epoch", epoch_.value()}});
  Enter(BrokerLifeState::kRunning);
  serving_.store(true);
  // Ready is more: that what it leads is open.
  broker_->AwaitMetadata(session_->feed().current()->index(), [this] { followed_.store(true); });
  Finish(absl::OkStatus());
}

void BrokerRole::Finish(const absl::Status& status) {
  if (started_) std::exchange(started_, nullptr)(status);
}

// ---- The end ----

void BrokerRole::Stop(absl::Duration drain, Done done) {
  stopping_ = true;
  drain_ = drain;
  stopped_ = std::move(done);
  if (session_ == nullptr) return Close();
  Enter(BrokerLifeState::kPendingControlledShutdown);
  // It serves meanwhile: clients are told of the new leaders before this one has gone.
  session_->Leave(absl::Milliseconds(config_.settings.controlled_shutdown_timeout_ms), [this] {
    // Behind the metadata that has come: with it the broker answers those who wait for what it led.
    env_.controller->Post([this] {
      serving_.store(false);
      may_close_ = true;
      if (!busy_) Close();
    });
  });
}

void BrokerRole::Close() {
  Enter(BrokerLifeState::kShuttingDown);
  const auto closed = [this](const absl::Status& status) {
    Enter(BrokerLifeState::kNotRunning);
    std::exchange(stopped_, nullptr)(status);
  };
  if (broker_ == nullptr) return closed(absl::OkStatus());
  broker_->Shutdown(drain_, closed);
}

// ---- Questions ----

absl::Status BrokerRole::Ready() const {
  if (!serving_.load()) return MakeError(ErrorCode::kBrokerNotAvailable, "starting or stopping");
  const broker::RecoveryProgress progress = shown_.load()->recovery_progress();
  if (followed_.load() && progress.done()) return absl::OkStatus();
  return MakeError(ErrorCode::kBrokerNotAvailable,
                   absl::StrCat("recovering: ", progress.replicas_open, " of ",
                                progress.replicas_wanted, " replicas are open"));
}

void BrokerRole::AfterFollowed(LogIndex index, Task then) {
  if (broker_ == nullptr || !serving_.load()) return std::move(then)();
  auto shared = std::make_shared<Task>(std::move(then));
  const auto run_once = [shared] {
    if (*shared != nullptr) std::exchange(*shared, nullptr)();
  };
  broker_->AwaitMetadata(index, run_once);
  if (*shared != nullptr) env_.controller->PostAt(env_.clock->Now() + kFollowBound, run_once);
}

void BrokerRole::ChecksumReplica(
    const v1::ChecksumReplicaRequest& request, const metadata::Principal& principal,
    std::function<bool()> given_up,
    absl::AnyInvocable<void(absl::StatusOr<v1::ChecksumReplicaResponse>) &&> done) {
  if (broker_ == nullptr) {
    return std::move(done)(MakeError(ErrorCode::kBrokerNotAvailable,
                                     "the log directories are not open yet; retry later"));
  }
  api::PartitionName name;
  name.topic = request.topic();
  name.partition = PartitionIndex(request.partition());
  if (!request.topic_id().empty()) {
    const absl::StatusOr<TopicId> id = TopicId::FromBytes(request.topic_id());
    if (!id.ok()) return std::move(done)(id.status());
    name.topic_id = *id;
  }
  broker::ChecksumQuery query;
  if (request.has_leader_epoch()) query.leader_epoch = LeaderEpoch(request.leader_epoch());
  query.from = Offset(request.from_offset());
  query.to = Offset(request.to_offset());
  query.bytes_max = static_cast<size_t>(std::max(request.max_bytes(), 0));
  query.given_up = std::move(given_up);
  broker_->Checksum(
      name, query, {.listener = {}, .principal = principal, .forwarded = true},
      [self = config_.node_id, done = std::move(done)](const broker::ReplicaChecksum& sum) mutable {
        std::move(done)(DescriptionOf(self, sum));
      });
}

void BrokerRole::DescribeLogDirs(
    const v1::DescribeLogDirsRequest& request,
    absl::AnyInvocable<void(absl::StatusOr<v1::DescribeLogDirsResponse>) &&> done) {
  if (broker_ == nullptr) {
    return std::move(done)(MakeError(ErrorCode::kBrokerNotAvailable,
                                     "the log directories are not open yet; retry later"));
  }
  std::set<std::string> topics(request.topics().begin(), request.topics().end());
  broker_->DescribeLogDirs(
      [self = config_.node_id, topics = std::move(topics),
       done = std::move(done)](std::vector<broker::LogDirDescription> dirs) mutable {
        std::move(done)(DescriptionOf(self, dirs, topics));
      });
}

broker::BrokerOptions BrokerRole::MakeOptions(ClusterId cluster_id) const {
  const NodeSettings& settings = config_.settings;
  broker::BrokerOptions options;
  options.node_id = config_.node_id;
  options.cluster_id = cluster_id;
  options.log_dirs = config_.log_dirs;
  options.log_dir.reserve_bytes = static_cast<uint64_t>(settings.log_dir_reserve_bytes);
  options.log_dir.checkpoint_interval =
      absl::Milliseconds(settings.log_flush_offset_checkpoint_interval_ms);
  options.static_config = config_.given;
  options.fetch_bytes_max = settings.fetch_max_bytes;
  options.inter_broker_listener = settings.inter_broker_listener_name;
  const metadata::BrokerConfig broker =
      metadata::BrokerConfigOf(metadata::Image(), config_.node_id, config_.given);
  options.housekeeping_interval = absl::Milliseconds(broker.log_retention_check_interval_ms);
  options.session_timeout = absl::Milliseconds(settings.broker_session_timeout_ms);
  options.replica_lag_time_max = absl::Milliseconds(broker.replica_lag_time_max_ms);
  options.reads_by_rack = settings.replica_selector_class == "rack";
  options.metrics_partitions_max = static_cast<int>(settings.metrics_partitions_max);
  return options;
}

}  // namespace millrace::node
