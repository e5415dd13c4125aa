#include "rpc/acceptor.h"

#include <arpa/inet.h>
#include <sys/socket.h>

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

// `from`: the port of this side; 0: any.
FileDescriptor Connect(int port, int from = 0) {
  FileDescriptor fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (from != 0) {
    sockaddr_in own{};
    own.sin_family = AF_INET;
    own.sin_port = htons(static_cast<uint16_t>(from));
    own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(bind(fd.get(), reinterpret_cast<sockaddr*>(&own), sizeof(own)), 0);
  }
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  timeval patience{.tv_sec = testdata::kPatience.count(), .tv_usec = 0};
  setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  return fd;
}

int PortOf(EchoServer& server) { return server.server().listeners().front().port; }

// Whether the server closes the connection, rather than greeting with its HTTP/2 settings.
bool IsRefused(const FileDescriptor& fd) {
  char byte = 0;
  return recv(fd.get(), &byte, 1, 0) <= 0;
}

bool WaitForOpen(EchoServer& server, int64_t count) {
  const auto deadline = std::chrono::steady_clock::now() + testdata::kPatience;
  while (server.server().open_connections() != count) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::yield();
  }
  return true;
}

double Metric(EchoServer& server, const std::string& name, const std::string& label = "") {
  for (const MetricSample& sample : server.metrics().Collect()) {
    if (sample.name == name && (label.empty() || sample.labels.front().second == label)) {
      return sample.value;
    }
  }
  return -1;
}

TEST(Acceptor, CountsConnectionsUntilTheyEnd) {
  EchoServer server;
  const FileDescriptor kept = Connect(PortOf(server));
  {
    const FileDescriptor closed = Connect(PortOf(server));
    EXPECT_FALSE(IsRefused(closed));
    ASSERT_TRUE(WaitForOpen(server, 2));
  }
  // The client hung up: gRPC notices, shuts its side down, and our duplicate tells.
  EXPECT_TRUE(WaitForOpen(server, 1));
  EXPECT_EQ(Metric(server, "millrace_connections"), 1);
  EXPECT_EQ(Metric(server, "millrace_connections_accepted_total"), 2);
}

TEST(Acceptor, CountsAConnectionThatTheServerEnds) {
  // A client that says nothing is given up after the handshake timeout.
  EchoServer server({.handshake_timeout = absl::Milliseconds(50)});
  const FileDescriptor silent = Connect(PortOf(server));
  ASSERT_TRUE(WaitForOpen(server, 1));
  EXPECT_TRUE(WaitForOpen(server, 0));
}

TEST(Acceptor, RefusesAboveTheLimitAndCountsIt) {
  EchoServer server({.connection_limits = {.connections_max = 1}});
  {
    const FileDescriptor first = Connect(PortOf(server));
    EXPECT_FALSE(IsRefused(first));
    EXPECT_TRUE(IsRefused(Connect(PortOf(server))));
    EXPECT_EQ(Metric(server, "millrace_connections_refused_total", "max.connections"), 1);
  }
  ASSERT_TRUE(WaitForOpen(server, 0));
  EXPECT_FALSE(IsRefused(Connect(PortOf(server))));
}

TEST(Acceptor, RefusesAboveTheLimitPerAddress) {
  EchoServer server({.connection_limits = {.connections_per_address_max = 1}});
  const FileDescriptor first = Connect(PortOf(server));
  EXPECT_FALSE(IsRefused(first));
  EXPECT_TRUE(IsRefused(Connect(PortOf(server))));
  EXPECT_EQ(Metric(server, "millrace_connections_refused_total", "max.connections.per.ip"), 1);
}

TEST(Acceptor, TakesOtherLimitsWhileItRuns) {
  EchoServer server;
  const FileDescriptor first = Connect(PortOf(server));
  EXPECT_FALSE(IsRefused(first));
  server.server().SetConnectionLimits({.connections_max = 1});
  EXPECT_TRUE(IsRefused(Connect(PortOf(server))));
  server.server().SetConnectionLimits({.connections_max = 2});
  EXPECT_FALSE(IsRefused(Connect(PortOf(server))));
}

