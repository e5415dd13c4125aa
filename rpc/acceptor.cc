#include "rpc/acceptor.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/check.h"

namespace millrace::rpc {
namespace {

// What an epoll event means: a listening socket (its index), the wake-up, or a connection's id.
constexpr uint64_t kListenerBit = uint64_t{1} << 63;
constexpr uint64_t kWakeup = ~uint64_t{0};

// Pause after a failed accept: out of descriptors or memory, which others may give back.
constexpr absl::Duration kErrorPause = absl::Milliseconds(50);

// The first byte of a TLS connection: its record type. HTTP/2 in plaintext begins with 'P'.
constexpr char kTlsHandshake = 22;

// Connections taken from one listener before others get a turn.
constexpr int kAcceptsPerTurn = 64;

// "127.0.0.1" and "127.0.0.1:40112"; IPv4 within IPv6 counts as IPv4, as gRPC has it.
struct PeerName {
  std::string address;
  std::string peer;
};

PeerName NameOf(const sockaddr_storage& storage) {
  char text[INET6_ADDRSTRLEN] = "";
  if (storage.ss_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(&storage);
    inet_ntop(AF_INET, &v4->sin_addr, text, sizeof(text));
    return {.address = text, .peer = HostPort(text, ntohs(v4->sin_port))};
  }
  const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&storage);
  const int port = ntohs(v6->sin6_port);
  if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
    inet_ntop(AF_INET, v6->sin6_addr.s6_addr + 12, text, sizeof(text));
  } else {
    inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof(text));
  }
  return {.address = text, .peer = HostPort(text, port)};
}

// gRPC's "ipv4:127.0.0.1:40112" or "ipv6:%5B::1%5D:40112" without scheme and escapes.
std::string StripScheme(const std::string& peer) {
  const size_t colon = peer.find(':');
  if (colon == std::string::npos) return peer;
  return absl::StrReplaceAll(peer.substr(colon + 1), {{"%5B", "["}, {"%5D", "]"}});
}

// Adds a descriptor to the epoll set; level-triggered.
void Watch(int epoll, int fd, uint32_t events, uint64_t data) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = data;
  CHECK_EQ(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event), 0) << "errno " << errno;
}

}  // namespace

Acceptor::Acceptor(std::vector<ListenSocket> sockets, const LimitSetting* limits,
                   absl::Duration first_byte_max, const Clock* clock, MetricRegistry* metrics,
                   HandOver hand_over)
    : sockets_(std::move(sockets)),
      limit_setting_(limits),
      first_byte_max_(first_byte_max),
      clock_(clock),
      hand_over_(std::move(hand_over)),
      accepted_(&metrics->AddCounter("millrace_connections_accepted_total",
                                     "Connections that were let in.")),
      refused_total_(&metrics->AddCounter("millrace_connections_refused_total",
                                          "Connections that were closed at once.",
                                          {{"reason", "max.connections"}})),
      refused_per_address_(&metrics->AddCounter("millrace_connections_refused_total",
                                                "Connections that were closed at once.",
                                                {{"reason", "max.connections.per.ip"}})),
      accept_errors_(&metrics->AddCounter("millrace_accept_errors_total",
                                          "Failures of the system to accept a connection.")),
      open_(&metrics->AddGauge("millrace_connections", "Connections that are open.")),
      epoll_(epoll_create1(EPOLL_CLOEXEC)),
      wakeup_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      limits_(limits->Get()) {
  CHECK(epoll_.get() >= 0 && wakeup_.get() >= 0) << "errno " << errno;
  for (const ListenSocket& socket : sockets_) listener_names_.push_back(socket.address.name);
  Watch(epoll_.get(), wakeup_.get(), EPOLLIN, kWakeup);
  WatchListeners(Watching::kAll);
  thread_ = std::thread([this] { Run(); });
}

Acceptor::~Acceptor() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
  }
  eventfd_write(wakeup_.get(), 1);
  thread_.join();
}

void Acceptor::StopAccepting() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stop_accepting_ = true;
  }
  eventfd_write(wakeup_.get(), 1);
}

