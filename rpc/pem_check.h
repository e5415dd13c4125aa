// What can be said of a PEM file before a handshake needs it: whether a key store or a trust store
// is whole and good, and what its certificate says.
//
// gRPC takes whatever it is given, and fails each handshake with it: so every file is asked here
// first. The library that makes the handshakes answers, with its own limits on what is too weak.
//
// Thread: any (pure functions).
// Source: RFC 7468 (PEM), RFC 5280 (certificates).
#ifndef RPC_PEM_CHECK_H_
#define RPC_PEM_CHECK_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/monotonic_time.h"

namespace millrace::rpc {

// What the certificate of a key store says.
struct CertificateFacts {
  // "CN=node-1,O=Example".
  std::string subject;
  // Subject alternative names that are URIs, as the names of nodes are.
  std::vector<std::string> uris;
  // From then on nobody believes it.
  WallTime expires;
};

// All messages go on after the name of the file: "holds no private key: ...".

// A private key without a password, the certificate of that key, valid at `now`, and any others
// that stand between it and an authority: of those it is only asked that they can be read, since
// who connects may need none of them.
// Errors: INVALID_CONFIG.
absl::StatusOr<CertificateFacts> CheckKeystore(const std::string& pem, WallTime now);

// Certificates, at least one of them valid at `now`: old authorities may stand beside new ones.
// Errors: INVALID_CONFIG.
absl::Status CheckTruststore(const std::string& pem, WallTime now);

// Whether those who believe `truststore`, and it alone, believe `keystore`, both as who connects
// and as who is connected to. REQUIRES: both are good.
// Errors: INVALID_CONFIG.
absl::Status CheckBelieved(const std::string& keystore, const std::string& truststore,
                           WallTime now);

// "2027-01-31T12:00:00Z".
std::string UtcTime(WallTime time);

}  // namespace millrace::rpc

#endif  // RPC_PEM_CHECK_H_
