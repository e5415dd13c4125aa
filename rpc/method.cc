#include "rpc/method.h"

#include <grpc/grpc_security_constants.h>
#include <grpc/support/time.h>
#include <grpcpp/security/auth_context.h>

#include <optional>
#include <string>
#include <vector>

namespace millrace::rpc {
namespace {

// A deadline of gRPC's (wall clock) by our clock.
MonotonicTime ToMonotonic(gpr_timespec deadline, const Clock& clock) {
  if (gpr_time_cmp(deadline, gpr_inf_future(deadline.clock_type)) == 0) {
    return MonotonicTime::Never();
  }
  const gpr_timespec left = gpr_time_sub(deadline, gpr_now(deadline.clock_type));
  return clock.Now() + absl::Seconds(left.tv_sec) + absl::Nanoseconds(left.tv_nsec);
}

std::string Property(const grpc::AuthContext& context, const char* name) {
  const std::vector<grpc::string_ref> values = context.FindPropertyValues(name);
  return values.empty() ? std::string() : std::string(values[0].data(), values[0].size());
}

// What the handshake has found out.
void SetIdentity(const grpc::AuthContext& context, const CallPolicy& policy, CallContext* call) {
  call->encrypted = Property(context, GRPC_TRANSPORT_SECURITY_TYPE_PROPERTY_NAME) ==
                    GRPC_TLS_TRANSPORT_SECURITY_TYPE;
  if (!call->encrypted || !context.IsPeerAuthenticated()) return;
  call->certificate = Property(context, GRPC_X509_SUBJECT_PROPERTY_NAME);
  if (!call->certificate.empty()) call->principal.name = call->certificate;
  for (const grpc::string_ref& uri : context.FindPropertyValues(GRPC_PEER_URI_PROPERTY_NAME)) {
    const std::string text(uri.data(), uri.size());
    const std::optional<NodeIdentity> node = ParseNodeUri(text);
    if (!node.has_value()) continue;
    call->certificate = text;
    if (node->cluster == policy.cluster) call->node = node->node;
  }
}

}  // namespace

CallContext MakeCallContext(const grpc::ServerContext& context, const CallHost& host,
                            CompletionQueueExecutor* executor) {
  CallContext result;
  result.peer = context.peer();
  if (host.listener_of) result.listener = host.listener_of(result.peer);
  result.deadline = ToMonotonic(context.raw_deadline(), executor->clock());
  // Nobody shows anything to a server without TLS.
  if (!host.policy.listeners.empty()) {
    SetIdentity(*context.auth_context(), host.policy, &result);
  }
  // By TLS only a node may say so.
  result.forwarded = context.client_metadata().count(kForwardedKey) != 0 &&
                     (!result.encrypted || result.node != kNoNode);
  result.executor = executor;
  return result;
}

}  // namespace millrace::rpc
