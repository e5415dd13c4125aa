// The keys about TLS: which listeners take it, what this process shows, and whom nodes believe.
//
// A file of its own because the rules bind keys of several kinds: between the processes of a
// cluster nothing is said in plaintext beyond one machine, unless the config says so in as many
// words. What is done with it is rpc's (rpc/tls.h, rpc/peer_identity.h).
//
// Thread: any (pure functions).
// Source: KIP-103 (listener.security.protocol.map), KIP-651 (PEM files); Kafka's ssl.client.auth.
#ifndef NODE_LISTENER_SECURITY_H_
#define NODE_LISTENER_SECURITY_H_

#include "absl/status/status.h"
#include "base/config.h"
#include "node/config.h"

namespace millrace::node {

// Declares the keys.
void DeclareSecurity(ConfigSchema<NodeSettings>* schema);

// Fills in what NodeConfig says of TLS. REQUIRES: roles, voters and listeners are resolved.
// Errors: INVALID_CONFIG for a protocol that there is not; a name in the map that can only be a
// slip, or a listener that the map forgets; a listener with TLS and no files for it; a listener for
// other nodes in plaintext that other machines reach, without
// allow.plaintext.between.nodes.
absl::Status ResolveSecurity(NodeConfig* config);

}  // namespace millrace::node

#endif  // NODE_LISTENER_SECURITY_H_
