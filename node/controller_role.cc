#include "node/controller_role.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/status.h"
#include "node/damaged_log.h"
#include "node/founding_file.h"
#include "node/program_features.h"
#include "node/session_decisions.h"
#include "node/voter_level.h"

namespace millrace::node {
namespace {

BrokerSessionServer::Options SessionOptions(const NodeConfig& config, IncarnationId own_run) {
  BrokerSessionServer::Options options;
  options.sessions.timeout = absl::Milliseconds(config.settings.broker_session_timeout_ms);
  // A leader steps down when it has heard no majority for so long (Leader::LostMajority).
  if (config.in_quorum()) options.sessions.former_leader_max = config.raft.election_timeout_max;
  options.sessions.disks.slow_min = absl::Milliseconds(config.settings.log_dir_slow_sync_ms);
  // It has no session (LocalSession), and however long its start takes, nothing could be led
  // elsewhere.
  if (config.is_broker && !config.in_quorum()) options.sessions.lone_broker = config.node_id;
  options.own_run = own_run;
  options.well_max = absl::Milliseconds(config.settings.broker_heartbeat_interval_ms) * 2;
  return options;
}

absl::Duration BalanceInterval(const NodeConfig& config) {
  if (!config.settings.auto_leader_rebalance_enable) return absl::InfiniteDuration();
  return absl::Seconds(config.settings.leader_imbalance_check_interval_seconds);
}

}  // namespace

ControllerRole::ControllerRole(const NodeConfig& config, const Env& env, OpenImages open_images,
                               QuorumNetwork* network, controller::LeaderWatch* leaders,
                               RaftQuorumControl* quorum, IncarnationId own_run)
    : config_(config),
      env_(env),
      open_images_(std::move(open_images)),
      network_(network),
      leaders_(leaders),
      quorum_(quorum),
      sessions_(
          SessionOptions(config_, own_run),
          {.clock = env.clock,
           .executor = env.controller,
           .leaders = leaders,
           .metrics = env.metrics,
           .carry_out =
               [this](const controller::SessionDecision& decision, SessionDecided done) {
                 CarryOut(host_.get(), decision, std::move(done));
               },
           .confirm_leadership =
               [this](LeadershipConfirmed done) { host_->ConfirmLeadership(std::move(done)); }}),
      balancer_(BalanceInterval(config_), env.clock, env.controller, [this] { BalanceLeaders(); }),
      metadata_disk_(env.make_disk_executor("metadata-disk")),
      image_disk_(env.make_disk_executor("image-disk")),
      founding_random_(network == nullptr ? nullptr : env.make_random()) {
  quorum_->SetObservers([this] { return sessions_.Observers(); });
  if (network_ == nullptr) return;
  replacer_ = std::make_unique<DirectoryReplacer>(
      absl::Milliseconds(config_.settings.controller_quorum_auto_join_wait_ms), env_.clock,
      env_.controller, [network] { return network->Heard(); },
      [this](const raft::VoterId& voter) { return CheckMayVote(voter); });
}

ControllerRole::~ControllerRole() {
  // First the strands of its own, whose tasks use what the host has.
  image_disk_.reset();
  metadata_disk_.reset();
}

absl::Status ControllerRole::Open() {
  ASSIGN_OR_RETURN(join_only_, ClusterToJoin(*env_.files, config_.metadata_dir, config_.log_dirs));
  // The others may be that cluster; where there are none, nobody is.
  if (config_.quorum_voters.size() <= 1) RETURN_IF_ERROR(CheckFounds());
  ASSIGN_OR_RETURN(
      dir_, MetadataDir::Open(env_.files, config_.metadata_dir, config_.node_id, env_.random));
  if (open_images_ != nullptr) {
    ASSIGN_OR_RETURN(images_, open_images_(dir_->image_path()));
  }
  if (config_.in_quorum()) {
    // Its log is opened when it knows who founded the quorum; who this is must be known before.
    RETURN_IF_ERROR(CheckLog());
    ASSIGN_OR_RETURN(founding_record_,
                     ReadFoundingFile(*env_.files, config_.metadata_dir, dir_->cluster_id()));
    // What it promised may be founded without asking it again.
    const bool joins = founding_record_.phase == raft::FoundingPhase::kEmpty ||
                       founding_record_.cluster_id == join_only_;
    return joins ? absl::OkStatus() : CheckFounds();
  }
  QuorumPlace alone;
  alone.founders.voters = {raft::Voter{{config_.node_id, dir_->directory_id()}}};
  RETURN_IF_ERROR(OpenHost(std::move(alone)));
  host_ = std::move(opened_host_);
  return absl::OkStatus();
}

absl::Status ControllerRole::CheckFounds() const {
  return CheckFounding(*env_.files, config_.metadata_dir, config_.log_dirs);
}

absl::Status ControllerRole::CheckLog() {
  const absl::Status whole = CheckVotersLog(*env_.files, *dir_);
  const ErrorCode code = CodeOf(whole);
  const bool unusable = code == ErrorCode::kCorruptLog || code == ErrorCode::kInvalidDirectory;
  if (!unusable || dir_->cluster_id().is_zero()) return whole;
  ASSIGN_OR_RETURN(const bool others, OthersVote(*env_.files, *dir_, config_.quorum_voters));
  if (!others) {
    return Annotate(whole,
                    "this controller is the only voter that it knows of, so that nobody else has "
                    "its metadata (restore the directory; if other controllers of the cluster run, "
                    "give this one an empty metadata.log.dir instead)");
  }
  ASSIGN_OR_RETURN(const std::string aside,
                   SetDamagedLogAside(*env_.files, dir_.get(), env_.random));
  LOG_ERROR("node",
            code == ErrorCode::kCorruptLog
                ? "the metadata log is damaged and was set aside; this controller has become a "
                  "newcomer to its quorum, which waits to be added"
                : "the metadata log is gone; this controller has become a newcomer to its quorum, "
                  "which waits to be added",
            {{"damage", whole.message()},
             {"kept", aside},
             {"directory", dir_->directory_id().ToString()}});
  return absl::OkStatus();
}

absl::Status ControllerRole::OpenHost(QuorumPlace place) {
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
  absl::StatusOr<std::unique_ptr<ControllerHost>> host = ControllerHost::Open(
      *dir_, config_.node_id, std::move(settings), std::move(place),
      {.files = env_.files,
       .clock = env_.clock,
       .random = env_.random,
       .metrics = env_.metrics,
       .owner = env_.controller,
       .disk = metadata_disk_.get(),
       .image_disk = image_disk_.get(),
       .images = images_.get(),
       .leaders = leaders_,
       .sessions = &sessions_,
       .election_random = env_.make_random(),
       .last_copies_wait = absl::Milliseconds(config_.settings.unclean_recovery_timeout_ms)});
  if (!host.ok()) {
    return Annotate(host.status(), absl::StrCat("metadata directory '", config_.metadata_dir, "'"));
  }
  opened_host_ = *std::move(host);
  return absl::OkStatus();
}

void ControllerRole::Start(Done done, Task belongs) {
  started_ = std::move(done);
  belongs_ = std::move(belongs);
  config_.in_quorum() ? JoinQuorum() : StartHost();
}

absl::Status ControllerRole::NotOpen() const {
  return MakeError(ErrorCode::kNotController,
                   absl::StrCat("this controller does not belong to a quorum yet: ",
                                founding_ != nullptr ? founding_->Progress() : "it is starting"),
                   {.name = "controller.quorum.voters"});
}

std::vector<controller::ControllerFeatures> ControllerRole::Features() const {
  std::vector<controller::ControllerFeatures> all;
  if (host_ == nullptr || !host_->leading()) return all;
  for (const raft::Voter& voter : host_->log().node().voters().voters) {
    const bool self = voter.id.node == config_.node_id;
    const raft::ProgramFeatures* said =
        self || network_ == nullptr ? nullptr : network_->FeaturesOf(voter.id);
    const raft::ProgramFeatures features =
        self ? OwnFeatures() : (said != nullptr ? *said : raft::ProgramFeatures());
    all.push_back({.node = voter.id.node,
                   .level_min = features.level_min,
                   .level_max = features.level_max,
                   .version = features.version});
  }
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.node < b.node; });
  return all;
}