// A call names the address and port of its client, and nothing else of its connection.
TEST(Acceptor, OnePeerIsLetInByOneListenerAtATime) {
  EchoServer server({.listeners = {{.name = "A", .host = "127.0.0.1", .port = 0},
                                   {.name = "B", .host = "127.0.0.1", .port = 0}}});
  const auto& listeners = server.server().listeners();
  FileDescriptor by_a = Connect(listeners[0].port);
  EXPECT_FALSE(IsRefused(by_a));
  sockaddr_in own{};
  socklen_t length = sizeof(own);
  ASSERT_EQ(getsockname(by_a.get(), reinterpret_cast<sockaddr*>(&own), &length), 0);
  const int port = ntohs(own.sin_port);
  EXPECT_TRUE(IsRefused(Connect(listeners[1].port, port)));
  EXPECT_FALSE(IsRefused(Connect(listeners[1].port)));
  ASSERT_TRUE(WaitForOpen(server, 1)) << "only that of A is left";
}

TEST(Acceptor, CreationRateDelaysAndDoesNotRefuse) {
  EchoServer server({.connection_limits = {.creations_per_second_max = 20}});
  const auto start = std::chrono::steady_clock::now();
  std::vector<FileDescriptor> connections;
  // One second's worth at once, and four more at 20 per second.
  for (int i = 0; i < 24; ++i) connections.push_back(Connect(PortOf(server)));
  ASSERT_TRUE(WaitForOpen(server, 24));
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(190));
  for (const FileDescriptor& connection : connections) EXPECT_FALSE(IsRefused(connection));
}

// KIP-402: brokers reach each other although clients hold all connections.
TEST(Acceptor, AnExemptListenerTakesConnectionsAlthoughAnotherHasReachedTheLimit) {
  EchoServer server(
      {.listeners =
           {{.name = "CLIENTS", .host = "127.0.0.1", .port = 0},
            {.name = "BROKERS", .host = "127.0.0.1", .port = 0, .exempt_from_limits = true}},
       .connection_limits = {.connections_max = 1}});
  const auto& listeners = server.server().listeners();
  const FileDescriptor client = Connect(listeners[0].port);
  EXPECT_FALSE(IsRefused(client));
  EXPECT_TRUE(IsRefused(Connect(listeners[0].port)));
  const FileDescriptor first = Connect(listeners[1].port);
  const FileDescriptor second = Connect(listeners[1].port);
  EXPECT_FALSE(IsRefused(first));
  EXPECT_FALSE(IsRefused(second));
  EXPECT_EQ(server.server().open_connections(), 3) << "they are counted";
  EXPECT_EQ(Metric(server, "millrace_connections_refused_total", "max.connections"), 1);
}

TEST(Acceptor, TheCreationRateOfOtherListenersDoesNotDelayAnExemptOne) {
  // One at once, and the next after a quarter of an hour.
  EchoServer server(
      {.listeners =
           {{.name = "CLIENTS", .host = "127.0.0.1", .port = 0},
            {.name = "BROKERS", .host = "127.0.0.1", .port = 0, .exempt_from_limits = true}},
       .connection_limits = {.creations_per_second_max = 0.001}});
  const auto& listeners = server.server().listeners();
  const FileDescriptor client = Connect(listeners[0].port);
  EXPECT_FALSE(IsRefused(client));
  const FileDescriptor waits = Connect(listeners[0].port);
  const FileDescriptor first = Connect(listeners[1].port);
  const FileDescriptor second = Connect(listeners[1].port);
  EXPECT_FALSE(IsRefused(first));
  EXPECT_FALSE(IsRefused(second));
  EXPECT_EQ(server.server().open_connections(), 3) << "one waits in the backlog";
}

TEST(Acceptor, RefusedClientsDoNotDisturbOthers) {
  Watched<StreamLog> log;
  EchoServer server({.connection_limits = {.connections_max = 1}});
  auto stream = OpenLogged(&server, "Chat", &log);
  stream->Write(EchoText("a"));
  ASSERT_TRUE(log.Wait([](const StreamLog& l) { return l.texts.size() == 1; }));
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(IsRefused(Connect(PortOf(server))));
  stream->Write(EchoText("b"));
  EXPECT_TRUE(log.Wait([](const StreamLog& l) { return l.texts.size() == 2; }));
}

}  // namespace
}  // namespace millrace::rpc