std::string Acceptor::ListenerOf(const std::string& peer) const {
  const std::string key = StripScheme(peer);
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto entry = came_by_.find(key);
  return entry == came_by_.end() ? std::string() : listener_names_[entry->second.listener];
}

int64_t Acceptor::open_connections() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return static_cast<int64_t>(connections_.size());
}

int Acceptor::TimeoutMs() const {
  MonotonicTime next = MonotonicTime::Never();
  if (!sockets_.empty() && watching_ != Watching::kAll) next = paused_until_;
  if (!silent_until_.empty()) next = std::min(next, silent_until_.front().first);
  if (next == MonotonicTime::Never()) return -1;
  const int64_t left_ms = absl::ToInt64Milliseconds(next - clock_->Now());
  return static_cast<int>(std::clamp<int64_t>(left_ms + 1, 0, 60'000));
}

// Waits without polling; a timeout is used only while accepting pauses, or a connection is silent.
void Acceptor::Run() {
  pthread_setname_np(pthread_self(), "accept");
  std::array<epoll_event, 64> events;
  while (true) {
    const int count =
        epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), TimeoutMs());
    CHECK(count >= 0 || errno == EINTR) << "errno " << errno;
    if (watching_ != Watching::kAll && clock_->Now() >= paused_until_) {
      WatchListeners(Watching::kAll);
    }
    EndSilent();
    for (int i = 0; i < count; ++i) {
      const uint64_t what = events[i].data.u64;
      if (what == kWakeup) {
        eventfd_t ignored = 0;
        eventfd_read(wakeup_.get(), &ignored);
      } else if ((what & kListenerBit) != 0) {
        AcceptFrom(what & ~kListenerBit);
      } else if ((events[i].events & (EPOLLHUP | EPOLLERR)) != 0) {
        Ended(what);
      } else {
        Decide(what);
      }
    }
    bool stop_accepting = false;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (stop_) return;
      stop_accepting = stop_accepting_;
    }
    if (stop_accepting) CloseListeners();
  }
}

void Acceptor::AcceptFrom(size_t listener) {
  // An event of before the pause.
  if (!IsWatched(listener, watching_)) return;
  const bool has_rate = !sockets_[listener].address.exempt_from_limits;
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    const MonotonicTime now = clock_->Now();
    if (const MonotonicTime next = limits_.NextCreation(now); has_rate && next > now) {
      paused_until_ = next;
      return WatchListeners(Watching::kExempt);
    }
    sockaddr_storage address{};
    socklen_t length = sizeof(address);
    FileDescriptor fd(accept4(sockets_[listener].fd.get(), reinterpret_cast<sockaddr*>(&address),
                              &length, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (fd.get() < 0) {
      // ECONNABORTED and the like: that client has gone, the next may be there.
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        accept_errors_->Add();
        paused_until_ = now + kErrorPause;
        WatchListeners(Watching::kNone);
      }
      return;
    }
    PeerName name = NameOf(address);
    Take(listener, std::move(fd), std::move(name.address), std::move(name.peer));
  }
}

// The connection is registered before gRPC gets it, so that its first call finds its listener.
void Acceptor::Take(size_t listener, FileDescriptor fd, std::string address, std::string peer) {
  // Calls name their peer only: of one that is here by another listener, nobody could tell by which
  // of the two a call came, nor what it may do. Its next try has another port.
  const auto here = came_by_.find(peer);
  if (here != came_by_.end() && here->second.listener != static_cast<int>(listener)) {
    return accept_errors_->Add();
  }
  if (!Admit(listener, address)) return;  // Closes it.
  FileDescriptor duplicate(fcntl(fd.get(), F_DUPFD_CLOEXEC, 0));
  if (duplicate.get() < 0) {
    accept_errors_->Add();
    limits_.Closed(address);
    return;
  }
  // gRPC sets this only on sockets it accepts itself.
  const int on = 1;
  setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  const int duplicate_fd = duplicate.get();
  const bool tls = sockets_[listener].address.security.tls;
  const int listener_fd = sockets_[listener].fd.get();
  const int plaintext_fd = tls ? -1 : fd.Release();
  uint64_t id = 0;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    id = next_id_++;
    came_by_[peer] = {id, static_cast<int>(listener)};
    connections_.emplace(id, Connection{.duplicate = std::move(duplicate),
                                        .address = std::move(address),
                                        .peer = std::move(peer),
                                        .listener = static_cast<int>(listener),
                                        .undecided = std::move(fd)});
    open_->Set(static_cast<double>(connections_.size()));
  }
  accepted_->Add();
  if (tls) {
    silent_until_.emplace_back(clock_->Now() + first_byte_max_, id);
    return Watch(epoll_.get(), duplicate_fd, EPOLLIN, id);
  }
  // No events asked for: EPOLLHUP and EPOLLERR always come.
  Watch(epoll_.get(), duplicate_fd, 0, id);
  hand_over_(listener_fd, plaintext_fd, false);
}