void ControllerRole::Finish(const absl::Status& status) {
  if (started_) std::exchange(started_, nullptr)(status);
}

// ---- One of several controllers ----

void ControllerRole::JoinQuorum() {
  addresses_ = std::make_unique<VoterAddresses>(env_.clock, env_.controller, &network_->founding(),
                                                [network = network_] { return network->Heard(); });
  QuorumFoundingOptions options;
  options.self = voter_id();
  options.configured = config_.quorum_voters;
  options.metadata_path = config_.metadata_dir;
  options.core.join_only = join_only_;
  founding_ =
      std::make_unique<QuorumFounding>(std::move(options), std::move(founding_record_),
                                       QuorumFounding::Deps{.clock = env_.clock,
                                                            .random = founding_random_.get(),
                                                            .files = env_.files,
                                                            .executor = env_.controller,
                                                            .disk = metadata_disk_.get(),
                                                            .channel = &network_->founding()});
  network_->SetFoundingAnswer(
      [this](const raft::FoundingState& theirs) { return founding_->OnExchange(theirs); });
  founding_->Start(
      [this](absl::StatusOr<raft::FoundingResult> result) { OnBelongs(std::move(result)); });
}

void ControllerRole::OnBelongs(absl::StatusOr<raft::FoundingResult> result) {
  if (!result.ok()) return Finish(result.status());
  cluster_id_ = result->cluster_id;
  generation_ = result->generation;
  QuorumPlace place;
  place.founders.voters = std::move(result->voters);
  place.known_peers = config_.quorum_voters;
  place.transport = &network_->transport();
  // Reads the log: not on this strand.
  metadata_disk_->Post([this, place = std::move(place)]() mutable {
    absl::Status opened = OpenHost(std::move(place));
    // Last: a directory that belongs to a cluster has its log.
    if (opened.ok()) opened = dir_->SetClusterId(cluster_id_);
    env_.controller->Post([this, opened] {
      host_ = std::move(opened_host_);
      if (!opened.ok()) return Finish(opened);
      network_->SetCluster(cluster_id_, generation_);
      network_->SetOnHello([this, alive = std::weak_ptr<const bool>(alive_)] {
        if (!alive.expired()) addresses_->OnHello();
      });
      leaders_->Subscribe([this](const LeaderHint& leader) { OnLeader(leader); });
      StartHost();
      if (belongs_ != nullptr) std::exchange(belongs_, nullptr)();
    });
  });
}

