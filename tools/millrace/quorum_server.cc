#include "tools/millrace/quorum_server.h"

#include <string>
#include <utility>

#include "node/program_features.h"

namespace millrace::tools {
namespace {

rpc::ServerOptions MakeServerOptions(const node::NodeConfig& config,
                                     const ProcessSecurity& security) {
  rpc::ServerOptions options;
  security.AddListeners(config.controller_listeners, /*nodes_only=*/true, &options);
  return raft::RaftService::Configure(std::move(options));
}

std::string AddressOf(const node::NodeConfig& config) {
  for (const raft::Peer& voter : config.quorum_voters) {
    if (voter.node == config.node_id) return voter.address;
  }
  return "";
}

}  // namespace

QuorumServer::QuorumServer(const node::NodeConfig& config, const Dependencies& dependencies)
    : config_(config),
      dependencies_(dependencies),
      // Its messages are few and bounded by the transport: not counted against clients' memory.
      server_(MakeServerOptions(config, *dependencies.security), dependencies.clock, nullptr,
              dependencies.metrics) {}

QuorumServer::~QuorumServer() {
  server_.Shutdown(absl::ZeroDuration());
  server_.StopQueues();
}

void QuorumServer::SetIdentity(const raft::VoterId& self, int64_t start_count) {
  raft::TransportOptions options;
  options.self = self;
  options.address = AddressOf(config_);
  options.process = {.start_counter = start_count,
                     .nonce = IncarnationId::Draw(*dependencies_.random).uuid()};
  options.features = node::OwnFeatures();
  options.asks_to_join = config_.settings.controller_quorum_auto_join_enable;
  options.credentials = [security = dependencies_.security](NodeId peer) {
    return security->ToController(peer);
  };
  transport_ = raft::GrpcTransport::Create(options, {.owner = strand(),
                                                     .queue = server_.queue(0),
                                                     .clock = dependencies_.clock,
                                                     .random = dependencies_.random,
                                                     .metrics = dependencies_.metrics});
  service_ = std::make_unique<raft::RaftService>(strand(), transport_);
  service_->Register(&server_);
}

absl::Status QuorumServer::Start() {
  const absl::Status started = server_.Start();
  if (started.ok()) server_.SetServing(true);
  return started;
}

}  // namespace millrace::tools
