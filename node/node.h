// Node: one process of the cluster, without its network: what the server runs behind gRPC and what
// the simulator runs on simulated disks: a controller (controller_role.h), a broker
// (broker_role.h), or both in one.
//
// Both without other processes are the embedded default: the controller is the whole quorum, and
// the broker has its session with it (local_session.h). Every other broker finds the active
// controller over the network (remote_session.h), be it in its own process. A start is done when
// the broker is active; of a controller alone, when somebody leads the quorum.
//
// Not here: sockets, threads and signals, which the composition root owns (tools/millrace), and
// every decision about the cluster (controller/) or a partition (broker/).
//
// Thread: construction, Start and Stop from anywhere, one after the other; callbacks run on the
// controller executor. The functions for calls: any thread.
#ifndef NODE_NODE_H_
#define NODE_NODE_H_

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/env.h"
#include "broker/broker.h"
#include "metadata/authorizer.h"
#include "metadata/broker_config.h"
#include "millrace/v1/admin_service.pb.h"
#include "node/broker_role.h"
#include "node/broker_session_server.h"
#include "node/config.h"
#include "node/controller_host.h"
#include "node/controller_link.h"
#include "node/controller_role.h"
#include "node/local_session.h"
#include "node/quorum_network.h"
#include "node/raft_quorum_control.h"
#include "node/remote_session.h"

namespace millrace::node {

class Node {
 public:
  using Done = absl::AnyInvocable<void(absl::Status) &&>;
  template <class Request>
  using Callback = ControllerHost::Host::Callback<Request>;

  using OpenImages = ControllerRole::OpenImages;

  // The ways to other processes; what config says is not needed is null.
  struct Network {
    // If config.in_quorum().
    QuorumNetwork* quorum = nullptr;
    // If config.has_remote_session().
    ControllerLink* controllers = nullptr;
    // To other brokers; null: none can be followed.
    broker::ReplicaChannel* replicas = nullptr;
    // The same, for repairs of damaged logs.
    broker::RepairChannel* repairs = nullptr;
  };

  // `env` and `authorizer` outlive the node. Its executors must run until Stop is done; the node is
  // destroyed after they have ended (or, in the simulator, between two events: a crash).
  Node(NodeConfig config, const Env& env, const metadata::Authorizer* authorizer,
       OpenImages open_images, Network network);
  // Of one without other processes.
  Node(NodeConfig config, const Env& env, const metadata::Authorizer* authorizer,
       OpenImages open_images)
      : Node(std::move(config), env, authorizer, std::move(open_images), Network()) {}
  ~Node();

  // Reads the directories that tell who this is. Blocks. Errors: those of ControllerRole::Open and
  // ClusterOfLogDirs.
  absl::Status Open();

  // The rest of the way, told in steps by log lines. `advertised`: the listeners with the ports
  // that were bound; of a broker. REQUIRES: Open succeeded.
  void Start(std::vector<metadata::Listener> advertised, Done done);

  // Called at most once, after the start, when this process cannot go on: another has taken its
  // place. Set before Start.
  void SetOnEnded(std::function<void(const absl::Status&)> on_ended) {
    on_ended_ = std::move(on_ended);
  }

  // Called when the broker's config in the cluster's metadata may have changed; of a broker. Set
  // before Start. Thread: the controller executor.
  void SetOnBrokerConfig(BrokerRole::OnConfig on_config) {
    broker_->SetOnConfig(std::move(on_config));
  }

  // Hands over what others can lead, drains for up to `drain`, closes everything cleanly. May be
  // called during the start, which then stays without its callback.
  void Stop(absl::Duration drain, Done done);

  // OK once all replicas that the metadata wants here are open. Thread: any.
  absl::Status Ready() const;
  // OK unless the metadata log has stopped for good. Thread: any.
  absl::Status Healthy() const;

  // Who this is in the quorum, and how often a process started on its metadata directory. REQUIRES:
  // config().is_controller, and Open succeeded.
  raft::VoterId voter_id() const { return controller_->voter_id(); }
  int64_t start_count() const { return controller_->start_count(); }

  // Who leads the quorum, and how it is seen and changed; they live as long as this. Of a process
  // that is no controller: as its session knows. Thread: the controller executor.
  controller::LeaderWatch& leaders() { return leaders_; }
  controller::QuorumControl& quorum() { return quorum_; }
  // The streams of brokers and observers; serves while this node leads. REQUIRES:
  // config().is_controller. Thread: as above.
  BrokerSessionServer& sessions() { return controller_->sessions(); }