void ControllerRole::OnLeader(const LeaderHint& leader) {
  led_.store(leader.leader != kNoNode);
  if (leader.leader == kNoNode) return;
  LOG_INFO("node", "the quorum has a leader",
           {{"leader", leader.leader.value()}, {"term", leader.leader_epoch.value()}});
  Finish(absl::OkStatus());
}

void ControllerRole::StartHost() {
  host_->Start([this] { OnLed(); },
               [this](const absl::Status& status) {
                 failed_.store(true);
                 if (on_failed_ != nullptr) std::exchange(on_failed_, nullptr)();
                 Finish(status);
               });
  quorum_->SetHost(host_.get());
  quorum_->SetMayVote([this](const raft::VoterId& voter) { return CheckMayVote(voter); });
  leaders_->Subscribe([this, alive = std::weak_ptr<const bool>(alive_)](const LeaderHint& leader) {
    if (!alive.expired()) OnLeadership(leader.leader == config_.node_id);
  });
}

absl::Status ControllerRole::CheckMayVote(const raft::VoterId& voter) const {
  return CheckKnowsLevel(voter, network_ == nullptr ? nullptr : network_->FeaturesOf(voter),
                         host_->committed_image().feature_level());
}

void ControllerRole::OnLeadership(bool leads) {
  leads ? balancer_.OnLed() : balancer_.OnLostLeadership();
  if (network_ == nullptr) return;
  leads ? replacer_->OnLed(&host_->log()) : replacer_->OnLostLeadership();
  leads ? addresses_->OnLed(&host_->log(), OwnState()) : addresses_->OnLostLeadership();
}

raft::FoundingState ControllerRole::OwnState() const {
  raft::FoundingState state = {.self = voter_id(),
                               .phase = raft::FoundingPhase::kFounded,
                               .cluster_id = cluster_id_,
                               .generation = generation_};
  for (const raft::Peer& voter : config_.quorum_voters) {
    if (voter.node == config_.node_id) state.address = voter.address;
  }
  return state;
}

void ControllerRole::BalanceLeaders() {
  host_->Submit(controller::BalanceLeadersCommand(),
                [](absl::StatusOr<controller::BalanceLeadersReply> reply, LogIndex) {
                  if (!reply.ok() || reply->elections == 0) return;
                  LOG_INFO("node", "leaderships were given back to the first replicas",
                           {{"partitions", reply->elections}});
                });
}

// ---- Founding ----

void ControllerRole::OnLed() {
  if (config_.in_quorum()) NoteLed();
  const ClusterId founded = host_->committed_image().cluster_id();
  if (founded.is_zero()) {
    // Its directory names the cluster before this; that it has its log was seen when it was opened.
    if (config_.in_quorum()) return FoundCluster();
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
  if (!config_.in_quorum()) RememberCluster(founded);
}

void ControllerRole::NoteLed() {
  metadata_disk_->Post([this] {
    const absl::Status noted = NoteLeads(*env_.files, *dir_);
    if (noted.ok()) return;
    LOG_WARN("node", "cannot note that the log which was set aside has a successor",
             {{"error", noted.ToString()}});
  });
}

void ControllerRole::FoundCluster() {
  // Of several it is a hash of the founding set (S-18), which all of them know.
  const controller::FoundClusterCommand command{
      config_.in_quorum() ? cluster_id_ : ClusterId::Draw(*env_.random),
      static_cast<int>(config_.settings.initial_feature_level)};
  host_->Submit(command, [this](absl::StatusOr<controller::FoundClusterReply> reply, LogIndex) {
    // Of several, whoever leads next proposes it again.
    if (!reply.ok() && config_.in_quorum()) return;
    if (!reply.ok()) return Finish(reply.status());
    LOG_INFO("node", "founded a new cluster", {{"cluster", reply->cluster_id.ToString()}});
    if (!config_.in_quorum()) RememberCluster(reply->cluster_id);
  });
}

void ControllerRole::RememberCluster(ClusterId cluster_id) {
  metadata_disk_->Post([this, cluster_id] {
    const absl::Status remembered = dir_->SetClusterId(cluster_id);
    env_.controller->Post([this, remembered] {
      led_.store(remembered.ok());
      Finish(remembered);
    });
  });
}

}  // namespace millrace::node
