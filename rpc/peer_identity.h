// Who is at the other end of a connection, and whether a call may come from there: the identity of
// a node as its certificate says it, and what a listener asks of those who call by it.
//
// The handshake has seen to it that a certificate is an authority's and its owner there. Whether
// one is needed, and whose, is decided here for each call, so that who is refused is told why.
//
// Thread: any (values).
// Source: Kafka's listener.security.protocol.map and ssl.client.auth.
#ifndef RPC_PEER_IDENTITY_H_
#define RPC_PEER_IDENTITY_H_

#include <map>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/ids.h"
#include "rpc/call_context.h"

namespace millrace::rpc {

// In the text of a handshake that failed for it: whoever tried to connect finds it there.
inline constexpr char kWrongCertificate[] = "wrong certificate";

struct NodeIdentity {
  std::string cluster;
  NodeId node = kNoNode;

  friend bool operator==(const NodeIdentity&, const NodeIdentity&) = default;
};

// "millrace://CLUSTER/node/", and with the id behind it.
std::string NodeUriPrefix(absl::string_view cluster);
std::string NodeUri(const NodeIdentity& identity);
// Empty if it is no such URI.
std::optional<NodeIdentity> ParseNodeUri(absl::string_view uri);

// What a listener asks of its callers.
struct ListenerSecurity {
  // Who may call by it.
  enum class Callers { kAnyone, kWithCertificate, kNodes };

  bool tls = false;
  // Beyond kAnyone: with tls only.
  Callers callers = Callers::kAnyone;

  friend bool operator==(const ListenerSecurity&, const ListenerSecurity&) = default;
};

// What a server asks of callers, by the names of its listeners.
struct CallPolicy {
  std::map<std::string, ListenerSecurity> listeners;
  // The name of the cluster that its nodes' certificates carry.
  std::string cluster;

  // Errors: AUTHORIZATION_FAILED, saying what was needed and what was found.
  absl::Status Check(const CallContext& context) const;
};

// Whether a caller who says that it is `claimed` has shown that node's certificate; on a connection
// in plaintext nothing is shown, and it is believed. `what`: "a follower".
// Errors: AUTHORIZATION_FAILED.
absl::Status CheckClaim(const CallContext& context, NodeId claimed, absl::string_view what);

}  // namespace millrace::rpc

#endif  // RPC_PEER_IDENTITY_H_
