#include "rpc/method.h"

#include <grpc/support/time.h>

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

}  // namespace

CallContext MakeCallContext(const grpc::ServerContext& context, const CallHost& host,
                            CompletionQueueExecutor* executor) {
  CallContext result;
  result.peer = context.peer();
  if (host.listener_of) result.listener = host.listener_of(result.peer);
  result.deadline = ToMonotonic(context.raw_deadline(), executor->clock());
  result.forwarded = context.client_metadata().count(kForwardedKey) != 0;
  result.executor = executor;
  return result;
}

}  // namespace millrace::rpc
