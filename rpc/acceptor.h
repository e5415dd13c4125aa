// Acceptor: our accept loop in front of gRPC. One thread waits for connections on the listening
// sockets, asks ConnectionLimits, and hands admitted ones to gRPC.
//
// How it learns that a connection has ended, although gRPC owns the socket: it keeps a duplicate of
// the descriptor and waits for EPOLLHUP on it, which the kernel raises once both directions are
// shut down. gRPC shuts a socket down before it closes it, so this comes at the end and not before;
// the duplicate is closed at once, and wakes nobody while data flows.
//
// A listener that takes TLS only lets plaintext in as well, as such: each call by it is then
// refused with a text that says so, where a broken handshake would say nothing. The first byte
// tells.
//
// Thread: its own; the public functions: any.
#ifndef RPC_ACCEPTOR_H_
#define RPC_ACCEPTOR_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "base/clock.h"
#include "base/counters.h"
#include "rpc/connection_limits.h"
#include "rpc/listen_socket.h"

namespace millrace::rpc {

class Acceptor {
 public:
  // Takes a connected socket over; `listener_fd` is the one it came in by. `tls`: its first byte is
  // that of a TLS handshake.
  using HandOver = std::function<void(int listener_fd, int fd, bool tls)>;

  // Accepts from now on. `first_byte_max`: how long a connection to a listener with TLS may be
  // silent in the beginning. `limits`, `clock` and `metrics` outlive the acceptor.
  Acceptor(std::vector<ListenSocket> sockets, const LimitSetting* limits,
           absl::Duration first_byte_max, const Clock* clock, MetricRegistry* metrics,
           HandOver hand_over);
  // Closes the listening sockets; connections stay with gRPC.
  ~Acceptor();

  // Accepts no more and closes the listening sockets; still counts connections that end.
  void StopAccepting();

  // Name of the listener by which a peer ("ipv4:127.0.0.1:40112", as gRPC calls it) came in; empty
  // if the connection has ended.
  std::string ListenerOf(const std::string& peer) const;

  // Connections that are open now.
  int64_t open_connections() const;

 private:
  struct Connection {
    FileDescriptor duplicate;
    std::string address;
    std::string peer;
    int listener = 0;
    // Until its first byte is here.
    FileDescriptor undecided = FileDescriptor();
  };

  void Run();
  // Accepts what waits on one listening socket, as far as the creation rate allows, if that is for
  // it.
  void AcceptFrom(size_t listener);
  void Take(size_t listener, FileDescriptor fd, std::string address, std::string peer);
  // Counts the connection if it may stay.
  bool Admit(size_t listener, const std::string& address);
  // The first byte of a connection is here: hands it over.
  void Decide(uint64_t id);
  // Closes those whose first byte did not come in time.
  void EndSilent();
  // -1: nothing is waited for but events.
  int TimeoutMs() const;
  void Ended(uint64_t id);
  // On which sockets connections are listened for: on all but where accepting pauses; for the
  // creation rate those pause that it is for.
  enum class Watching { kNone, kExempt, kAll };
  bool IsWatched(size_t listener, Watching watching) const;
  void WatchListeners(Watching watching);
  void CloseListeners();

  std::vector<ListenSocket> sockets_;
  std::vector<std::string> listener_names_;
  const LimitSetting* const limit_setting_;
  const absl::Duration first_byte_max_;
  const Clock* const clock_;
  const HandOver hand_over_;
  Counter* accepted_;
  Counter* refused_total_;
  Counter* refused_per_address_;
  Counter* accept_errors_;
  Gauge* open_;

  FileDescriptor epoll_;
  FileDescriptor wakeup_;
  // Accept thread only.
  ConnectionLimits limits_;
  Watching watching_ = Watching::kNone;
  // Accepting pauses until then, for the creation rate or for lack of descriptors.
  MonotonicTime paused_until_;
  // When connections are given up that are silent; in order. Those that spoke are in it too.
  std::deque<std::pair<MonotonicTime, uint64_t>> silent_until_;

  mutable std::mutex mutex_;
  // Guarded by mutex_.
  std::map<uint64_t, Connection> connections_;
  // A peer has one entry, of the connection that came last.
  struct CameBy {
    uint64_t id = 0;
    int listener = 0;
  };
  std::map<std::string, CameBy> came_by_;
  uint64_t next_id_ = 0;
  bool stop_accepting_ = false;
  bool stop_ = false;

  std::thread thread_;
};

}  // namespace millrace::rpc

#endif  // RPC_ACCEPTOR_H_
