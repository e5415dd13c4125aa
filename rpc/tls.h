// Tls: what this process shows of itself on encrypted connections, and whom it believes; gRPC's TLS
// over two PEM files.
//
// Clients know a server by its name, as on the web. Nodes of a cluster know each other by a URI
// that an authority has put into their certificates, "millrace://CLUSTER/node/ID": under which name
// or address they are found does not matter. A node's files are read again every minute, so that
// certificates are renewed without a restart. Not here: who may call what (peer_identity.h).
//
// Thread: any; immutable.
// Source: RFC 5280 (subject alternative names), SPIFFE (identity as a URI); Kafka's KIP-651 (PEM).
#ifndef RPC_TLS_H_
#define RPC_TLS_H_

#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/security/tls_certificate_provider.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "base/ids.h"

namespace millrace::rpc {

struct TlsFiles {
  // A private key, its certificate and what stands between that and an authority. Empty: nothing is
  // shown, as most clients do; a server needs it.
  std::string keystore;
  // Certificates of the authorities that are believed. Empty: those of the system, for a client; a
  // server then asks its clients for no certificate.
  std::string truststore;
};

// Whom a channel between nodes must reach.
struct ExpectedNode {
  std::string cluster;
  // kNoNode: any node of the cluster.
  NodeId node = kNoNode;
};

class Tls {
 public:
  // Reads the files. `renews`: they are read again every minute. Errors: INVALID_CONFIG naming the
  // key and the file that cannot be read or holds no PEM of what it should.
  static absl::StatusOr<std::shared_ptr<const Tls>> Create(const TlsFiles& files, bool renews);

  // Asks clients for a certificate, believes none but those of the authorities, and takes clients
  // without one: what those may do is decided for each call. REQUIRES: a keystore.
  std::shared_ptr<grpc::ServerCredentials> ForServer() const;
  // To a server whose certificate has the name or address that it was found by.
  std::shared_ptr<grpc::ChannelCredentials> ForServersByName() const;
  // To a node. A connection to another one fails with what was expected and found.
  std::shared_ptr<grpc::ChannelCredentials> ForNode(const ExpectedNode& expected) const;

 private:
  Tls(TlsFiles files, std::shared_ptr<grpc::experimental::CertificateProviderInterface> provider)
      : files_(std::move(files)), provider_(std::move(provider)) {}

  const TlsFiles files_;
  const std::shared_ptr<grpc::experimental::CertificateProviderInterface> provider_;
};

}  // namespace millrace::rpc

#endif  // RPC_TLS_H_
