// QuorumBed: voters as they are shipped (QuorumLog over WAL and snapshot store) on simulated disks,
// strands and a simulated network, in virtual time.
//
// A crash destroys a voter and leaves what its disk's crash image holds; a restart builds it on
// that. The machine of each is the list of what was applied; what two machines applied at one index
// is compared as it happens.
//
// Thread: one.
#ifndef RAFT_HOST_TESTING_QUORUM_BED_H_
#define RAFT_HOST_TESTING_QUORUM_BED_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/sim/sim_clock.h"
#include "base/sim/sim_executor.h"
#include "base/sim/sim_file_system.h"
#include "base/sim/sim_random.h"
#include "raft/host/quorum_log.h"

namespace millrace::raft::testing {

class QuorumBed;

// The state machine of one voter: what it applied, one line an entry.
class BedMachine final : public rsm::CommitLog::Listener, public SnapshotMachine {
 public:
  BedMachine(QuorumBed* bed, int node) : bed_(bed), node_(node) {}

  void OnCommitted(absl::Span<const rsm::CommittedEntry> entries) override;
  void OnBecameLeader(Term term) override { led = term; }
  void OnLostLeadership() override { led = Term(); }
  void OnFailed(const absl::Status& status) override {
    led = Term();
    failure = status;
  }
  Encode Capture() override;
  absl::StatusOr<Install> Decode(LogIndex index, std::string body) override;
  // What a start finds.
  void Load(LogIndex index, const std::string& body);

  LogIndex applied;
  std::string state;
  // Zero unless it leads.
  Term led;
  absl::Status failure;

 private:
  QuorumBed* const bed_;
  const int node_;
};

struct BedNetwork {
  absl::Duration delay_min = absl::Milliseconds(1);
  absl::Duration delay_max = absl::Milliseconds(3);
  // Per thousand messages.
  uint64_t lost = 0;
  uint64_t duplicated = 0;
};

class QuorumBed {
 public:
  explicit QuorumBed(uint64_t seed = 1, int voters = 3);
  ~QuorumBed();

  // ---- The world ----
  void RunFor(absl::Duration time) { loop_.RunFor(time); }
  [[nodiscard]] bool RunUntil(absl::FunctionRef<bool()> done,
                              absl::Duration bound = absl::Seconds(30)) {
    return loop_.RunUntil(done, bound);
  }
  // Until one leads and all that live have applied what it has.
  [[nodiscard]] bool Settle(absl::Duration bound = absl::Seconds(30));

  // ---- Voters ----
  // Also makes a new one, a member of nothing.
  void Start(int node);
  void Crash(int node, sim::CrashMode mode = sim::CrashMode::kLoseAll);
  // Its disk is gone: another directory.
  void Wipe(int node);
  bool alive(int node) const { return voters_.at(node).log != nullptr; }
  QuorumLog& log(int node) { return *voters_.at(node).log; }
  BedMachine& machine(int node) { return *voters_.at(node).machine; }
  sim::SimFileSystem& files(int node) { return *voters_.at(node).files; }
  sim::SimExecutor& disk(int node) { return *voters_.at(node).disk; }
  sim::SimExecutor& snapshot_disk(int node) { return *voters_.at(node).snapshot_disk; }
  const VoterId& id(int node) const { return voters_.at(node).id; }
  // What it told its transport last.
  const std::vector<Peer>& peers(int node) const;
  std::vector<int> nodes() const;
  // The one that leads in the highest term, 0 if none.
  int leader() const;
  // Appends at the leader; its id.
  absl::StatusOr<EntryId> Append(const std::string& payload);

  // ---- The network ----
  BedNetwork& network() { return network_; }
  void Cut(int from, int to) { cut_.insert({from, to}); }
  void Isolate(int node);
  void Heal() { cut_.clear(); }
  // Called with all that a voter sends, before the network has it.
  void SetOnSend(std::function<void(const Message&)> on_send) { on_send_ = std::move(on_send); }

  // Empty unless two machines applied different things at one index.
  const std::string& violation() const { return violation_; }
  sim::SimLoop& loop() { return loop_; }
  sim::SimRandom& random() { return random_; }
  QuorumLog::Options& options() { return options_; }
  std::map<LogIndex, std::string>& history() { return history_; }

 private:
  friend class BedMachine;
  class BedTransport;
  struct Server {
    VoterId id;
    std::unique_ptr<sim::SimFileSystem> files;
    std::unique_ptr<sim::SimClock> clock;
    std::unique_ptr<sim::SimExecutor> owner;
    std::unique_ptr<sim::SimExecutor> disk;
    std::unique_ptr<sim::SimExecutor> snapshot_disk;
    std::unique_ptr<BedTransport> transport;
    std::unique_ptr<BedMachine> machine;
    std::unique_ptr<QuorumLog> log;
  };

  void Stop(Server* server);
  void NoteApplied(int node, LogIndex index, const std::string& line);
  void Deliver(const Message& message);

  sim::SimLoop loop_;
  sim::SimRandom random_;
  std::unique_ptr<sim::SimExecutor> net_;
  sim::SimClock net_clock_;
  BedNetwork network_;
  QuorumLog::Options options_;
  VoterSet founders_;
  std::map<int, Server> voters_;
  std::set<std::pair<int, int>> cut_;
  std::function<void(const Message&)> on_send_;
  std::map<LogIndex, std::string> history_;
  std::string violation_;
};

}  // namespace millrace::raft::testing

#endif  // RAFT_HOST_TESTING_QUORUM_BED_H_