bool Acceptor::Admit(size_t listener, const std::string& address) {
  // Now, and not when the turn began: it came after whatever was set before it was made.
  limits_.SetOptions(limit_setting_->Get());
  if (sockets_[listener].address.exempt_from_limits) {
    limits_.AdmitExempt(address);
    return true;
  }
  switch (limits_.Admit(address, clock_->Now())) {
    case ConnectionLimits::Verdict::kTooMany:
      refused_total_->Add();
      return false;
    case ConnectionLimits::Verdict::kTooManyOfAddress:
      refused_per_address_->Add();
      return false;
    case ConnectionLimits::Verdict::kAdmitted:
      break;
  }
  return true;
}

void Acceptor::Decide(uint64_t id) {
  // Only this thread changes what is in the map.
  const auto entry = connections_.find(id);
  if (entry == connections_.end() || entry->second.undecided.get() < 0) return;
  Connection& connection = entry->second;
  char first = 0;
  const ssize_t got = recv(connection.undecided.get(), &first, 1, MSG_PEEK | MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  // Closing gives back the connection's place, in the same way as if it had ended by itself.
  if (got <= 0 || sockets_.empty()) return Ended(id);
  epoll_event event{};
  event.data.u64 = id;
  CHECK_EQ(epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, connection.duplicate.get(), &event), 0);
  const int fd = connection.undecided.Release();
  hand_over_(sockets_[connection.listener].fd.get(), fd, first == kTlsHandshake);
}

void Acceptor::EndSilent() {
  const MonotonicTime now = clock_->Now();
  while (!silent_until_.empty() && silent_until_.front().first <= now) {
    const uint64_t id = silent_until_.front().second;
    silent_until_.pop_front();
    const auto entry = connections_.find(id);
    if (entry != connections_.end() && entry->second.undecided.get() >= 0) Ended(id);
  }
}

void Acceptor::Ended(uint64_t id) {
  Connection ended;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto entry = connections_.find(id);
    if (entry == connections_.end()) return;
    ended = std::move(entry->second);
    connections_.erase(entry);
    const auto came_by = came_by_.find(ended.peer);
    if (came_by != came_by_.end() && came_by->second.id == id) came_by_.erase(came_by);
    open_->Set(static_cast<double>(connections_.size()));
  }
  // While gRPC still has the socket open, closing the duplicate would leave it in the epoll set.
  epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, ended.duplicate.get(), nullptr);
  limits_.Closed(ended.address);
}

bool Acceptor::IsWatched(size_t listener, Watching watching) const {
  if (watching == Watching::kExempt) return sockets_[listener].address.exempt_from_limits;
  return watching == Watching::kAll;
}

void Acceptor::WatchListeners(Watching watching) {
  const Watching before = std::exchange(watching_, watching);
  for (size_t i = 0; i < sockets_.size(); ++i) {
    const bool watch = IsWatched(i, watching);
    if (watch == IsWatched(i, before)) continue;
    if (watch) {
      Watch(epoll_.get(), sockets_[i].fd.get(), EPOLLIN, kListenerBit | i);
    } else {
      epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, sockets_[i].fd.get(), nullptr);
    }
  }
}

// Clients that wait in the backlog are reset by this.
void Acceptor::CloseListeners() {
  if (sockets_.empty()) return;
  WatchListeners(Watching::kNone);
  sockets_.clear();
}

}  // namespace millrace::rpc
