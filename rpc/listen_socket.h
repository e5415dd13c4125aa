// ListenSocket: a bound, listening TCP socket, IPv4 or IPv6.
//
// Thread: any (a movable owner of a file descriptor).
#ifndef RPC_LISTEN_SOCKET_H_
#define RPC_LISTEN_SOCKET_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/host_port.h"
#include "rpc/peer_identity.h"

namespace millrace::rpc {

// Where a server listens.
struct ListenerAddress {
  // The listener's name in the config ("PLAINTEXT", "INTERNAL").
  std::string name;
  // A name or a literal address without brackets; empty: all addresses, IPv6 and IPv4.
  std::string host;
  // 0: any free port.
  int port = 0;
  // What is asked of those who connect.
  ListenerSecurity security = {};
  // Its connections are counted, but no limit of connections refuses or delays one.
  bool exempt_from_limits = false;

  friend bool operator==(const ListenerAddress&, const ListenerAddress&) = default;
};

// A file descriptor that closes itself.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept;
  ~FileDescriptor() { Close(); }

  int get() const { return fd_; }
  int Release() { return std::exchange(fd_, -1); }
  void Close();

 private:
  int fd_ = -1;
};

struct ListenSocket {
  // With the port that was actually bound.
  ListenerAddress address;
  FileDescriptor fd;
};

// Binds every address that `address.host` resolves to ("localhost" may be two), on one port.
// Errors: ADDRESS_IN_USE naming the address; INVALID_CONFIG for a host that does not resolve to an
// address of this machine, or a port out of range.
absl::StatusOr<std::vector<ListenSocket>> Listen(const ListenerAddress& address);

using millrace::HostPort;

}  // namespace millrace::rpc

#endif  // RPC_LISTEN_SOCKET_H_
