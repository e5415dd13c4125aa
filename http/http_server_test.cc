#include "http/http_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::http {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

// A connected socket to the local port; -1 if there is none.
int Connect(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0) return fd;
  close(fd);
  return -1;
}

// The whole answer to one request, or what came of it before it stood still for `timeout_s`.
std::string Request(int port, const std::string& method, const std::string& path,
                    int timeout_s = 60) {
  const int fd = Connect(port);
  const timeval timeout{.tv_sec = timeout_s, .tv_usec = 0};
  EXPECT_EQ(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)), 0);
  const std::string request = method + " " + path + " HTTP/1.1\r\nHost: x\r\n\r\n";
  EXPECT_EQ(send(fd, request.data(), request.size(), 0), static_cast<ssize_t>(request.size()));
  std::string answer;
  char buffer[4096];
  ssize_t n = 0;
  while ((n = recv(fd, buffer, sizeof(buffer), 0)) > 0) answer.append(buffer, n);
  close(fd);
  return answer;
}

absl::Status Ok() { return absl::OkStatus(); }

TEST(HttpServer, ServesMetrics) {
  MetricRegistry metrics;
  metrics.AddCounter("millrace_records_total", "Records.").Add(7);
  ASSERT_OK_AND_ASSIGN(auto server, HttpServer::Start({}, &metrics, Ok, Ok));
  ASSERT_NE(server->port(), 0);
  const std::string answer = Request(server->port(), "GET", "/metrics");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer, HasSubstr("Content-Type: text/plain; version=0.0.4"));
  EXPECT_THAT(answer, HasSubstr("\nmillrace_records_total 7"));
}

TEST(HttpServer, ProbesSayWhyNot) {
  MetricRegistry metrics;
  ASSERT_OK_AND_ASSIGN(auto server, HttpServer::Start({}, &metrics, Ok, [] {
                         return MakeError(ErrorCode::kStorageError, "disk /d1 is offline");
                       }));
  EXPECT_THAT(Request(server->port(), "GET", "/healthz"), StartsWith("HTTP/1.1 200 OK\r\n"));
  const std::string answer = Request(server->port(), "GET", "/readyz");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(answer, HasSubstr("disk /d1 is offline"));
}

TEST(HttpServer, ServesNothingElse) {
  MetricRegistry metrics;
  ASSERT_OK_AND_ASSIGN(auto server, HttpServer::Start({}, &metrics, Ok, Ok));
  EXPECT_THAT(Request(server->port(), "GET", "/"), StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(Request(server->port(), "GET", "/metrics/../etc/passwd"),
              StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(Request(server->port(), "GET", "/metricsx"), StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(Request(server->port(), "POST", "/metrics"), StartsWith("HTTP/1.1 405 "));
}

TEST(HttpServer, HeadHasNoBody) {
  MetricRegistry metrics;
  ASSERT_OK_AND_ASSIGN(auto server, HttpServer::Start({}, &metrics, Ok, Ok));
  const std::string answer = Request(server->port(), "HEAD", "/healthz");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_EQ(answer.substr(answer.size() - 4), "\r\n\r\n");
}

TEST(HttpServer, NamesTheAddressThatIsInUse) {
  MetricRegistry metrics;
  ASSERT_OK_AND_ASSIGN(auto first, HttpServer::Start({}, &metrics, Ok, Ok));
  const auto second = HttpServer::Start({.port = first->port()}, &metrics, Ok, Ok);
  EXPECT_THAT(second, HasCode(ErrorCode::kAddressInUse));
  EXPECT_EQ(DetailOf(second.status()).value, "127.0.0.1:" + std::to_string(first->port()));
  // And the first goes on.
  EXPECT_THAT(Request(first->port(), "GET", "/healthz"), StartsWith("HTTP/1.1 200 OK\r\n"));
}

TEST(HttpServer, RefusesAnAddressOfAnotherMachine) {
  MetricRegistry metrics;
  EXPECT_THAT(HttpServer::Start({.host = "192.0.2.1"}, &metrics, Ok, Ok),
              HasCode(ErrorCode::kInvalidConfig));
}

TEST(HttpServer, StalledClientDoesNotStopOthers) {
  MetricRegistry metrics;
  ASSERT_OK_AND_ASSIGN(auto server, HttpServer::Start({}, &metrics, Ok, Ok));
  const int stalled = Connect(server->port());
  EXPECT_EQ(send(stalled, "GET /met", 8, 0), 8);
  EXPECT_THAT(Request(server->port(), "GET", "/healthz"), StartsWith("HTTP/1.1 200 OK\r\n"));
  close(stalled);
}

TEST(HttpServer, ClientsThatAllStallDoNotKeepAProbeFromItsAnswer) {
  MetricRegistry metrics;
  ASSERT_OK_AND_ASSIGN(auto server, HttpServer::Start({}, &metrics, Ok, Ok));
  int stalled[4];
  for (int& fd : stalled) {
    fd = Connect(server->port());
    EXPECT_EQ(send(fd, "GET /met", 8, 0), 8);
  }
  EXPECT_THAT(Request(server->port(), "GET", "/healthz", /*timeout_s=*/6),
              StartsWith("HTTP/1.1 200 OK\r\n"));
  for (int fd : stalled) close(fd);
}

// Debian builds civetweb without IPv6.
TEST(HttpServer, RefusesIpv6WithTheReason) {
  MetricRegistry metrics;
  EXPECT_THAT(HttpServer::Start({.host = "::1"}, &metrics, Ok, Ok),
              IsError(ErrorCode::kInvalidConfig, "IPv6"));
}

}  // namespace
}  // namespace millrace::http
