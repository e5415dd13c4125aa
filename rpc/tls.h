// Tls: what this process shows of itself on encrypted connections, and whom it believes; gRPC's TLS
// over two PEM files.
//
// Clients know a server by its name, as on the web. Nodes of a cluster know each other by a URI
// that an authority has put into their certificates, "millrace://CLUSTER/node/ID": under which name
// or address they are found does not matter. A node's files are read again every minute, so that
// certificates are renewed without a restart, and what is wrong with them is found before a
// handshake needs them (certificate_files.h). Not here: who may call what (peer_identity.h).
//
// Thread: any; immutable but for what is counted. What is read again is so by a thread of its own.
// Source: RFC 5280 (subject alternative names), SPIFFE (identity as a URI); Kafka's KIP-651 (PEM).
#ifndef RPC_TLS_H_
#define RPC_TLS_H_

#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/security/tls_certificate_provider.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/counters.h"
#include "base/ids.h"
#include "rpc/certificate_files.h"

namespace millrace::rpc {

// Whom a channel between nodes must reach.
struct ExpectedNode {
  std::string cluster;
  // kNoNode: any node of the cluster.
  NodeId node = kNoNode;
};

struct TlsRenewal {
  // How often the files are read again.
  absl::Duration checked_every = absl::Seconds(50);
  // And how often gRPC looks for what that has found; whole seconds, at least one. Both together
  // are the minute in which a new file is in use.
  absl::Duration handed_on_every = absl::Seconds(10);
  // The URI that other nodes know this one by; empty: there are none.
  std::string own_uri = {};
  // Null: the system's.
  const Clock* clock = nullptr;
};

class Tls {
 public:
  // Reads the files, once.
  // Errors: INVALID_CONFIG naming the key, the file and what is wrong with it: it cannot be read,
  // is no PEM of what it should be or not whole, its key does not fit, its certificate has expired.
  static absl::StatusOr<std::shared_ptr<const Tls>> Create(const TlsFiles& files);

  // As Create, and reads them again; of what is wrong later the log and the metrics tell.
  // REQUIRES: a keystore.
  static absl::StatusOr<std::shared_ptr<const Tls>> CreateRenewed(const TlsFiles& files,
                                                                  const TlsRenewal& renewal);

  // Asks clients for a certificate, believes none but those of the authorities, and takes clients
  // without one: what those may do is decided for each call. REQUIRES: a keystore.
  std::shared_ptr<grpc::ServerCredentials> ForServer() const;
  // To a server whose certificate has the name or address that it was found by. REQUIRES: files are
  // not read again.
  std::shared_ptr<grpc::ChannelCredentials> ForServersByName() const;
  // To a node. A connection to another one fails with what was expected and found.
  std::shared_ptr<grpc::ChannelCredentials> ForNode(const ExpectedNode& expected) const;

  // A connection of a server's begins with a handshake.
  void CountHandshake() const;

  // Serves what there is to know of the files and of servers' handshakes. `metrics` may outlive
  // this.
  void AddMetrics(MetricRegistry* metrics) const;

 private:
  // What gRPC's side refers to as well, which may live longer.
  class Shared;

  Tls(std::shared_ptr<Shared> shared,
      std::shared_ptr<grpc::experimental::CertificateProviderInterface> provider);
  static absl::StatusOr<std::shared_ptr<Shared>> Open(const TlsFiles& files,
                                                      const TlsRenewal& renewal);

  const std::shared_ptr<Shared> shared_;
  const std::shared_ptr<grpc::experimental::CertificateProviderInterface> provider_;
};

}  // namespace millrace::rpc

#endif  // RPC_TLS_H_
