// TcpConnection: a bare TCP connection to this machine, for tests of clients that do not speak gRPC
// properly; and HttpGet, for the probes and /metrics.
//
// Thread: one owner.
#ifndef TEST_CLUSTER_TCP_CONNECTION_H_
#define TEST_CLUSTER_TCP_CONNECTION_H_

#include <string>

#include "absl/time/time.h"
#include "base/bytes.h"

namespace millrace::test {

// What a gRPC client sends first: HTTP/2's preface and an empty SETTINGS frame.
std::string Http2Greeting();

class TcpConnection {
 public:
  // To 127.0.0.1.
  explicit TcpConnection(int port);
  ~TcpConnection();
  TcpConnection(TcpConnection&& other) noexcept;
  TcpConnection& operator=(TcpConnection&&) = delete;

  bool connected() const { return fd_ >= 0; }
  // Returns false if the other side is gone.
  bool Send(Slice bytes);
  // What comes until the other side closes, `stop` is in it, or the time is over.
  std::string Receive(absl::Duration timeout, const std::string& stop = "");
  // Whether the other side closes within the time; what it sends is thrown away.
  bool WaitForClose(absl::Duration timeout);

 private:
  // Returns false at the end, an error or after the time.
  bool ReceiveSome(absl::Duration timeout, std::string* received);

  int fd_ = -1;
  bool closed_by_peer_ = false;
};

struct HttpResponse {
  int status = 0;
  std::string body;
};

// Status 0: no answer.
HttpResponse HttpGet(int port, const std::string& path);

// The value of a metric without labels, or the sum over all its labels; -1 if it is not there.
double MetricValue(int http_port, const std::string& name);

}  // namespace millrace::test

#endif  // TEST_CLUSTER_TCP_CONNECTION_H_
