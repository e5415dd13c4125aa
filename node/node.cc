#include "node/node.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/file_system.h"
#include "base/log.h"
#include "base/status.h"
#include "node/metadata_dir.h"

namespace millrace::node {
namespace {

RemoteSessionOptions SessionOptionsOf(const NodeConfig& config, ClusterId cluster_id) {
  RemoteSessionOptions options;
  options.self = config.node_id;
  options.cluster_id = cluster_id;
  options.session.controllers = config.quorum_voters;
  options.session.heartbeat_interval =
      absl::Milliseconds(config.settings.broker_heartbeat_interval_ms);
  // Two heartbeats without an answer, and a little: half of what the session lasts by default.
  options.session.silence_max =
      std::max(options.session.silence_max, options.session.heartbeat_interval * 3);
  return options;
}

}  // namespace

Node::Node(NodeConfig config, const Env& env, const metadata::Authorizer* authorizer,
           OpenImages open_images, Network network)
    : config_(std::move(config)),
      env_(env),
      network_(network),
      quorum_(env.controller, env.clock, &leaders_) {
  CHECK_EQ(config_.in_quorum(), network_.quorum != nullptr);
  CHECK_EQ(config_.has_remote_session(), network_.controllers != nullptr);
  if (config_.is_broker) {
    broker_ = std::make_unique<BrokerRole>(config_, env_, authorizer, network_.replicas,
                                           network_.repairs);
  }
  if (config_.is_controller) {
    controller_ = std::make_unique<ControllerRole>(
        config_, env_, std::move(open_images), network_.quorum, &leaders_, &quorum_,
        broker_ == nullptr ? IncarnationId() : broker_->incarnation());
  }
  if (config_.has_remote_session()) session_random_ = env_.make_random();
}

Node::~Node() = default;

absl::Status Node::Open() {
  if (controller_ != nullptr) RETURN_IF_ERROR(controller_->Open());
  if (config_.has_remote_session()) {
    for (const std::string& log_dir : config_.log_dirs) {
      // One that fails is offline; the others may do.
      const absl::Status created = CreateDirectories(*env_.files, ParentPath(log_dir));
      if (!created.ok()) {
        LOG_WARN("node", "cannot create what a log directory lies in",
                 {{"path", log_dir}, {"error", created.ToString()}});
      }
    }
    ASSIGN_OR_RETURN(log_dirs_cluster_, ClusterOfLogDirs(*env_.files, config_.log_dirs));
  }
  return absl::OkStatus();
}

void Node::Start(std::vector<metadata::Listener> advertised, Done done) {
  env_.controller->Post(
      [this, advertised = std::move(advertised), done = std::move(done)]() mutable {
        advertised_ = std::move(advertised);
        started_ = std::move(done);
        if (controller_ != nullptr) return StartController();
        if (config_.has_remote_session()) StartBroker(log_dirs_cluster_);
      });
}

void Node::StartController() {
  controller_->Start(
      [this](const absl::Status& status) {
        if (!status.ok() || broker_ == nullptr) return Finish(status);
        if (!config_.has_remote_session()) {
          StartBroker(controller_->host()->committed_image().cluster_id());
        }
      },
      // Not before: log directories of a cluster beside a metadata directory of none look as if
      // that were lost, and no later start would found over them (S-18).
      [this] {
        if (config_.has_remote_session()) StartBroker(log_dirs_cluster_);
      });
}

void Node::StartBroker(ClusterId known) {
  if (stopping_.load()) return;
  if (config_.has_remote_session()) {
    auto session = std::make_unique<RemoteSession>(
        SessionOptionsOf(config_, known), RemoteSession::Deps{.clock = env_.clock,
                                                              .random = session_random_.get(),
                                                              .executor = env_.controller,
                                                              .link = network_.controllers});
    RemoteSession* const remote = session.get();
    session_ = std::move(session);
    if (controller_ == nullptr) {
      remote->Start([this](const LeaderHint& leader) { leaders_.Set(leader); });
    } else {
      // The voter hears of a new leader first, and nothing any more once its log has stopped.
      remote->Start([this](const LeaderHint& leader) {
        if (controller_->failed()) FollowSession(leader);
      });
      leaders_.Subscribe([this, remote](const LeaderHint& leader) {
        if (!controller_->failed()) remote->OnLeader(leader);
      });
      controller_->SetOnFailed([this, remote] { FollowSession(remote->leader()); });
    }
  } else {
    session_ = std::make_unique<LocalSession>(config_.node_id, controller_->host());
  }
  broker_->Start(
      session_.get(), known, std::move(advertised_),
      [this](const absl::Status& status) { Finish(status); },
      [this](const absl::Status& status) {
        ended_.store(true);
        if (on_ended_) std::exchange(on_ended_, nullptr)(status);
      });
}

void Node::FollowSession(const LeaderHint& leader) {
  // It led until its log stopped, and the session has not heard of another yet.
  leaders_.Set(leader.leader == config_.node_id ? LeaderHint() : leader);
}

void Node::Finish(const absl::Status& status) {
  if (started_) std::exchange(started_, nullptr)(status);
}

void Node::Stop(absl::Duration drain, Done done) {
  env_.controller->Post([this, drain, done = std::move(done)]() mutable {
    stopping_.store(true);
    if (broker_ == nullptr) return StopController(std::move(done));
    broker_->Stop(drain, [this, done = std::move(done)](absl::Status stopped) mutable {
      StopController([stopped = std::move(stopped), done = std::move(done)](
                         const absl::Status&) mutable { std::move(done)(std::move(stopped)); });
    });
  });
}

void Node::StopController(Done done) {
  if (!config_.in_quorum()) return std::move(done)(absl::OkStatus());
  // That nobody took over costs the others an election, and is no failure of the stop.
  quorum_.HandOver(
      [done = std::move(done)](const absl::Status&) mutable { std::move(done)(absl::OkStatus()); });
}

absl::Status Node::Ready() const {
  if (stopping_.load()) return MakeError(ErrorCode::kBrokerNotAvailable, "stopping");
  if (broker_ != nullptr) RETURN_IF_ERROR(broker_->Ready());
  if (controller_ != nullptr && !controller_->led()) {
    return MakeError(ErrorCode::kBrokerNotAvailable, "no controller leads the quorum");
  }
  return Healthy();
}

absl::Status Node::Healthy() const {
  if (controller_ != nullptr && controller_->failed()) {
    return MakeError(ErrorCode::kStorageError,
                     "the metadata log has stopped; see the server's log");
  }
  if (!ended_.load()) return absl::OkStatus();
  return MakeError(ErrorCode::kStaleBrokerEpoch,
                   "this process is no longer the broker of its id; see the server's log");
}

absl::Status Node::NotOpen() const {
  if (controller_ != nullptr) return controller_->NotOpen();
  return MakeError(ErrorCode::kNotController,
                   absl::StrCat("node ", config_.node_id.value(), " is a broker and no controller"),
                   {.name = "process.roles"});
}

void Node::AfterFollowed(LogIndex index, Task then) {
  if (broker_ == nullptr) return std::move(then)();
  // The log's own entries are part of no image: what matters is what was published.
  const LogIndex published = std::min(index, host()->committed_image().index());
  broker_->AfterFollowed(published, std::move(then));
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

void Node::DescribeFeatures(Callback<controller::DescribeFeaturesCommand> done) {
  env_.controller->Post([this, done = std::move(done)]() mutable {
    controller::DescribeFeaturesCommand command;
    if (controller_ != nullptr) command.controllers = controller_->Features();
    SubmitHere(command, std::move(done));
  });
}

void Node::RaiseFeatureLevel(v1::RaiseFeatureLevelRequest request,
                             Callback<controller::RaiseFeatureLevelCommand> done) {
  env_.controller->Post([this, request = std::move(request), done = std::move(done)]() mutable {
    controller::RaiseFeatureLevelCommand command{.request = std::move(request), .controllers = {}};
    if (controller_ != nullptr) command.controllers = controller_->Features();
    SubmitHere(command, std::move(done));
  });
}

absl::Status Node::CheckIsBroker(std::optional<int32_t> broker_id) const {
  if (broker_id.has_value() && NodeId(*broker_id) != config_.node_id) {
    return MakeError(
        ErrorCode::kBrokerIdNotRegistered,
        absl::StrCat("there is no broker ", *broker_id, "; this is ", config_.node_id.value()),
        {.name = "broker_id", .value = absl::StrCat(*broker_id)});
  }
  if (broker_ != nullptr) return absl::OkStatus();
  return MakeError(ErrorCode::kBrokerNotAvailable,
                   absl::StrCat("node ", config_.node_id.value(),
                                " is a controller and no broker: it has no log directories"),
                   {.name = "process.roles"});
}

void Node::ChecksumReplica(
    v1::ChecksumReplicaRequest request, const metadata::Principal& principal,
    std::function<bool()> given_up,
    absl::AnyInvocable<void(absl::StatusOr<v1::ChecksumReplicaResponse>) &&> done) {
  const absl::Status here =
      CheckIsBroker(request.has_broker_id() ? std::optional(request.broker_id()) : std::nullopt);
  if (!here.ok()) return std::move(done)(here);
  env_.controller->Post([this, request = std::move(request), principal,
                         given_up = std::move(given_up), done = std::move(done)]() mutable {
    broker_->ChecksumReplica(request, principal, std::move(given_up), std::move(done));
  });
}

void Node::DescribeLogDirs(
    const v1::DescribeLogDirsRequest& request,
    absl::AnyInvocable<void(absl::StatusOr<v1::DescribeLogDirsResponse>) &&> done) {
  const absl::Status here =
      CheckIsBroker(request.has_broker_id() ? std::optional(request.broker_id()) : std::nullopt);
  if (!here.ok()) return std::move(done)(here);
  env_.controller->Post([this, request, done = std::move(done)]() mutable {
    broker_->DescribeLogDirs(request, std::move(done));
  });
}

}  // namespace millrace::node
