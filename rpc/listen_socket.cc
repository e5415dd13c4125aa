#include "rpc/listen_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace millrace::rpc {
namespace {

// The kernel caps it at net.core.somaxconn.
constexpr int kBacklog = 4096;

using AddressList = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

absl::StatusOr<AddressList> Resolve(const ListenerAddress& address) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  const std::string port = absl::StrCat(address.port);
  const int error = getaddrinfo(address.host.empty() ? nullptr : address.host.c_str(), port.c_str(),
                                &hints, &found);
  AddressList list(found, &freeaddrinfo);
  if (error != 0) {
    return MakeError(
        ErrorCode::kInvalidConfig,
        absl::StrCat("listener ", address.name, ": host '", address.host, "' cannot be resolved (",
                     gai_strerror(error), "); give an address or name of this machine"),
        {.name = "listeners", .value = HostPort(address.host, address.port)});
  }
  return list;
}

// Port of a bound socket; 0 if the kernel does not say.
int BoundPort(int fd) {
  sockaddr_storage address{};
  socklen_t length = sizeof(address);
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0) return 0;
  if (address.ss_family == AF_INET) {
    return ntohs(reinterpret_cast<const sockaddr_in*>(&address)->sin_port);
  }
  return ntohs(reinterpret_cast<const sockaddr_in6*>(&address)->sin6_port);
}

void SetPort(sockaddr* address, int port) {
  const auto value = htons(static_cast<uint16_t>(port));
  if (address->sa_family == AF_INET) {
    reinterpret_cast<sockaddr_in*>(address)->sin_port = value;
  } else {
    reinterpret_cast<sockaddr_in6*>(address)->sin6_port = value;
  }
}

absl::Status BindError(const ListenerAddress& address, int error) {
  const std::string where = HostPort(address.host, address.port);
  if (error == EADDRINUSE) {
    return MakeError(ErrorCode::kAddressInUse,
                     absl::StrCat("listener ", address.name, ": ", where,
                                  " is in use by another process; stop it or choose another port"),
                     {.name = "listeners", .value = where});
  }
  return MakeError(
      ErrorCode::kInvalidConfig,
      absl::StrCat("listener ", address.name, ": cannot listen on ", where, ": ", strerror(error),
                   "; choose an address of this machine and a port ", "this user may bind"),
      {.name = "listeners", .value = where});
}

// One socket bound to `info`. The error is an errno.
int BindOne(const addrinfo& info, bool any_address, FileDescriptor* out) {
  FileDescriptor fd(socket(info.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (fd.get() < 0) return errno;
  const int on = 1;
  // A restart must not wait for connections of the process before in TIME_WAIT.
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (info.ai_family == AF_INET6) {
    // One IPv6 socket serves both families for "all addresses", and only its own for one address.
    const int v6_only = any_address ? 0 : 1;
    setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &v6_only, sizeof(v6_only));
  }
  if (bind(fd.get(), info.ai_addr, info.ai_addrlen) != 0) return errno;
  if (listen(fd.get(), kBacklog) != 0) return errno;
  *out = std::move(fd);
  return 0;
}

}  // namespace

FileDescriptor& FileDescriptor::operator=(FileDescriptor&& other) noexcept {
  if (this != &other) {
    Close();
    fd_ = other.Release();
  }
  return *this;
}

void FileDescriptor::Close() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
}

absl::StatusOr<std::vector<ListenSocket>> Listen(const ListenerAddress& address) {
  if (address.port < 0 || address.port > 65535) {
    return MakeError(ErrorCode::kInvalidConfig,
                     absl::StrCat("listener ", address.name, ": port ", address.port,
                                  " is not between 0 and 65535"),
                     {.name = "listeners", .value = HostPort(address.host, address.port)});
  }
  ASSIGN_OR_RETURN(AddressList list, Resolve(address));
  std::vector<const addrinfo*> infos;
  for (const addrinfo* info = list.get(); info != nullptr; info = info->ai_next) {
    infos.push_back(info);
  }
  const bool any_address = address.host.empty();
  // For all addresses the IPv6 socket comes first, since it takes IPv4 too.
  if (any_address) {
    std::stable_sort(infos.begin(), infos.end(), [](const addrinfo* a, const addrinfo* b) {
      return a->ai_family == AF_INET6 && b->ai_family != AF_INET6;
    });
  }
  std::vector<ListenSocket> sockets;
  int port = address.port;
  int first_error = 0;
  for (const addrinfo* info : infos) {
    SetPort(info->ai_addr, port);
    FileDescriptor fd;
    if (const int error = BindOne(*info, any_address, &fd); error != 0) {
      // A family that the kernel lacks is no error if the other one works.
      if (error == EADDRINUSE) return BindError(address, error);
      if (first_error == 0) first_error = error;
      continue;
    }
    port = BoundPort(fd.get());
    ListenSocket& socket = sockets.emplace_back(ListenSocket{.address = address, .fd = {}});
    socket.fd = std::move(fd);
    socket.address.port = port;
    if (any_address) break;
  }
  if (sockets.empty()) return BindError(address, first_error);
  return sockets;
}

}  // namespace millrace::rpc
