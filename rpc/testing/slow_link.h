// SlowLink: a way to a server of this machine on which a connection takes long to come about, for
// tests: what a client says when it connects arrives after a delay, whatever comes later at once.
//
// Thread: one owner; a thread of its own carries the bytes.
#ifndef RPC_TESTING_SLOW_LINK_H_
#define RPC_TESTING_SLOW_LINK_H_

#include <atomic>
#include <list>
#include <string>
#include <thread>

#include "absl/time/time.h"
#include "base/host_port.h"
#include "rpc/listen_socket.h"
#include "rpc/testing/echo_server.h"

namespace millrace::rpc::testdata {

class SlowLink {
 public:
  SlowLink(int port, absl::Duration delay);
  ~SlowLink();
  SlowLink(const SlowLink&) = delete;
  SlowLink& operator=(const SlowLink&) = delete;

  std::string address() const { return HostPort("127.0.0.1", socket_.address.port); }

 private:
  struct Connection {
    FileDescriptor client;
    MonotonicTime opens;
    // Not yet there while it opens.
    FileDescriptor server;
  };

  void Run();
  void Accept();
  void Open(Connection* connection) const;

  const int port_;
  const absl::Duration delay_;
  const SteadyClock clock_;
  ListenSocket socket_;
  std::list<Connection> connections_;
  std::atomic<bool> ends_{false};
  std::thread thread_;
};

}  // namespace millrace::rpc::testdata

#endif  // RPC_TESTING_SLOW_LINK_H_
