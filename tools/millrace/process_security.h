// ProcessSecurity: what the keys about TLS mean for the connections of one process: what its
// listeners ask, and what its own connections to controllers and brokers show and expect.
//
// Thread: any; immutable.
#ifndef TOOLS_MILLRACE_PROCESS_SECURITY_H_
#define TOOLS_MILLRACE_PROCESS_SECURITY_H_

#include <grpcpp/security/credentials.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/counters.h"
#include "node/config.h"
#include "rpc/server.h"
#include "rpc/tls.h"

namespace millrace::tools {

class ProcessSecurity {
 public:
  // Reads the PEM files. Errors: INVALID_CONFIG naming the key and the file.
  static absl::StatusOr<ProcessSecurity> Create(const node::NodeConfig& config);

  // Listeners as the server takes them. `nodes_only`: they are the quorum's.
  void AddListeners(const std::vector<metadata::Listener>& listeners, bool nodes_only,
                    rpc::ServerOptions* options) const;

  // Serves what there is to know of the PEM files and of handshakes; nothing without TLS.
  void AddMetrics(MetricRegistry* metrics) const;

  // For connections to controllers; `node`: who must be there, kNoNode for any node of the cluster.
  // Null: plaintext.
  std::shared_ptr<grpc::ChannelCredentials> ToController(NodeId node = kNoNode) const;
  // For connections to brokers, by the listener between them.
  std::shared_ptr<grpc::ChannelCredentials> ToBroker() const;

 private:
  explicit ProcessSecurity(const node::NodeConfig& config);

  std::shared_ptr<grpc::ChannelCredentials> ToNode(bool by_tls, NodeId node) const;

  std::set<std::string> tls_listeners_;
  bool controllers_by_tls_ = false;
  bool brokers_by_tls_ = false;
  bool clients_show_certificates_ = false;
  std::string cluster_;
  // Null where nothing is by TLS.
  std::shared_ptr<const rpc::Tls> tls_;
};

}  // namespace millrace::tools

#endif  // TOOLS_MILLRACE_PROCESS_SECURITY_H_
