#include "rpc/channel_pool.h"

#include <future>
#include <string>

#include "base/status_matchers.h"
#include "gtest/gtest.h"
#include "rpc/listen_socket.h"
#include "rpc/testing/echo_server.h"

namespace millrace::rpc {
namespace {

TEST(ChannelPool, OneChannelPerPurposeAndAddress) {
  ChannelPool pool{ChannelOptions{}};
  const auto channel = pool.Get("data", "h:1");
  EXPECT_EQ(pool.Get("data", "h:1"), channel);
  EXPECT_NE(pool.Get("heartbeat", "h:1"), channel);
  EXPECT_NE(pool.Get("data", "h:2"), channel);
  EXPECT_NE(pool.Get("data", "h:1", absl::Seconds(2)), channel);
}

TEST(ChannelPool, DropForgetsOnlyThatAddress) {
  ChannelPool pool{ChannelOptions{}};
  const auto a = pool.Get("data", "h:1");
  const auto slow = pool.Get("data", "h:1", absl::Seconds(2));
  const auto b = pool.Get("data", "h:10");
  pool.Drop("h:1");
  EXPECT_NE(pool.Get("data", "h:1"), a);
  EXPECT_NE(pool.Get("data", "h:1", absl::Seconds(2)), slow);
  EXPECT_EQ(pool.Get("data", "h:10"), b);
}

// A listener that never says anything: how long an attempt takes until it has failed.
absl::Duration TimeUntilUnreachable(absl::Duration connect_timeout) {
  const auto silent = Listen({.name = "SILENT", .host = "127.0.0.1", .port = 0});
  EXPECT_OK(silent);
  const testdata::SteadyClock clock;
  CompletionQueueExecutor executor(&clock, "client");
  ChannelPool pool{ChannelOptions{}};
  const std::string address = HostPort("127.0.0.1", silent->front().address.port);
  const auto channel = connect_timeout == absl::ZeroDuration()
                           ? pool.Get("data", address)
                           : pool.Get("data", address, connect_timeout);
  const MonotonicTime began = clock.Now();
  std::promise<absl::Status> ended;
  StartUnary(&executor, channel, "/millrace.rpc.testdata.EchoService/Echo", {}, {},
             [&](absl::StatusOr<Bytes> answer) { ended.set_value(answer.status()); });
  EXPECT_THAT(ended.get_future().get(), HasCode(ErrorCode::kBrokerNotAvailable));
  executor.Shutdown();
  return clock.Now() - began;
}

TEST(ChannelPool, AnAttemptToConnectHasTheTimeThatItIsGiven) {
  const absl::Duration usual = TimeUntilUnreachable(absl::ZeroDuration());
  EXPECT_GE(usual, absl::Milliseconds(400));
  EXPECT_GE(TimeUntilUnreachable(usual * 2), usual * 2 - absl::Milliseconds(100));
}

TEST(ChannelPool, PurposesDoNotShareAConnection) {
  testdata::Watched<testdata::StreamLog> logs[2];
  testdata::EchoServer server;
  auto one = testdata::OpenLogged(&server, "Chat", &logs[0], {}, "data");
  auto two = testdata::OpenLogged(&server, "Chat", &logs[1], {}, "heartbeat");
  for (auto& stream : {one, two}) stream->Write(testdata::EchoText("x"));
  for (auto& log : logs) {
    ASSERT_TRUE(log.Wait([](const testdata::StreamLog& l) { return l.texts.size() == 1; }));
  }
  EXPECT_EQ(server.server().open_connections(), 2);
}

}  // namespace
}  // namespace millrace::rpc
