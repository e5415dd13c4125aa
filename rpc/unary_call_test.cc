#include "rpc/unary_call.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "rpc/testing/echo_server.h"

namespace millrace::rpc {
namespace {

using testdata::EchoResponse;
using testdata::EchoServer;

EchoResponse Text(const std::string& text) {
  EchoResponse response;
  response.set_text(text);
  return response;
}

TEST(UnaryCall, ParsedAndRawMethodsLiveInOneService) {
  EchoServer server;
  EXPECT_EQ(server.Echo("Echo", "typed").value_or("failed"), "typed");
  EXPECT_EQ(server.Echo("RawEcho", "raw").value_or("failed"), "raw");
  const std::string large(3 << 20, 'x');
  EXPECT_EQ(server.Echo("RawEcho", large).value_or("failed"), large);
}

TEST(UnaryCall, ContextSaysWhoCallsAndUntilWhen) {
  EchoServer server;
  const MonotonicTime before = server.clock().Now();
  ASSERT_OK(server.Echo("Echo", "x", {.timeout = absl::Seconds(5)}).status());
  const CallContext context = server.last_context().Get();
  EXPECT_THAT(context.peer, testing::StartsWith("ipv4:127.0.0.1:"));
  EXPECT_EQ(context.listener, "PLAINTEXT");
  EXPECT_EQ(context.principal, Principal());
  EXPECT_EQ(context.executor, server.server().queue(0));
  // Deadlines travel as a rounded timeout.
  EXPECT_GE(context.deadline, before + absl::Milliseconds(4500));
  EXPECT_LE(context.deadline, server.clock().Now() + absl::Milliseconds(5500));

  ASSERT_OK(server.Echo("Echo", "x", {.timeout = absl::InfiniteDuration()}).status());
  EXPECT_EQ(server.last_context().Get().deadline, MonotonicTime::Never());
}

TEST(UnaryCall, ErrorsArriveWithAllDetails) {
  EchoServer server;
  const absl::Status status = server.Echo("Echo", "fail").status();
  EXPECT_THAT(status, IsError(ErrorCode::kNotLeaderOrFollower, "not here: try there"));
  EXPECT_EQ(DetailOf(status), (ErrorDetail{.name = "topic",
                                           .value = "orders",
                                           .leader = LeaderHint{.leader = NodeId(3),
                                                                .leader_epoch = LeaderEpoch(7),
                                                                .address = "there:9092"}}));
}

TEST(UnaryCall, MayBeAnsweredLaterFromAnotherThread) {
  EchoServer server;
  auto answer = std::async([&] { return server.Echo("Echo", "never"); });
  ASSERT_TRUE(server.WaitForHeld(1));
  auto held = server.TakeHeld();
  EXPECT_FALSE(held[0].cancelled());
  held[0](Text("late"));
  EXPECT_EQ(answer.get().value_or("failed"), "late");
  EXPECT_EQ(server.cancelled().Get(), 0);
}

TEST(UnaryCall, DroppedReplyIsAnError) {
  EchoServer server;
  EXPECT_THAT(server.Echo("Echo", "drop"), HasCode(ErrorCode::kUnknownServerError));
}

TEST(UnaryCall, DeadlineCancelsTheHandler) {
  EchoServer server;
  EXPECT_THAT(server.Echo("Echo", "never", {.timeout = absl::Milliseconds(30)}),
              HasCode(ErrorCode::kRequestTimedOut));
  EXPECT_TRUE(server.cancelled().Wait([](int n) { return n == 1; }));
  auto held = server.TakeHeld();
  EXPECT_TRUE(held.at(0).cancelled());
  held[0](Text("nobody listens"));
}

TEST(UnaryCall, MoreCallsThanAreKeptReadyAreServed) {
  EchoServer server({.ready_calls_per_method = 2});
  std::vector<std::future<absl::StatusOr<std::string>>> answers;
  for (int i = 0; i < 20; ++i) {
    answers.push_back(std::async(std::launch::async, [&] { return server.Echo("Echo", "never"); }));
  }
  // All are with the handler at the same time.
  ASSERT_TRUE(server.WaitForHeld(20));
  for (auto& reply : server.TakeHeld()) reply(Text("x"));
  for (auto& answer : answers) EXPECT_OK(answer.get().status());
}

TEST(UnaryCall, RequestsWaitForTheBudgetAndCountWhileTheyLive) {
  MemoryBudget budget(1000);
  EchoServer server({}, ReadGate::Create(&budget));
  Reservation taken = budget.ReserveAlways(990);
  auto answer = std::async([&] { return server.Echo("RawEcho", std::string(500, 'x')); });
  // It does not get through while the budget is taken; that it is parked shows when it is freed.
  auto other = std::async([&] { return server.Echo("Echo", std::string(500, 'y')); });
  EXPECT_EQ(answer.wait_for(std::chrono::milliseconds(20)), std::future_status::timeout);
  taken.Release();
  EXPECT_OK(answer.get().status());
  EXPECT_OK(other.get().status());
}

}  // namespace
}  // namespace millrace::rpc
