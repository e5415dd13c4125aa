// SimCluster: Raft cores on simulated disks and a simulated network, in virtual time.
//
// One heap of events, one seed; everything that happens follows from it. The network loses, delays,
// reorders and duplicates messages and can be cut in one direction; servers crash with what their
// disk had, are paused, lose their disk altogether. Invariants are checked after every event. A
// scenario (raft_sim_test) decides what happens when; this is only the world.
//
// Thread: one.
#ifndef RAFT_TESTING_SIM_CLUSTER_H_
#define RAFT_TESTING_SIM_CLUSTER_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/monotonic_time.h"
#include "base/sim/sim_random.h"
#include "raft/invariants.h"
#include "raft/node.h"
#include "raft/testing/sim_disk.h"

namespace millrace::raft::testing {

struct SimNetwork {
  absl::Duration delay_min = absl::Milliseconds(1);
  absl::Duration delay_max = absl::Milliseconds(5);
  // Per thousand messages.
  uint64_t lost = 0;
  uint64_t duplicated = 0;
  // These arrive much later than others.
  uint64_t late = 0;
};

class SimCluster {
 public:
  SimCluster(uint64_t seed, const Options& options, int voters);

  // ---- The world goes on ----
  MonotonicTime now() const { return now_; }
  void RunFor(absl::Duration duration);
  void At(MonotonicTime when, std::function<void()> what);

  // ---- What may happen to servers; by node ----
  void Crash(int node);
  void Restart(int node);
  void Pause(int node, absl::Duration duration);
  // The disk is replaced by an empty one: another directory, a member of nothing.
  void Wipe(int node);
  // A node that is a member of nothing yet.
  void AddEmpty(int node);
  void SlowDisk(int node, absl::Duration latency_max);
  void Unreachable(int node, int peer);
  void TakeSnapshot(int node);
  void CutLink(int from, int to) { cut_.insert({from, to}); }
  void HealLinks() { cut_.clear(); }
  // Cuts a node from all others, in both directions.
  void Isolate(int node);
  SimNetwork& network() { return network_; }

  // ---- What users ask of a server ----
  absl::StatusOr<EntryId> Propose(int node);
  absl::StatusOr<EntryId> Change(int node, const VoterChange& change);
  bool Read(int node);
  absl::Status Transfer(int node, const VoterId& target);

  // ---- What is to be seen ----
  std::vector<int> nodes() const;
  bool alive(int node) const { return servers_.at(node).node != nullptr; }
  // Null while it is down.
  const Node* node(int node) const { return servers_.at(node).node.get(); }
  const VoterId& id(int node) const { return servers_.at(node).id; }
  LogIndex applied(int node) const { return servers_.at(node).machine.applied; }
  // The one that leads in the highest term, among those alive; 0 if none.
  int leader() const;
  Invariants& invariants() { return invariants_; }
  sim::SimRandom& random() { return random_; }
  // How often something worth reaching was reached.
  const std::map<std::string, int64_t>& reached() const { return reached_; }
  void Reach(const std::string& what) { ++reached_[what]; }
  uint64_t trace_hash() const { return trace_hash_; }
  int64_t events() const { return events_; }
  int64_t reads_confirmed() const { return reads_confirmed_; }
  // Prints each message and fault while on; for a seed under examination.
  void PrintTrace(bool on) { print_ = on; }

 private:
  struct Server {
    VoterId id;
    SimDisk disk;
    SimMachine machine;
    std::unique_ptr<Node> node;
    std::unique_ptr<sim::SimRandom> random;
    std::deque<Ready> writing;
    MonotonicTime disk_free;
    absl::Duration disk_latency_max = absl::Milliseconds(2);
    MonotonicTime paused_until;
    MonotonicTime timer = MonotonicTime::Never();
    // Raised by a crash: events of an earlier life are void.
    uint64_t life = 0;
    // Read -> what it must at least see.
    std::map<ReadId, LogIndex> reads;
  };
  struct Event {
    MonotonicTime when;
    uint64_t tie = 0;
    std::function<void()> what;
    bool operator<(const Event& other) const {
      return std::pair(when, tie) > std::pair(other.when, other.tie);
    }
  };

  // Runs `what` on the server, now or when its pause ends, unless it has crashed by then.
  void OnServer(int node, uint64_t life, MonotonicTime when, std::function<void(Server&)> what);
  void Pump(int node);
  void Take(int node, const Ready& ready);
  void StartWrite(int node);
  void FinishWrite(int node);
  void CheckWrite(const Server& server, const Ready& ready);
  void CheckCommit(const Server& server, LogIndex before);
  void VerifySnapshot(int node);
  void Send(int node, std::vector<Message> messages);
  void Deliver(const Message& message, absl::Duration delay);
  void NoteReady(const Server& server, const Ready& ready);
  void Trace(uint64_t what, const std::string& text);

  const Options options_;
  sim::SimRandom random_;
  SimNetwork network_;
  MonotonicTime now_ = MonotonicTime::FromNanos(1'000'000'000);
  uint64_t next_tie_ = 0;
  std::vector<Event> events_heap_;
  std::map<int, Server> servers_;
  // Disks that were replaced: what they had was durable when it was counted.
  std::map<VoterId, SimDisk> lost_disks_;
  std::set<std::pair<int, int>> cut_;
  Invariants invariants_;
  std::map<std::string, int64_t> reached_;
  uint64_t trace_hash_ = 0;
  int64_t events_ = 0;
  // Events at now_; time must go on.
  int64_t at_one_time_ = 0;
  int64_t reads_confirmed_ = 0;
  int64_t proposals_ = 0;
  bool print_ = false;
};

}  // namespace millrace::raft::testing

#endif  // RAFT_TESTING_SIM_CLUSTER_H_
