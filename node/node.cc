#include "node/node.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/log.h"
#include "base/status.h"
#include "base/version.h"
#include "node/founding_file.h"

namespace millrace::node {
namespace {

// How long an answer of the controller waits for the broker of the same node to follow.
constexpr absl::Duration kFollowBound = absl::Seconds(2);

BrokerSessionServer::Options SessionOptions(const NodeConfig& config) {
  BrokerSessionServer::Options options;
  options.sessions.timeout = absl::Milliseconds(config.settings.broker_session_timeout_ms);
  if (config.is_broker) options.own_broker = config.node_id;
  return options;
}

// Tells the operator how the directories were left, and what is damaged in them.
void LogOpened(const std::vector<broker::OpenedLogDir>& dirs) {
  for (const broker::OpenedLogDir& dir : dirs) {
    if (!dir.status.ok()) {
      LOG_ERROR("node", "a log directory is offline",
                {{"path", dir.path},
                 {"code", ErrorCodeName(CodeOf(dir.status))},
                 {"error", dir.status.message()}});
      continue;
    }
    uint64_t cut_bytes = 0;
    for (const storage::ReplicaReport& replica : dir.state.replicas) {
      cut_bytes += replica.cut_bytes;
      if (replica.status.ok()) continue;
      LOG_ERROR("node", "a partition is offline",
                {{"topic", replica.topic_name},
                 {"partition", replica.topic_partition.partition.value()},
                 {"code", ErrorCodeName(CodeOf(replica.status))},
                 {"error", replica.status.message()}});
    }
    LOG_INFO("node", "log directory opened",
             {{"path", dir.path},
              {"new", dir.state.is_new},
              {"clean", dir.state.clean},
              {"replicas", dir.state.replicas.size()},
              {"torn_bytes_cut", cut_bytes}});
  }
}

}  // namespace

Node::Node(NodeConfig config, const Env& env, const metadata::Authorizer* authorizer,
           OpenImages open_images, QuorumNetwork* network)
    : config_(std::move(config)),
      env_(env),
      authorizer_(authorizer),
      open_images_(std::move(open_images)),
      incarnation_(IncarnationId::Draw(*env.random)),
      metadata_disk_(env.make_disk_executor("metadata-disk")),
      image_disk_(env.make_disk_executor("image-disk")),
      broker_random_(env.make_random()),
      network_(network),
      quorum_(env.controller, env.clock, &leaders_),
      sessions_(
          SessionOptions(config_),
          {.clock = env.clock,
           .executor = env.controller,
           .leaders = &leaders_,
           .metrics = env.metrics,
           .carry_out = [this](const controller::SessionDecision& decision, SessionDecided done) {
             CarryOut(decision, std::move(done));
           }}) {
  CHECK_EQ(config_.has_peers(), network_ != nullptr);
  quorum_.SetObservers([this] { return sessions_.Observers(); });
}

Node::~Node() {
  // First the strands of its own, whose tasks use what the controller has.
  image_disk_.reset();
  metadata_disk_.reset();
}

absl::Status Node::Open() {
  RETURN_IF_ERROR(CheckFounding(*env_.files, config_.metadata_dir, config_.log_dirs));
  ASSIGN_OR_RETURN(
      dir_, MetadataDir::Open(env_.files, config_.metadata_dir, config_.node_id, env_.random));
  if (open_images_ != nullptr) {
    ASSIGN_OR_RETURN(images_, open_images_(dir_->image_path()));
  }
  if (config_.has_peers()) {
    // Its log is opened when it knows who founded the quorum.
    ASSIGN_OR_RETURN(founding_record_,
                     ReadFoundingFile(*env_.files, config_.metadata_dir, dir_->cluster_id()));
    return absl::OkStatus();
  }
  QuorumPlace alone;
  alone.founders.voters = {raft::Voter{{config_.node_id, dir_->directory_id()}}};
  return OpenController(std::move(alone));
}

absl::Status Node::OpenController(QuorumPlace place) {
  auto settings = std::make_shared<controller::Settings>();
  settings->node_id = config_.node_id;
  settings->static_values = config_.given;
  settings->node_keys = NodeSettingsSchema().keys();
  place.options = config_.raft;
  place.wal_segment_bytes = static_cast<uint64_t>(config_.settings.metadata_log_segment_bytes);
  place.snapshot_after_bytes =
      static_cast<uint64_t>(config_.settings.metadata_log_max_record_bytes_between_snapshots);
  // 0: never by age.
  const int64_t interval_ms = config_.settings.metadata_log_max_snapshot_interval_ms;
  if (interval_ms > 0) place.snapshot_interval = absl::Milliseconds(interval_ms);
  absl::StatusOr<std::unique_ptr<ControllerHost>> controller =
      ControllerHost::Open(*dir_, config_.node_id, std::move(settings), std::move(place),
                           {.files = env_.files,
                            .clock = env_.clock,
                            .random = env_.random,
                            .metrics = env_.metrics,
                            .owner = env_.controller,
                            .disk = metadata_disk_.get(),
                            .image_disk = image_disk_.get(),
                            .images = images_.get(),
                            .leaders = &leaders_,
                            .sessions = &sessions_,
                            .election_random = env_.make_random()});
  if (!controller.ok()) {
    return Annotate(controller.status(),
                    absl::StrCat("metadata directory '", config_.metadata_dir, "'"));
  }
  controller_ = *std::move(controller);
  return absl::OkStatus();
}

void Node::Start(std::vector<metadata::Listener> advertised, Done done) {
  env_.controller->Post(
      [this, advertised = std::move(advertised), done = std::move(done)]() mutable {
        advertised_ = std::move(advertised);
        started_ = std::move(done);
        config_.has_peers() ? JoinQuorum() : StartController();
      });
}

// ---- One of several controllers ----

void Node::JoinQuorum() {
  QuorumFoundingOptions options;
  options.self = voter_id();
  options.configured = config_.quorum_voters;
  options.metadata_path = config_.metadata_dir;
  founding_ =
      std::make_unique<QuorumFounding>(std::move(options), std::move(founding_record_),
                                       QuorumFounding::Deps{.clock = env_.clock,
                                                            .random = broker_random_.get(),
                                                            .files = env_.files,
                                                            .executor = env_.controller,
                                                            .disk = metadata_disk_.get(),
                                                            .channel = &network_->founding()});
  network_->SetFoundingAnswer(
      [this](const raft::FoundingState& theirs) { return founding_->OnExchange(theirs); });
  founding_->Start(
      [this](absl::StatusOr<raft::FoundingResult> result) { OnBelongs(std::move(result)); });
}

void Node::OnBelongs(absl::StatusOr<raft::FoundingResult> result) {
  if (!result.ok()) return Finish(result.status());
  cluster_id_ = result->cluster_id;
  QuorumPlace place;
  place.founders.voters = std::move(result->voters);
  place.known_peers = config_.quorum_voters;
  place.transport = &network_->transport();
  // Reads the log: not on this strand.
  metadata_disk_->Post([this, place = std::move(place)]() mutable {
    absl::Status opened = OpenController(std::move(place));
    // Last: a directory that belongs to a cluster has its log.
    if (opened.ok()) opened = dir_->SetClusterId(cluster_id_);
    env_.controller->Post([this, opened] {
      if (!opened.ok()) return Finish(opened);
      network_->SetCluster(cluster_id_);
      leaders_.Subscribe([this](const LeaderHint& leader) { OnLeader(leader); });
      StartController();
    });
  });
}

void Node::OnLeader(const LeaderHint& leader) {
  followed_.store(leader.leader != kNoNode);
  if (leader.leader == kNoNode) return;
  LOG_INFO("node", "the quorum has a leader",
           {{"leader", leader.leader.value()}, {"term", leader.leader_epoch.value()}});
  serving_.store(true);
  Finish(absl::OkStatus());
}

void Node::StartController() {
  controller_->Start([this] { OnLed(); },
                     [this](const absl::Status& status) {
                       failed_.store(true);
                       Finish(status);
                     });
  quorum_.SetHost(controller_.get());
}

void Node::CarryOut(const controller::SessionDecision& decision, SessionDecided done) {
  using Kind = controller::SessionDecision::Kind;
  if (decision.kind == Kind::kFence) {
    return controller_->Submit(
        controller::FenceBrokerCommand{decision.broker, decision.epoch},
        [done = std::move(done)](absl::StatusOr<controller::FenceBrokerReply> reply,
                                 LogIndex) mutable {
          if (reply.ok() && reply->partitions_without_leader > 0) {
            LOG_WARN("node", "partitions have no leader until a broker with their records is back",
                     {{"partitions", reply->partitions_without_leader}});
          }
          std::move(done)(reply.status(), false);
        });
  }
  internal::v1::BrokerHeartbeatRequest request;
  request.set_broker_id(decision.broker.value());
  request.set_broker_epoch(decision.epoch.value());
  request.set_applied_index(decision.applied.value());
  request.set_want_active(decision.kind == Kind::kActivate);
  request.set_want_shutdown(decision.kind == Kind::kShutDown);
  controller_->Submit(
      request, [done = std::move(done)](absl::StatusOr<internal::v1::BrokerHeartbeatResponse> reply,
                                        LogIndex) mutable {
        std::move(done)(reply.status(), reply.ok() && reply->may_stop());
      });
}

absl::Status Node::NotOpen() const {
  return MakeError(ErrorCode::kNotController,
                   absl::StrCat("this controller does not belong to a quorum yet: ",
                                founding_ != nullptr ? founding_->Progress() : "it is starting"),
                   {.name = "controller.quorum.voters"});
}

void Node::Finish(const absl::Status& status) {
  if (started_) std::exchange(started_, nullptr)(status);
}

// ---- The steps of a start ----

void Node::OnLed() {
  const ClusterId founded = controller_->committed_image().cluster_id();
  if (founded.is_zero()) {
    if (config_.has_peers()) return FoundCluster();
    // A lost metadata log must not look like a new cluster: what the log directories hold would be
    // orphaned, and then the topics made again under their names.
    if (!dir_->cluster_id().is_zero()) {
      return Finish(MakeError(
          ErrorCode::kInvalidDirectory,
          absl::StrCat("metadata directory '", config_.metadata_dir, "' belongs to cluster ",
                       dir_->cluster_id().ToString(),
                       " but its log is empty; restore the log, or give an empty directory"),
          {.name = "metadata.log.dir", .value = config_.metadata_dir}));
    }
    return FoundCluster();
  }
  if (!config_.has_peers()) RememberCluster(founded);
}

void Node::FoundCluster() {
  // Of several it is a hash of the founding set (S-18), which all of them know.
  const controller::FoundClusterCommand command{
      config_.has_peers() ? cluster_id_ : ClusterId::Draw(*env_.random)};
  controller_->Submit(
      command, [this](absl::StatusOr<controller::FoundClusterReply> reply, LogIndex) {
        // Of several, whoever leads next proposes it again.
        if (!reply.ok() && config_.has_peers()) return;
        if (!reply.ok()) return Finish(reply.status());
        LOG_INFO("node", "founded a new cluster", {{"cluster", reply->cluster_id.ToString()}});
        if (!config_.has_peers()) RememberCluster(reply->cluster_id);
      });
}

void Node::RememberCluster(ClusterId cluster_id) {
  metadata_disk_->Post([this, cluster_id] {
    const absl::Status remembered = dir_->SetClusterId(cluster_id);
    env_.controller->Post([this, cluster_id, remembered] {
      if (!remembered.ok()) return Finish(remembered);
      OpenBroker(cluster_id);
    });
  });
}

broker::BrokerOptions Node::MakeBrokerOptions(ClusterId cluster_id) const {
  const NodeSettings& settings = config_.settings;
  broker::BrokerOptions options;
  options.node_id = config_.node_id;
  options.cluster_id = cluster_id;
  options.log_dirs = config_.log_dirs;
  options.log_dir.reserve_bytes = static_cast<uint64_t>(settings.log_dir_reserve_bytes);
  options.log_dir.checkpoint_interval =
      absl::Milliseconds(settings.log_flush_offset_checkpoint_interval_ms);
  options.static_config = config_.given;
  options.housekeeping_interval = absl::Milliseconds(settings.log_retention_check_interval_ms);
  options.fetch_bytes_max = settings.fetch_max_bytes;
  options.metrics_partitions_max = static_cast<int>(settings.metrics_partitions_max);
  return options;
}

void Node::OpenBroker(ClusterId cluster_id) {
  broker_ = std::make_unique<broker::Broker>(
      MakeBrokerOptions(cluster_id),
      broker::BrokerDeps{.clock = env_.clock,
                         .files = env_.files,
                         .random = broker_random_.get(),
                         .metrics = env_.metrics,
                         .budget = env_.budget,
                         .authorizer = authorizer_,
                         .home = env_.controller,
                         .shards = env_.shards,
                         .cold_reads = env_.cold_reads,
                         .make_disk_executor = env_.make_disk_executor});
  broker_->SetOnLogDirFailed([](DirectoryId directory, const absl::Status& status) {
    LOG_ERROR("node", "a log directory failed: its partitions are offline",
              {{"directory", directory.ToString()}, {"error", status.ToString()}});
  });
  broker_->OpenLogDirs([this](absl::StatusOr<std::vector<broker::OpenedLogDir>> dirs) {
    if (!dirs.ok()) return Finish(dirs.status());
    LogOpened(*dirs);
    RegisterBroker(*dirs);
  });
}

void Node::RegisterBroker(const std::vector<broker::OpenedLogDir>& dirs) {
  internal::v1::RegisterBrokerRequest request;
  request.set_cluster_id(controller_->committed_image().cluster_id().ToBytes());
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
  for (const broker::OpenedLogDir& dir : dirs) {
    // One that could not be opened is missing in the registration: its replicas are not counted on.
    if (!dir.status.ok()) continue;
    internal::v1::BrokerLogDir* registered = request.add_log_dirs();
    registered->set_directory_id(dir.state.directory_id.ToBytes());
    if (dir.state.last_broker_epoch != kNoBrokerEpoch) {
      registered->set_last_open_broker_epoch(dir.state.last_broker_epoch.value());
    }
    registered->set_suspect(dir.state.suspect);
  }
  controller_->Submit(
      request, [this](absl::StatusOr<internal::v1::RegisterBrokerResponse> reply, LogIndex index) {
        if (!reply.ok()) return Finish(reply.status());
        // Of a new registration only the log knows the epoch: it is the entry's index.
        BeginEpoch(BrokerEpoch(reply->broker_epoch() != 0 ? reply->broker_epoch() : index.value()));
      });
}

void Node::BeginEpoch(BrokerEpoch epoch) {
  broker_epoch_ = epoch;
  broker_->Registered(epoch, [this](absl::Status status) {
    if (!status.ok()) return Finish(status);
    controller_->feed().Subscribe(
        env_.controller, [this](const metadata::Update& update) { broker_->OnMetadata(update); });
    Unfence();
  });
}

void Node::Unfence() {
  internal::v1::BrokerHeartbeatRequest request;
  request.set_broker_id(config_.node_id.value());
  request.set_broker_epoch(broker_epoch_.value());
  request.set_applied_index(controller_->committed_index().value());
  request.set_want_active(true);
  controller_->Submit(
      request, [this](absl::StatusOr<internal::v1::BrokerHeartbeatResponse> reply, LogIndex) {
        if (!reply.ok()) return Finish(reply.status());
        if (reply->state() != internal::v1::BROKER_STATE_ACTIVE) {
          return Finish(MakeError(ErrorCode::kUnknownServerError,
                                  "the controller keeps this broker fenced after registration"));
        }
        LOG_INFO("node", "broker active",
                 {{"broker", config_.node_id.value()}, {"epoch", broker_epoch_.value()}});
        serving_.store(true);
        // Ready is more: that what it leads is open.
        broker_->AwaitMetadata(controller_->feed().current()->index(),
                               [this] { followed_.store(true); });
        Finish(absl::OkStatus());
      });
}

void Node::AfterFollowed(LogIndex index, Task then) {
  if (broker_ == nullptr) return std::move(then)();
  auto shared = std::make_shared<Task>(std::move(then));
  const auto run_once = [shared] {
    if (*shared != nullptr) std::exchange(*shared, nullptr)();
  };
  // The log's own entries are part of no image: what matters is what was published.
  const LogIndex published = std::min(index, controller_->feed().current()->index());
  broker_->AwaitMetadata(published, run_once);
  if (*shared != nullptr) env_.controller->PostAt(env_.clock->Now() + kFollowBound, run_once);
}

void Node::Stop(absl::Duration drain, Done done) {
  env_.controller->Post([this, drain, done = std::move(done)]() mutable {
    serving_.store(false);
    if (broker_ != nullptr) return broker_->Shutdown(drain, std::move(done));
    // That nobody took over costs the others an election, and is no failure of the stop.
    quorum_.HandOver([done = std::move(done)](const absl::Status&) mutable {
      std::move(done)(absl::OkStatus());
    });
  });
}

absl::Status Node::Ready() const {
  if (!serving_.load()) return MakeError(ErrorCode::kBrokerNotAvailable, "starting or stopping");
  if (config_.has_peers()) {
    if (followed_.load()) return Healthy();
    return MakeError(ErrorCode::kBrokerNotAvailable, "no controller leads the quorum");
  }
  const broker::RecoveryProgress progress = broker_->recovery_progress();
  if (followed_.load() && progress.done()) return Healthy();
  return MakeError(ErrorCode::kBrokerNotAvailable,
                   absl::StrCat("recovering: ", progress.replicas_open, " of ",
                                progress.replicas_wanted, " replicas are open"));
}

absl::Status Node::Healthy() const {
  if (!failed_.load()) return absl::OkStatus();
  return MakeError(ErrorCode::kStorageError, "the metadata log has stopped; see the server's log");
}

void Node::CreateTopics(v1::CreateTopicsRequest request,
                        Callback<controller::CreateTopicsCommand> done) {
  env_.controller->Post([this, request = std::move(request), done = std::move(done)]() mutable {
    controller::CreateTopicsCommand command{.request = std::move(request),
                                            .placement_seed = env_.random->Next()};
    for (int i = 0; i < command.request.topics_size(); ++i) {
      command.fresh_ids.push_back(TopicId::Draw(*env_.random));
    }
    SubmitHere(command, std::move(done));
  });
}

void Node::CreatePartitions(v1::CreatePartitionsRequest request,
                            Callback<controller::CreatePartitionsCommand> done) {
  env_.controller->Post([this, request = std::move(request), done = std::move(done)]() mutable {
    const controller::CreatePartitionsCommand command{.request = std::move(request),
                                                      .placement_seed = env_.random->Next()};
    SubmitHere(command, std::move(done));
  });
}

namespace {

v1::DescribeLogDirsResponse ToProto(NodeId broker,
                                    const std::vector<broker::LogDirDescription>& dirs) {
  v1::DescribeLogDirsResponse response;
  response.set_broker_id(broker.value());
  for (const broker::LogDirDescription& dir : dirs) {
    v1::LogDirDescription* out = response.add_log_dirs();
    out->set_path(dir.path);
    out->set_directory_id(dir.directory_id.ToBytes());
    out->set_code(static_cast<v1::ErrorCode>(CodeOf(dir.status)));
    out->set_message(std::string(dir.status.message()));
    out->set_total_bytes(static_cast<int64_t>(dir.total_bytes));
    out->set_free_bytes(static_cast<int64_t>(dir.free_bytes));
    for (const broker::ReplicaState& replica : dir.replicas) {
      v1::LogDirPartition* partition = out->add_partitions();
      partition->set_topic(replica.topic);
      partition->set_topic_id(replica.topic_partition.topic_id.ToBytes());
      partition->set_partition(replica.topic_partition.partition.value());
      partition->set_size_bytes(replica.size_bytes);
      partition->set_log_start_offset(replica.log_start_offset.value());
      partition->set_end_offset(replica.end_offset.value());
    }
  }
  return response;
}

}  // namespace

void Node::DescribeLogDirs(
    const v1::DescribeLogDirsRequest& request,
    absl::AnyInvocable<void(absl::StatusOr<v1::DescribeLogDirsResponse>) &&> done) {
  if (request.has_broker_id() && NodeId(request.broker_id()) != config_.node_id) {
    return std::move(done)(
        MakeError(ErrorCode::kBrokerIdNotRegistered,
                  absl::StrCat("there is no broker ", request.broker_id(), "; this is ",
                               config_.node_id.value()),
                  {.name = "broker_id", .value = absl::StrCat(request.broker_id())}));
  }
  env_.controller->Post([this, done = std::move(done)]() mutable {
    if (broker_ == nullptr) {
      return std::move(done)(
          MakeError(ErrorCode::kBrokerNotAvailable,
                    absl::StrCat("node ", config_.node_id.value(),
                                 " is a controller and no broker: it has no log directories"),
                    {.name = "process.roles"}));
    }
    broker_->DescribeLogDirs(
        [this, done = std::move(done)](std::vector<broker::LogDirDescription> dirs) mutable {
          std::move(done)(ToProto(config_.node_id, dirs));
        });
  });
}

}  // namespace millrace::node
