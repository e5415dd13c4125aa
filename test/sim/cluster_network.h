// ClusterNetwork: what lies between the machines of a simulated cluster: connections as TCP's are,
// and what happens to them: delay, cuts of one direction or both, resets, ends of processes.
//
// A connection carries messages in order, each way, and loses none while it lives. While a
// direction is cut, what was sent that way waits (it is sent again and again); if that lasts, each
// end gives the connection up by itself, as keepalive does. The end of a process is told to its
// peers, behind all that it had sent; the end of a machine is not: they find out. Datagrams stand
// for protocols that bring their own repetition (Raft): once and in order per pair, or not at all.
//
// What is delivered runs on the network's own executor, and posts to an executor of the receiver,
// who is alive then.
//
// Thread: the simulation's one.
#ifndef TEST_SIM_CLUSTER_NETWORK_H_
#define TEST_SIM_CLUSTER_NETWORK_H_

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "base/executor.h"
#include "base/sim/sim_executor.h"
#include "base/sim/sim_random.h"

namespace millrace::sim {

class ClusterNetwork;

class ClusterConnection : public std::enable_shared_from_this<ClusterConnection> {
 public:
  enum Side { kOpener = 0, kAcceptor = 1 };

  // Sends; no effect once this side has ended.
  void Send(Side from, Task deliver);
  // This side hears and says no more; the other is told behind what was sent before.
  void Close(Side side);
  bool open(Side side) const { return ends_[side].open; }
  // Called once, when the other side or the network has ended it.
  void SetOnClosed(Side side, Task on_closed) { ends_[side].on_closed = std::move(on_closed); }
  // Messages that `from` has sent and that have not arrived.
  size_t under_way(Side from) const { return ends_[from].sent.size(); }

 private:
  friend class ClusterNetwork;
  struct Item {
    MonotonicTime when;
    Task deliver;
  };
  struct End {
    int host = 0;
    bool open = false;
    Task on_closed;
    // What it sent.
    std::deque<Item> sent;
    MonotonicTime last_arrival;
  };

  explicit ClusterConnection(ClusterNetwork* network) : network_(network) {}
  static Side Other(Side side) { return side == kOpener ? kAcceptor : kOpener; }
  void Enqueue(Side from, Task deliver);
  // Delivers what has arrived at the other side of `from`.
  void Pump(Side from);
  // `side` finds that the connection is no more.
  void End(Side side);
  void EndLater(Side side, absl::Duration delay);
  // Its process is gone.
  void Abandon(Side side, bool tell);

  ClusterNetwork* const network_;
  std::array<struct End, 2> ends_;
  // The acceptor's answer to the attempt; null once it was asked.
  std::function<bool()> accept_;
  bool established_ = false;
  // Nothing gets through any more; the ends will find out.
  bool broken_ = false;
};

class ClusterNetwork {
 public:
  using ConnectionPtr = std::shared_ptr<ClusterConnection>;

  ClusterNetwork(SimLoop* loop, SimRandom random);
  ~ClusterNetwork();

  // --- Machines, by number; 0 has all the clients and is always there ---
  // `dying`: what the process does no longer counts.
  void AddHost(int host, std::function<bool()> dying);
  void OnUp(int host);
  // `silent`: the machine is gone with the process.
  void OnDown(int host, bool silent);
  bool up(int host) const { return hosts_.at(host).up; }
  // Raised by each OnUp.
  int life(int host) const { return hosts_.at(host).life; }
  bool dying(int host) const { return hosts_.at(host).dying(); }

  // --- Faults ---
  void Cut(int from, int to);
  void HealAll();
  bool cut(int from, int to) const { return cuts_.contains({from, to}); }
  bool any_cut() const { return !cuts_.empty(); }
  // Resets what connects the two.
  void Break(int a, int b);
  // Some messages of this pair take this long more, both ways.
  void SetSlow(int a, int b, absl::Duration more) { slow_[{a, b}] = slow_[{b, a}] = more; }

  // --- Traffic ---
  // Runs `deliver` at the other host if it is up then, and the same as now.
  void Datagram(int from, int to, Task deliver);
  // `accept` runs where the attempt arrives and says whether it is taken; it may set the acceptor's
  // on_closed. Messages may be sent at once. `on_closed`: the opener's.
  ConnectionPtr Connect(int from, int to, std::function<bool(const ConnectionPtr&)> accept,
                        Task on_closed);
  // Nothing is delivered any more, and what is under way is let go: it may hold files.
  void End();

  // Runs on the network's executor after `delay`.
  void After(absl::Duration delay, Task task) {
    executor_->PostAt(loop_->now() + delay, std::move(task));
  }
  absl::Duration Delay(int from, int to);
  SimRandom& random() { return random_; }
  MonotonicTime now() const { return loop_->now(); }

 private:
  friend class ClusterConnection;
  struct Host {
    bool up = false;
    bool off = false;
    int life = 0;
    std::function<bool()> dying;
  };
  template <class F>
  void ForEachConnection(F f);
  void GiveUpSlowly(const ConnectionPtr& connection);

  SimLoop* const loop_;
  SimRandom random_;
  std::unique_ptr<SimExecutor> executor_;
  std::map<int, Host> hosts_;
  std::set<std::pair<int, int>> cuts_;
  std::map<std::pair<int, int>, absl::Duration> slow_;
  std::map<std::pair<int, int>, MonotonicTime> last_datagram_;
  std::vector<std::weak_ptr<ClusterConnection>> connections_;
};

}  // namespace millrace::sim

#endif  // TEST_SIM_CLUSTER_NETWORK_H_
