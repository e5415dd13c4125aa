// Node: one process of the cluster, without its network: what the server runs behind gRPC and what
// the simulator runs on simulated disks. Either controller and broker in one (the embedded
// default), or one of several controllers.
//
// Start brings it from its directories to serving, in this order, because each step needs the one
// before: metadata directory, metadata log, leadership, founding (a new cluster only), log
// directories and their recovery, registration (a new broker epoch), epoch recorded in every
// directory, metadata to the broker, unfencing. One of several controllers first has to know
// which cluster it belongs to (node/quorum_founding.h); it serves once it knows who leads.
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
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/env.h"
#include "broker/broker.h"
#include "metadata/authorizer.h"
#include "millrace/v1/admin_service.pb.h"
#include "node/broker_session_server.h"
#include "node/config.h"
#include "node/controller_host.h"
#include "node/metadata_dir.h"
#include "node/quorum_founding.h"
#include "node/quorum_network.h"
#include "node/raft_quorum_control.h"
#include "storage/kv_store.h"

namespace millrace::node {

class Node {
 public:
  using Done = absl::AnyInvocable<void(absl::Status) &&>;
  template <class Request>
  using Callback = ControllerHost::Host::Callback<Request>;

  // Opens the store for the metadata image below a path; called on a thread that may block.
  using OpenImages =
      std::function<absl::StatusOr<std::unique_ptr<storage::KvStore>>(const std::string& path)>;

  // `env` and `authorizer` outlive the node. Its executors must run until Stop is done; the node is
  // destroyed after they have ended (or, in the simulator, between two events: a crash).
  // `network`: of one of several controllers (config.has_peers()); else null.
  Node(NodeConfig config, const Env& env, const metadata::Authorizer* authorizer,
       OpenImages open_images, QuorumNetwork* network = nullptr);
  ~Node();

  // Reads the metadata directory and its log. Blocks. Errors: those of CheckFounding,
  // MetadataDir::Open, ControllerHost::Open and the image store, with the path.
  absl::Status Open();

  // The rest of the way, told in steps by log lines. `advertised`: the listeners with the ports
  // that were bound. REQUIRES: Open succeeded.
  void Start(std::vector<metadata::Listener> advertised, Done done);

  // Drains for up to `drain`, closes everything cleanly. REQUIRES: Start's callback has run.
  void Stop(absl::Duration drain, Done done);

  // OK once all replicas that the metadata wants here are open. Thread: any.
  absl::Status Ready() const;
  // OK unless the metadata log has stopped for good. Thread: any.
  absl::Status Healthy() const;

  // Who this is in the quorum, and how often a process started on its metadata directory. REQUIRES:
  // Open succeeded.
  raft::VoterId voter_id() const { return {config_.node_id, dir_->directory_id()}; }
  int64_t start_count() const { return dir_->start_count(); }

  // Who leads the quorum, and how it is seen and changed; they live as long as this. Thread: the
  // controller executor.
  controller::LeaderWatch& leaders() { return leaders_; }
  controller::QuorumControl& quorum() { return quorum_; }
  // The streams of brokers and observers; serves while this node leads. Thread: as above.
  BrokerSessionServer& sessions() { return sessions_; }

  // REQUIRES: config().is_broker, and Start succeeded.
  broker::Broker& broker() { return *broker_; }
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
                        Callback<controller::CreatePartitionsCommand> done);
  // Answered by the broker itself. Errors: BROKER_ID_NOT_REGISTERED for another broker's id.
  void DescribeLogDirs(
      const v1::DescribeLogDirsRequest& request,
      absl::AnyInvocable<void(absl::StatusOr<v1::DescribeLogDirsResponse>) &&> done);

  const NodeConfig& config() const { return config_; }

 private:
  // The steps of Start, on the controller executor.
  void JoinQuorum();
  void OnBelongs(absl::StatusOr<raft::FoundingResult> result);
  void StartController();
  void OnLed();
  void OnLeader(const LeaderHint& leader);
  void FoundCluster();
  void RememberCluster(ClusterId cluster_id);
  void OpenBroker(ClusterId cluster_id);
  void RegisterBroker(const std::vector<broker::OpenedLogDir>& dirs);
  void BeginEpoch(BrokerEpoch epoch);
  void Unfence();
  void Finish(const absl::Status& status);

  absl::Status OpenController(QuorumPlace place);
  void CarryOut(const controller::SessionDecision& decision, SessionDecided done);
  broker::BrokerOptions MakeBrokerOptions(ClusterId cluster_id) const;

  // Submit, on the controller executor.
  template <class Request>
  void SubmitHere(const Request& request, Callback<Request> done) {
    if (controller_ == nullptr) return std::move(done)(NotOpen(), LogIndex());
    controller_->Submit(
        request, [this, done = std::move(done)](auto reply, LogIndex index) mutable {
          AfterFollowed(index, [reply = std::move(reply), index, done = std::move(done)]() mutable {
            std::move(done)(std::move(reply), index);
          });
        });
  }
  absl::Status NotOpen() const;
  // Runs `then` when the broker, if there is one, has followed the metadata up to `index`, or after
  // a bound: a directory that hangs must not keep the controller's answer back.
  void AfterFollowed(LogIndex index, Task then);

  const NodeConfig config_;
  const Env env_;
  const metadata::Authorizer* const authorizer_;
  const OpenImages open_images_;
  const IncarnationId incarnation_;
  // Of the metadata directory: the log's, and the image store's.
  std::unique_ptr<Executor> metadata_disk_;
  std::unique_ptr<Executor> image_disk_;
  std::unique_ptr<Random> broker_random_;
  QuorumNetwork* const network_;
  controller::LeaderWatch leaders_;
  RaftQuorumControl quorum_;
  BrokerSessionServer sessions_;
  raft::FoundingRecord founding_record_;
  std::unique_ptr<QuorumFounding> founding_;
  // Of one of several controllers, once it is known.
  ClusterId cluster_id_;
  std::unique_ptr<MetadataDir> dir_;
  std::unique_ptr<storage::KvStore> images_;
  std::unique_ptr<ControllerHost> controller_;
  std::unique_ptr<broker::Broker> broker_;
  std::vector<metadata::Listener> advertised_;
  Done started_;
  BrokerEpoch broker_epoch_ = kNoBrokerEpoch;
  // Read by probes on other threads.
  std::atomic<bool> serving_{false};
  std::atomic<bool> followed_{false};
  std::atomic<bool> failed_{false};
};

}  // namespace millrace::node

#endif  // NODE_NODE_H_
