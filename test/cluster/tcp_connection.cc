#include "test/cluster/tcp_connection.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"

namespace millrace::test {

std::string Http2Greeting() {
  // Frame header: length 0 (3 bytes), type 4 (SETTINGS), no flags, stream 0.
  return absl::StrCat("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                      absl::string_view("\0\0\0\x04\0\0\0\0\0", 9));
}

TcpConnection::TcpConnection(int port) {
  fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    ::close(fd_);
    fd_ = -1;
  }
}

TcpConnection::TcpConnection(TcpConnection&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), closed_by_peer_(other.closed_by_peer_) {}

TcpConnection::~TcpConnection() {
  if (fd_ >= 0) ::close(fd_);
}

bool TcpConnection::Send(Slice bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

bool TcpConnection::ReceiveSome(absl::Duration timeout, std::string* received) {
  pollfd waiting = {.fd = fd_, .events = POLLIN, .revents = 0};
  if (::poll(&waiting, 1, static_cast<int>(absl::ToInt64Milliseconds(timeout))) <= 0) return false;
  char piece[16 << 10];
  const ssize_t n = ::recv(fd_, piece, sizeof(piece), 0);
  if (n <= 0) {
    closed_by_peer_ = true;
    return false;
  }
  received->append(piece, static_cast<size_t>(n));
  return true;
}

std::string TcpConnection::Receive(absl::Duration timeout, const std::string& stop) {
  const absl::Time deadline = absl::Now() + timeout;
  std::string received;
  while (absl::Now() < deadline && ReceiveSome(deadline - absl::Now(), &received)) {
    if (!stop.empty() && received.find(stop) != std::string::npos) break;
  }
  return received;
}

bool TcpConnection::WaitForClose(absl::Duration timeout) {
  Receive(timeout);
  return closed_by_peer_;
}

HttpResponse HttpGet(int port, const std::string& path) {
  HttpResponse response;
  TcpConnection connection(port);
  if (!connection.connected()) return response;
  connection.Send(
      absl::StrCat("GET ", path, " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"));
  const std::string text = connection.Receive(absl::Seconds(10));
  const std::vector<std::string> words = absl::StrSplit(text, absl::MaxSplits(' ', 2));
  if (words.size() < 2 || !absl::SimpleAtoi(words[1], &response.status)) return HttpResponse();
  const size_t body = text.find("\r\n\r\n");
  if (body != std::string::npos) response.body = text.substr(body + 4);
  return response;
}

double MetricValue(int http_port, const std::string& name) {
  const HttpResponse response = HttpGet(http_port, "/metrics");
  double sum = -1;
  for (absl::string_view line : absl::StrSplit(response.body, '\n')) {
    if (line.substr(0, name.size()) != name) continue;
    const absl::string_view rest = line.substr(name.size());
    if (rest.empty() || (rest[0] != ' ' && rest[0] != '{')) continue;
    double value = 0;
    if (!absl::SimpleAtod(line.substr(line.rfind(' ') + 1), &value)) continue;
    sum = sum < 0 ? value : sum + value;
  }
  return sum;
}

}  // namespace millrace::test
