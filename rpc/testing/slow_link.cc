#include "rpc/testing/slow_link.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <utility>
#include <vector>

#include "base/check.h"

namespace millrace::rpc::testdata {
namespace {

// How late an end, or that a connection is to be opened, is seen.
constexpr int kLookEveryMs = 20;

// Whether both ends live.
bool Carry(int from, int to) {
  std::array<char, 64 << 10> bytes;
  const ssize_t got = ::recv(from, bytes.data(), bytes.size(), 0);
  if (got <= 0) return false;
  for (ssize_t sent = 0; sent < got;) {
    const ssize_t n =
        ::send(to, bytes.data() + sent, static_cast<size_t>(got - sent), MSG_NOSIGNAL);
    if (n <= 0) return false;
    sent += n;
  }
  return true;
}

}  // namespace

SlowLink::SlowLink(int port, absl::Duration delay) : port_(port), delay_(delay) {
  auto sockets = Listen({.name = "SLOW", .host = "127.0.0.1", .port = 0});
  CHECK_OK(sockets.status());
  socket_ = std::move(sockets->front());
  thread_ = std::thread([this] { Run(); });
}

SlowLink::~SlowLink() {
  ends_ = true;
  thread_.join();
}

void SlowLink::Run() {
  while (!ends_) {
    std::vector<pollfd> polled = {{socket_.fd.get(), POLLIN, 0}};
    for (Connection& connection : connections_) {
      if (connection.server.get() < 0 && clock_.Now() >= connection.opens) Open(&connection);
      if (connection.server.get() < 0) continue;
      polled.push_back({connection.client.get(), POLLIN, 0});
      polled.push_back({connection.server.get(), POLLIN, 0});
    }
    ::poll(polled.data(), polled.size(), kLookEveryMs);
    size_t at = 1;
    for (auto connection = connections_.begin(); connection != connections_.end();) {
      const int client = connection->client.get();
      const int server = connection->server.get();
      bool lives = true;
      if (server >= 0) {
        if (polled[at].revents != 0) lives = Carry(client, server);
        if (lives && polled[at + 1].revents != 0) lives = Carry(server, client);
        at += 2;
      }
      connection = lives ? std::next(connection) : connections_.erase(connection);
    }
    if (polled[0].revents != 0) Accept();
  }
}

void SlowLink::Accept() {
  Connection& connection = connections_.emplace_back();
  connection.client = FileDescriptor(::accept(socket_.fd.get(), nullptr, nullptr));
  connection.opens = clock_.Now() + delay_;
  if (connection.client.get() < 0) connections_.pop_back();
}

void SlowLink::Open(Connection* connection) const {
  FileDescriptor server(::socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(port_));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(server.get(), reinterpret_cast<const sockaddr*>(&to), sizeof(to)) != 0) return;
  connection->server = std::move(server);
}

}  // namespace millrace::rpc::testdata
