// QuorumServer: the network of one of several controllers: a server of its own on the controller
// listeners, so that nothing of the quorum is ever seen on a public one, and the connections to the
// other controllers.
//
// Thread: main, except what node::QuorumNetwork says of its functions.
#ifndef TOOLS_MILLRACE_QUORUM_SERVER_H_
#define TOOLS_MILLRACE_QUORUM_SERVER_H_

#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/counters.h"
#include "base/executor.h"
#include "base/random.h"
#include "node/config.h"
#include "node/quorum_network.h"
#include "raft/service/grpc_transport.h"
#include "raft/service/raft_service.h"
#include "rpc/server.h"
#include "tools/millrace/process_security.h"

namespace millrace::tools {

class QuorumServer final : public node::QuorumNetwork {
 public:
  struct Dependencies {
    // Not null.
    std::shared_ptr<const ProcessSecurity> security = nullptr;
    const Clock* clock = nullptr;
    Random* random = nullptr;
    MetricRegistry* metrics = nullptr;
  };

  // REQUIRES: config.in_quorum().
  QuorumServer(const node::NodeConfig& config, const Dependencies& dependencies);
  ~QuorumServer() override;

  // What the controller runs on, with all that is said of it here: a message that comes for it
  // costs no hand-off to another thread.
  Executor* strand() { return server_.queue(0); }

  // Who this is; the first step, for which the metadata directory must be open.
  void SetIdentity(const raft::VoterId& self, int64_t start_count);
  // To register services at, before Start.
  rpc::Server* server() { return &server_; }
  // Binds the listeners and serves. Errors: ADDRESS_IN_USE, INVALID_CONFIG.
  absl::Status Start();
  void Shutdown(absl::Duration grace) { server_.Shutdown(grace); }
  void StopQueues() { server_.StopQueues(); }

  // node::QuorumNetwork.
  raft::Transport& transport() override { return *transport_; }
  raft::FoundingChannel& founding() override { return *transport_; }
  void SetFoundingAnswer(FoundingAnswer answer) override {
    transport_->SetFoundingAnswer(std::move(answer));
  }
  void SetCluster(ClusterId cluster, int64_t generation) override {
    transport_->SetClusterId(cluster, generation);
  }
  const raft::ProgramFeatures* FeaturesOf(const raft::VoterId& voter) const override {
    return transport_->FeaturesOf(voter);
  }
  std::vector<raft::HeardPeer> Heard() const override { return transport_->HeardPeers(); }
  void SetOnHello(std::function<void()> on_hello) override {
    transport_->SetOnHello(std::move(on_hello));
  }

 private:
  const node::NodeConfig config_;
  const Dependencies dependencies_;
  rpc::Server server_;
  std::shared_ptr<raft::GrpcTransport> transport_;
  std::unique_ptr<raft::RaftService> service_;
};

}  // namespace millrace::tools

#endif  // TOOLS_MILLRACE_QUORUM_SERVER_H_
