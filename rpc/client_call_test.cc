#include "rpc/client_call.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "rpc/testing/echo_server.h"

namespace millrace::rpc {
namespace {

using testdata::EchoServer;
using testdata::EchoText;
using testdata::OpenLogged;
using testdata::SteadyClock;
using testdata::StreamLog;
using testdata::Watched;

constexpr char kEcho[] = "/millrace.rpc.testdata.EchoService/Echo";
constexpr char kChat[] = "/millrace.rpc.testdata.EchoService/Chat";

// The address of a port on which nobody listens.
std::string DeadAddress() {
  auto sockets = Listen({.name = "x", .host = "127.0.0.1", .port = 0});
  return HostPort("127.0.0.1", sockets->front().address.port);
}

TEST(ClientCall, UnreachableServerFailsAtOnce) {
  const SteadyClock clock;
  CompletionQueueExecutor executor(&clock, "client");
  ChannelPool channels{ChannelOptions{}};
  std::promise<absl::Status> done;
  StartUnary(&executor, channels.Get("x", DeadAddress()), kEcho, EchoText("x"), {},
             [&](absl::StatusOr<Bytes> response) { done.set_value(response.status()); });
  const absl::Status status = done.get_future().get();
  EXPECT_THAT(status, HasCode(ErrorCode::kBrokerNotAvailable));
  EXPECT_EQ(DeliveryOf(status), Delivery::kNotSent);
}

TEST(ClientCall, AnErrorThatTheServerGaveIsItsAnswer) {
  EchoServer server;
  std::promise<absl::Status> done;
  StartUnary(server.client(), server.Channel(), kEcho, EchoText("fail"), {},
             [&](absl::StatusOr<Bytes> response) { done.set_value(response.status()); });
  EXPECT_EQ(DeliveryOf(done.get_future().get()), Delivery::kAnswered);
  std::promise<absl::Status> unknown;
  StartUnary(server.client(), server.Channel(), "/millrace.rpc.testdata.EchoService/Nope", {}, {},
             [&](absl::StatusOr<Bytes> response) { unknown.set_value(response.status()); });
  EXPECT_EQ(DeliveryOf(unknown.get_future().get()), Delivery::kAnswered);
}

TEST(ClientCall, AConnectionThatBreaksLeavesTheOutcomeUnknown) {
  auto server = std::make_unique<EchoServer>();
  const SteadyClock clock;
  CompletionQueueExecutor executor(&clock, "client");
  ChannelPool channels{ChannelOptions{}};
  std::promise<absl::Status> done;
  StartUnary(&executor, channels.Get("x", server->address()), kEcho, EchoText("never"), {},
             [&](absl::StatusOr<Bytes> response) { done.set_value(response.status()); });
  ASSERT_TRUE(server->WaitForHeld(1));
  server.reset();
  EXPECT_EQ(DeliveryOf(done.get_future().get()), Delivery::kUnknown);
}

TEST(ClientCall, AForwardedCallIsMarkedAsSuch) {
  EchoServer server;
  EXPECT_OK(server.Echo("Echo", "x"));
  EXPECT_FALSE(server.last_context().Get().forwarded);
  EXPECT_OK(server.Echo("Echo", "x", {.forwarded = true}));
  EXPECT_TRUE(server.last_context().Get().forwarded);
}

TEST(ClientCall, UnreachableServerEndsAStream) {
  const SteadyClock clock;
  CompletionQueueExecutor executor(&clock, "client");
  ChannelPool channels{ChannelOptions{}};
  Watched<StreamLog> log;
  auto stream = StartStream(&executor, channels.Get("x", DeadAddress()), kChat, {},
                            [&](std::shared_ptr<ClientStream>) {
                              return std::make_unique<testdata::LoggingStreamHandler>(&log);
                            });
  stream->Write(EchoText("x"));
  ASSERT_TRUE(log.Wait([](const StreamLog& l) { return l.done; }));
  EXPECT_THAT(log.Get().status, HasCode(ErrorCode::kBrokerNotAvailable));
  // What comes after the end is dropped.
  stream->Write(EchoText("y"));
  stream->WritesDone();
  stream->Cancel();
}

TEST(ClientCall, CancelEndsAUnaryCall) {
  EchoServer server;
  std::promise<absl::Status> done;
  auto call =
      StartUnary(server.client(), server.Channel(), kEcho, EchoText("never"), {},
                 [&](absl::StatusOr<Bytes> response) { done.set_value(response.status()); });
  ASSERT_TRUE(server.WaitForHeld(1));
  call->Cancel();
  EXPECT_THAT(done.get_future().get(), HasCode(ErrorCode::kCancelled));
  EXPECT_TRUE(server.cancelled().Wait([](int n) { return n == 1; }));
}

TEST(ClientCall, CancelEndsAPausedStream) {
  Watched<StreamLog> log;
  EchoServer server;
  auto stream = OpenLogged(&server, "Chat", &log);
  server.client()->Post([&] { stream->PauseReading(); });
  stream->Cancel();
  ASSERT_TRUE(log.Wait([](const StreamLog& l) { return l.done; }));
  EXPECT_THAT(log.Get().status, HasCode(ErrorCode::kCancelled));
}

TEST(ClientCall, ExecutorsShutdownEndsItsCalls) {
  Watched<StreamLog> log;
  EchoServer server;
  CompletionQueueExecutor executor(&server.clock(), "client");
  auto stream =
      StartStream(&executor, server.Channel(), kChat, {.timeout = absl::InfiniteDuration()},
                  [&](std::shared_ptr<ClientStream>) {
                    return std::make_unique<testdata::LoggingStreamHandler>(&log);
                  });
  stream->Write(EchoText("x"));
  ASSERT_TRUE(log.Wait([](const StreamLog& l) { return l.texts.size() == 1; }));
  std::promise<absl::Status> done;
  StartUnary(&executor, server.Channel(), kEcho, EchoText("never"), {},
             [&](absl::StatusOr<Bytes> response) { done.set_value(response.status()); });
  ASSERT_TRUE(server.WaitForHeld(1));
  executor.Shutdown();
  EXPECT_FALSE(done.get_future().get().ok());
  EXPECT_TRUE(log.Get().done);
  // Handles that outlive the executor are harmless.
  stream->Write(EchoText("y"));
  stream->Cancel();
}

TEST(ClientCall, MessagesMayBeWrittenInsideTheFactory) {
  Watched<StreamLog> log;
  EchoServer server;
  StartStream(server.client(), server.Channel(), kChat, {},
              [&](std::shared_ptr<ClientStream> stream) {
                stream->Write(EchoText("first"));
                stream->WritesDone();
                return std::make_unique<testdata::LoggingStreamHandler>(&log);
              });
  ASSERT_TRUE(log.Wait([](const StreamLog& l) { return l.done; }));
  EXPECT_THAT(log.Get().texts, testing::ElementsAre("first"));
}

TEST(ClientCall, WaitForReadySurvivesALateServer) {
  const std::string address = DeadAddress();
  const int port = std::stoi(address.substr(address.rfind(':') + 1));
  const SteadyClock clock;
  CompletionQueueExecutor executor(&clock, "client");
  ChannelPool channels{ChannelOptions{}};
  std::promise<absl::Status> done;
  StartUnary(&executor, channels.Get("x", address), kEcho, EchoText("x"), {.wait_for_ready = true},
             [&](absl::StatusOr<Bytes> response) { done.set_value(response.status()); });
  EchoServer server({.listeners = {{.name = "A", .host = "127.0.0.1", .port = port}}});
  EXPECT_OK(done.get_future().get());
}

}  // namespace
}  // namespace millrace::rpc