  // REQUIRES: config().is_broker, and Start succeeded.
  broker::Broker& broker() { return *broker_->broker(); }
  // A command or question to the controller; before it is open: NOT_CONTROLLER. `done` runs on the
  // controller executor, with the index of the metadata log that the reply is true at.
  template <class Request>
  void Submit(Request request, Callback<Request> done) {
    env_.controller->Post([this, request = std::move(request), done = std::move(done)]() mutable {
      SubmitHere<Request>(request, std::move(done));
    });
  }
  // Those that need fresh ids or seeds.
  void CreateTopics(v1::CreateTopicsRequest request,
                    Callback<controller::CreateTopicsCommand> done);
  void CreatePartitions(v1::CreatePartitionsRequest request,
                        Callback<controller::CreatePartitionsCommand> done) {
    SubmitSeeded<controller::CreatePartitionsCommand>(std::move(request), std::move(done));
  }
  template <class Command, class Request>
  void SubmitSeeded(Request request, Callback<Command> done) {
    env_.controller->Post([this, request = std::move(request), done = std::move(done)]() mutable {
      const Command command{.request = std::move(request), .placement_seed = env_.random->Next()};
      SubmitHere<Command>(command, std::move(done));
    });
  }
  // Those that need to know what the controllers' programs know.
  void DescribeFeatures(Callback<controller::DescribeFeaturesCommand> done);
  void RaiseFeatureLevel(v1::RaiseFeatureLevelRequest request,
                         Callback<controller::RaiseFeatureLevelCommand> done);
  // Answered by the broker itself. Errors: BROKER_ID_NOT_REGISTERED for another broker's id.
  void DescribeLogDirs(
      const v1::DescribeLogDirsRequest& request,
      absl::AnyInvocable<void(absl::StatusOr<v1::DescribeLogDirsResponse>) &&> done);

  // Answered by the broker itself, of its own replica. `given_up`: whether nobody waits for it any
  // more, asked on any thread until `done` is called. Errors: as above; CANCELLED.
  void ChecksumReplica(
      v1::ChecksumReplicaRequest request, const metadata::Principal& principal,
      std::function<bool()> given_up,
      absl::AnyInvocable<void(absl::StatusOr<v1::ChecksumReplicaResponse>) &&> done);

  // What this controller knows to be committed; null in a process without that role, and before it
  // is open. For checks from beside. Thread: the controller executor.
  const metadata::Image* committed_image() const {
    return host() == nullptr ? nullptr : &host()->committed_image();
  }

  const NodeConfig& config() const { return config_; }

 private:
  // Whether this node is the broker that is asked for, or any if none is named.
  absl::Status CheckIsBroker(std::optional<int32_t> broker_id) const;

  void StartController();
  void StartBroker(ClusterId known);
  // Where the own log says nothing any more of who leads.
  void FollowSession(const LeaderHint& leader);
  void StopController(Done done);
  void Finish(const absl::Status& status);

  // Submit, on the controller executor.
  template <class Request>
  void SubmitHere(const Request& request, Callback<Request> done) {
    if (host() == nullptr) return std::move(done)(NotOpen(), LogIndex());
    if constexpr (std::is_same_v<Request, internal::v1::RegisterBrokerRequest>) {
      absl::Status admitted = sessions().CheckNewcomer(request);
      if (!admitted.ok()) return std::move(done)(std::move(admitted), LogIndex());
    }
    host()->Submit(request, [this, done = std::move(done)](auto reply, LogIndex index) mutable {
      AfterFollowed(index, [reply = std::move(reply), index, done = std::move(done)]() mutable {
        std::move(done)(std::move(reply), index);
      });
    });
  }
  ControllerHost* host() const { return controller_ == nullptr ? nullptr : controller_->host(); }
  absl::Status NotOpen() const;
  // Runs `then` when the broker, if there is one, has followed the metadata up to `index`, or after
  // a bound.
  void AfterFollowed(LogIndex index, Task then);

  const NodeConfig config_;
  const Env env_;
  const Network network_;
  controller::LeaderWatch leaders_;
  RaftQuorumControl quorum_;
  // Null in a process without the role.
  std::unique_ptr<ControllerRole> controller_;
  std::unique_ptr<Random> session_random_;
  std::unique_ptr<ControllerSession> session_;
  std::unique_ptr<BrokerRole> broker_;
  // Of the log directories, as they were found.
  ClusterId log_dirs_cluster_;
  std::vector<metadata::Listener> advertised_;
  Done started_;
  std::function<void(const absl::Status&)> on_ended_;
  // Read by probes on other threads.
  std::atomic<bool> stopping_{false};
  std::atomic<bool> ended_{false};
};

}  // namespace millrace::node

#endif  // NODE_NODE_H_
