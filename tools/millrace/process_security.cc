#include "tools/millrace/process_security.h"

#include "base/status.h"
#include "rpc/peer_identity.h"

namespace millrace::tools {

using rpc::ListenerSecurity;

ProcessSecurity::ProcessSecurity(const node::NodeConfig& config)
    : tls_listeners_(config.tls_listeners),
      controllers_by_tls_(config.controllers_by_tls),
      brokers_by_tls_(config.brokers_by_tls),
      clients_show_certificates_(config.settings.ssl_client_auth == "required"),
      cluster_(config.settings.ssl_cluster_name) {}

absl::StatusOr<ProcessSecurity> ProcessSecurity::Create(const node::NodeConfig& config) {
  ProcessSecurity security(config);
  if (!config.uses_tls()) return security;
  rpc::TlsRenewal renewal;
  if (config.in_quorum() || config.has_remote_session()) {
    const bool by_tls = security.controllers_by_tls_ || security.brokers_by_tls_;
    if (by_tls) renewal.own_uri = rpc::NodeUri({security.cluster_, config.node_id});
  }
  ASSIGN_OR_RETURN(security.tls_,
                   rpc::Tls::CreateRenewed({.keystore = config.settings.ssl_keystore_location,
                                            .truststore = config.settings.ssl_truststore_location},
                                           renewal));
  return security;
}

void ProcessSecurity::AddListeners(const std::vector<metadata::Listener>& listeners,
                                   bool nodes_only, rpc::ServerOptions* options) const {
  options->tls = tls_;
  options->cluster = cluster_;
  for (const metadata::Listener& listener : listeners) {
    ListenerSecurity security{.tls = tls_listeners_.contains(listener.name)};
    if (clients_show_certificates_) security.callers = ListenerSecurity::Callers::kWithCertificate;
    if (nodes_only) security.callers = ListenerSecurity::Callers::kNodes;
    options->listeners.push_back({.name = listener.name,
                                  .host = listener.host,
                                  .port = listener.port,
                                  .security = security});
  }
}

void ProcessSecurity::AddMetrics(MetricRegistry* metrics) const {
  if (tls_ != nullptr) tls_->AddMetrics(metrics);
}

std::shared_ptr<grpc::ChannelCredentials> ProcessSecurity::ToNode(bool by_tls, NodeId node) const {
  return by_tls ? tls_->ForNode({.cluster = cluster_, .node = node}) : nullptr;
}

std::shared_ptr<grpc::ChannelCredentials> ProcessSecurity::ToController(NodeId node) const {
  return ToNode(controllers_by_tls_, node);
}

std::shared_ptr<grpc::ChannelCredentials> ProcessSecurity::ToBroker() const {
  return ToNode(brokers_by_tls_, kNoNode);
}

}  // namespace millrace::tools
