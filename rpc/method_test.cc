#include "rpc/method.h"

#include "gtest/gtest.h"
#include "rpc/testing/echo_server.h"

namespace millrace::rpc {
namespace {

// A context that never belonged to a call has gRPC's far-future deadline; those of real calls are
// tested in unary_call_test.cc.
TEST(Method, ContextWithoutDeadlineNeverExpires) {
  const testdata::SteadyClock clock;
  CompletionQueueExecutor executor(&clock, "test");
  grpc::ServerContext context;
  const CallContext result = MakeCallContext(context, CallHost{}, &executor);
  EXPECT_EQ(result.deadline, MonotonicTime::Never());
  EXPECT_EQ(result.executor, &executor);
  EXPECT_EQ(result.principal, (Principal{.type = "User", .name = "ANONYMOUS"}));
  EXPECT_EQ(result.listener, "");
}

}  // namespace
}  // namespace millrace::rpc
