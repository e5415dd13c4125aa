#include "rpc/channel_pool.h"

#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "rpc/listen_socket.h"
#include "rpc/testing/echo_server.h"
#include "rpc/testing/slow_link.h"

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

// One call after the other, until one is answered; each with what it asks the pool for.
absl::Status CallUntilAnswered(
    const std::function<std::shared_ptr<grpc::Channel>(MonotonicTime now)>& channel) {
  const testdata::SteadyClock clock;
  CompletionQueueExecutor executor(&clock, "client");
  const MonotonicTime end = clock.Now() + absl::Seconds(20);
  absl::Status status = absl::UnknownError("not asked");
  while (!status.ok() && clock.Now() < end) {
    std::promise<absl::Status> ended;
    StartUnary(&executor, channel(clock.Now()), "/millrace.rpc.testdata.EchoService/Echo", {}, {},
               [&](absl::StatusOr<Bytes> answer) { ended.set_value(answer.status()); });
    status = ended.get_future().get();
  }
  executor.Shutdown();
  return status;
}

TEST(ChannelPool, AWayOnWhichConnectingTakesLongIsFoundInTheEnd) {
  testdata::EchoServer server;
  testdata::SlowLink link(server.server().listeners().front().port, absl::Milliseconds(1200));
  ChannelPool pool{ChannelOptions{}};
  EXPECT_OK(CallUntilAnswered(
      [&](MonotonicTime now) { return pool.GetGrowing("data", link.address(), now); }));
  // What has helped stays.
  const testdata::SteadyClock clock;
  const auto channel = pool.GetGrowing("data", link.address(), clock.Now());
  EXPECT_EQ(pool.GetGrowing("data", link.address(), clock.Now() + absl::Hours(1)), channel);
}

TEST(ChannelPool, AttemptsGrowOnlyWhereTheirTimeWasNotEnough) {
  const auto silent = Listen({.name = "SILENT", .host = "127.0.0.1", .port = 0});
  ASSERT_OK(silent);
  const std::string address = HostPort("127.0.0.1", silent->front().address.port);
  ChannelPool pool{ChannelOptions{}};
  MonotonicTime now = MonotonicTime::FromNanos(1'000'000'000);
  auto channel = pool.GetGrowing("data", address, now);
  // Idle: its time has not begun.
  now = now + absl::Hours(1);
  EXPECT_EQ(pool.GetGrowing("data", address, now), channel);
  std::vector<int64_t> times_ms;
  for (int i = 0; i < 7; ++i) {
    channel->GetState(/*try_to_connect=*/true);
    ASSERT_TRUE(channel->WaitForStateChange(
        GRPC_CHANNEL_IDLE, std::chrono::system_clock::now() + testdata::kPatience));
    const MonotonicTime began = now;
    auto next = channel;
    while (next == channel) {
      now = now + absl::Milliseconds(10);
      next = pool.GetGrowing("data", address, now);
    }
    times_ms.push_back(absl::ToInt64Milliseconds(now - began));
    channel = next;
  }
  // The last one begins anew.
  EXPECT_THAT(times_ms, testing::ElementsAre(450, 900, 1800, 3600, 7200, 9000, 450));
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
