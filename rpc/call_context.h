// CallContext: who calls, from where and until when; every inbound call carries one.
//
// Thread: any (a value).
#ifndef RPC_CALL_CONTEXT_H_
#define RPC_CALL_CONTEXT_H_

#include <string>

#include "base/executor.h"
#include "base/ids.h"
#include "base/monotonic_time.h"

namespace millrace::rpc {

// On whose behalf a call acts. Until listeners authenticate, everyone is User:ANONYMOUS.
struct Principal {
  std::string type = "User";
  std::string name = "ANONYMOUS";

  friend bool operator==(const Principal&, const Principal&) = default;
};

// The metadata key that marks a call as forwarded; its value is "1".
inline constexpr char kForwardedKey[] = "millrace-forwarded";

struct CallContext {
  // gRPC's form, "ipv4:127.0.0.1:40112": names the connection as long as that lives.
  std::string peer;
  // Name of the listener the connection came in by; empty if it is gone already.
  std::string listener;
  Principal principal;
  // What the caller has shown is not to be read or changed on its way.
  bool encrypted = false;
  // Of the caller: the URI of a node, or a subject; empty if it showed none.
  std::string certificate;
  // Of this cluster, by its certificate.
  NodeId node = kNoNode;
  // By the server's clock; Never() if the client set none.
  MonotonicTime deadline = MonotonicTime::Never();
  // Another node of the cluster passed it on: it is answered here, and not passed on again (S-40).
  bool forwarded = false;
  // Where the handler runs, and where its call lives.
  Executor* executor = nullptr;
};

}  // namespace millrace::rpc

#endif  // RPC_CALL_CONTEXT_H_
