// Node: one process of the cluster, controller and broker in one, without its network: what the
// server runs behind gRPC and what the simulator runs on simulated disks.
//
// Start brings it from its directories to serving, in this order, because each step needs the one
// before: metadata directory, metadata log, leadership, founding (a new cluster only), log
// directories and their recovery, registration (a new broker epoch), epoch recorded in every
// directory, metadata to the broker, unfencing.
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
#include "node/config.h"
#include "node/controller_host.h"
#include "node/metadata_dir.h"
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
  Node(NodeConfig config, const Env& env, const metadata::Authorizer* authorizer,
       OpenImages open_images);
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

  // REQUIRES: Start succeeded, for all below.
  broker::Broker& broker() { return *broker_; }
  // A command or question to the controller. `done` runs on the controller executor, with the index
  // of the metadata log that the reply is true at.
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
  void OnLed();
  void FoundCluster();
  void RememberCluster(ClusterId cluster_id);
  void OpenBroker(ClusterId cluster_id);
  void RegisterBroker(const std::vector<broker::OpenedLogDir>& dirs);
  void BeginEpoch(BrokerEpoch epoch);
  void Unfence();
  void Finish(const absl::Status& status);

  broker::BrokerOptions MakeBrokerOptions(ClusterId cluster_id) const;

  // Submit, on the controller executor.
  template <class Request>
  void SubmitHere(const Request& request, Callback<Request> done) {
    controller_->Submit(
        request, [this, done = std::move(done)](auto reply, LogIndex index) mutable {
          AfterFollowed(index, [reply = std::move(reply), index, done = std::move(done)]() mutable {
            std::move(done)(std::move(reply), index);
          });
        });
  }
  // Runs `then` when the broker has followed the metadata up to `index`, or after a bound: a
  // directory that hangs must not keep the controller's answer back.
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
