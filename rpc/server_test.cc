#include "rpc/server.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "rpc/testing/echo_server.h"

namespace millrace::rpc {
namespace {

using testdata::EchoServer;
using testdata::EchoText;
using testdata::OpenLogged;
using testdata::StreamLog;
using testdata::Watched;

TEST(Server, NamesTheAddressThatIsInUse) {
  EchoServer first;
  const int port = first.server().listeners().front().port;
  const testdata::SteadyClock clock;
  MetricRegistry metrics;
  Server second({.listeners = {{.name = "CLIENTS", .host = "127.0.0.1", .port = port}}}, &clock,
                nullptr, &metrics);
  const absl::Status status = second.Start();
  EXPECT_THAT(status, HasCode(ErrorCode::kAddressInUse));
  EXPECT_EQ(DetailOf(status).value, first.address());
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr(first.address()));
}

TEST(Server, ServesSeveralListenersAndTellsThemApart) {
  EchoServer server({.listeners = {{.name = "A", .host = "127.0.0.1", .port = 0},
                                   {.name = "B", .host = "127.0.0.1", .port = 0}}});
  ASSERT_EQ(server.server().listeners().size(), 2u);
  ChannelPool channels{ChannelOptions{}};
  for (const ListenerAddress& listener : server.server().listeners()) {
    EXPECT_NE(listener.port, 0);
    std::promise<absl::Status> done;
    StartUnary(server.client(), channels.Get("x", HostPort("127.0.0.1", listener.port)),
               "/millrace.rpc.testdata.EchoService/Echo", EchoText("hi"), {},
               [&](absl::StatusOr<Bytes> response) { done.set_value(response.status()); });
    EXPECT_OK(done.get_future().get());
    EXPECT_EQ(server.last_context().Get().listener, listener.name);
  }
}

TEST(Server, ServesIpv6) {
  EchoServer server({.listeners = {{.name = "SIX", .host = "::1", .port = 0}}});
  ChannelPool channels{ChannelOptions{}};
  std::promise<absl::Status> done;
  StartUnary(server.client(),
             channels.Get("x", HostPort("::1", server.server().listeners().front().port)),
             "/millrace.rpc.testdata.EchoService/Echo", EchoText("hi"), {},
             [&](absl::StatusOr<Bytes> response) { done.set_value(response.status()); });
  EXPECT_OK(done.get_future().get());
  EXPECT_EQ(server.last_context().Get().listener, "SIX");
}

TEST(Server, MessageOverTheLimitFailsItsCallOnly) {
  Watched<StreamLog> log;
  EchoServer server({.receive_message_bytes_max = 1000});
  auto stream = OpenLogged(&server, "Chat", &log);
  stream->Write(EchoText("small"));
  ASSERT_TRUE(log.Wait([](const StreamLog& l) { return l.texts.size() == 1; }));

  const absl::Status status = server.Echo("Echo", std::string(2000, 'x')).status();
  EXPECT_THAT(status, HasCode(ErrorCode::kMessageTooLarge));
  EXPECT_THAT(server.Echo("RawEcho", std::string(2000, 'x')), HasCode(ErrorCode::kMessageTooLarge));
  // The stream on the same connection goes on.
  stream->Write(EchoText("small too"));
  EXPECT_TRUE(log.Wait([](const StreamLog& l) { return l.texts.size() == 2; }));

  stream->Write(EchoText(std::string(2000, 'x')));
  ASSERT_TRUE(log.Wait([](const StreamLog& l) { return l.done; }));
  EXPECT_THAT(log.Get().status, HasCode(ErrorCode::kMessageTooLarge));
}

TEST(Server, ShutdownEndsStreamsAndLetsCallsFinish) {
  Watched<StreamLog> log;
  EchoServer server;
  auto stream = OpenLogged(&server, "Chat", &log);
  stream->Write(EchoText("hello"));
  ASSERT_TRUE(log.Wait([](const StreamLog& l) { return l.texts.size() == 1; }));
  auto held = std::async([&] { return server.Echo("Echo", "never"); });
  ASSERT_TRUE(server.WaitForHeld(1));

  auto shutdown =
      std::async([&] { server.server().Shutdown(absl::FromChrono(testdata::kPatience)); });
  ASSERT_TRUE(log.Wait([](const StreamLog& l) { return l.done; }));
  EXPECT_THAT(log.Get().status, HasCode(ErrorCode::kShuttingDown));
  // The unary call is still answered.
  testdata::EchoResponse response;
  response.set_text("late");
  server.TakeHeld().front()(std::move(response));
  EXPECT_EQ(held.get().value_or("failed"), "late");
  shutdown.get();
}

TEST(Server, ShutdownCancelsWhatIsLeftAfterTheGrace) {
  EchoServer server;
  auto held = std::async([&] { return server.Echo("Echo", "never"); });
  ASSERT_TRUE(server.WaitForHeld(1));
  server.server().Shutdown(absl::Milliseconds(10));
  EXPECT_FALSE(held.get().ok());
  EXPECT_TRUE(server.cancelled().Wait([](int n) { return n == 1; }));
  // Answering into a server that is gone does nothing.
  server.server().StopQueues();
  auto replies = server.TakeHeld();
  replies.front()(testdata::EchoResponse());
}

TEST(Server, UnknownMethodIsUnsupported) {
  EchoServer server;
  EXPECT_THAT(server.Echo("NoSuchMethod", "x"), HasCode(ErrorCode::kUnsupportedVersion));
}

}  // namespace
}  // namespace millrace::rpc
