#include "rpc/parsed_call.h"

#include <future>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "rpc/testing/echo_server.h"

namespace millrace::rpc {
namespace {

using testdata::EchoResponse;
using testdata::EchoServer;

TEST(ParsedCall, AMalformedRequestIsAnsweredWithWhatIsWrong) {
  EchoServer server;
  std::promise<absl::Status> done;
  StartUnary(server.client(), server.Channel(), "/millrace.rpc.testdata.EchoService/Echo",
             {Bytes::Copy("\xff\xff\xff")}, {},
             [&](absl::StatusOr<Bytes> response) { done.set_value(response.status()); });
  const absl::Status status = done.get_future().get();
  EXPECT_THAT(status, IsError(ErrorCode::kInvalidRequest, "EchoRequest cannot be parsed"));
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(DetailOf(status).name, "millrace.rpc.testdata.EchoRequest");
  EXPECT_OK(server.Echo("Echo", "still there").status());
}

TEST(ParsedCall, TheRequestCountsAgainstTheBudgetUntilItIsAnswered) {
  MemoryBudget budget(1 << 20);
  EchoServer server({}, ReadGate::Create(&budget));
  auto answer = std::async(std::launch::async, [&] { return server.Echo("Echo", "never"); });
  ASSERT_TRUE(server.WaitForHeld(1));
  EXPECT_GT(budget.used_bytes(), 0);
  EchoResponse response;
  response.set_text("late");
  server.TakeHeld().at(0)(std::move(response));
  EXPECT_EQ(answer.get().value_or("failed"), "late");
}

}  // namespace
}  // namespace millrace::rpc
