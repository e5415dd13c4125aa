// ClientSecurity: how a client connects to its servers: in plaintext, or by TLS and as whom.
//
// Thread: any (values).
// Source: Kafka's security.protocol; KIP-651 (PEM files).
#ifndef CLIENT_CLIENT_SECURITY_H_
#define CLIENT_CLIENT_SECURITY_H_

#include <grpcpp/security/credentials.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace millrace::client {

struct ClientSecurity {
  // "PLAINTEXT" or "SSL".
  std::string protocol = "PLAINTEXT";
  // PEM file: the authorities that are believed. Empty: those of the system.
  std::string truststore = {};
  // PEM file: a private key, its certificate and the chain of that. Empty: no certificate is shown.
  std::string keystore = {};
};

// What connections are made with; null for plaintext. Errors: INVALID_CONFIG naming the file that
// cannot be read or is not what it should be, or the protocol.
absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> MakeCredentials(
    const ClientSecurity& security);

}  // namespace millrace::client

#endif  // CLIENT_CLIENT_SECURITY_H_
