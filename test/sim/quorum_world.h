// QuorumWorld: controllers, the network between them, and the checks that watch them: what may
// happen to a simulated quorum, at whose command is quorum_scenario.h's.
//
// Thread: the simulation's one.
#ifndef TEST_SIM_QUORUM_WORLD_H_
#define TEST_SIM_QUORUM_WORLD_H_

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "base/sim/sim_executor.h"
#include "base/sim/sim_random.h"
#include "test/sim/quorum_checks.h"
#include "test/sim/quorum_server.h"

namespace millrace::sim {

struct QuorumNetwork {
  absl::Duration delay_min = absl::Microseconds(200);
  absl::Duration delay_max = absl::Milliseconds(2);
  // Per thousand messages.
  uint64_t lost = 0;
  uint64_t duplicated = 0;
  // These arrive much later than others.
  uint64_t late = 0;
  // Of the pieces of snapshots: bits flipped where no checksum looks.
  uint64_t damaged = 0;
  // As on one connection: no message overtakes another.
  bool ordered = true;
};

class QuorumWorld final : private QuorumObserver {
 public:
  // `replace_after`: see QuorumServer::Options.
  QuorumWorld(uint64_t seed, int voters, absl::Duration replace_after);
  ~QuorumWorld() override;

  SimLoop& loop() { return loop_; }
  QuorumChecks& checks() { return checks_; }
  bool ok() const { return checks_.violation().empty(); }
  // Until then, or until something is violated.
  void RunFor(absl::Duration duration);
  uint64_t trace_hash() const { return MixBits(loop_.trace_hash() ^ trace_); }

  // ---- Servers, by node ----
  std::vector<int> nodes() const;
  QuorumServer& server(int node) { return *servers_.at(node); }
  bool running(int node) const { return servers_.at(node)->running(); }
  // The one that leads in the highest term, 0 if none does.
  int leader() const;
  void Start(int node);
  // The same, where damage may be found. Errors: why it does not start.
  absl::Status TryStart(int node);
  void Kill(int node);
  void LosePower(int node, CrashMode mode);
  void Wipe(int node);
  // A controller that is a member of nothing.
  void AddEmpty(int node);
  void Pause(int node, absl::Duration duration);
  void HangDisk(int node, absl::Duration duration);
  // Whether some voter's directory is gone for good.
  bool HasGhost(const raft::VoterSet& set) const;
  bool IsGhost(const raft::VoterId& id) const;
  static std::string AddressOf(int node);

  // ---- The network ----
  QuorumNetwork& network() { return network_; }
  void Cut(int from, int to) { cut_.insert({from, to}); }
  void Isolate(int node);
  void HealLinks() { cut_.clear(); }
  // A connection breaks; its peer's process may be well.
  void Unreachable(int node, int peer);

 private:
  // ---- QuorumObserver ----
  void OnOpened(int node, const raft::WalRecovery& found,
                const raft::SnapshotOffer* snapshot) override;
  void OnReady(int node, const raft::Node& core, const raft::Ready& ready) override;
  void OnDelivered(int node, absl::Span<const rsm::CommittedEntry> entries) override;
  void OnApplied(int node, LogIndex index, const controller::State& state,
                 absl::Span<const rsm::Record> records) override;
  void OnLoaded(int node, LogIndex index, const controller::State& state) override;
  void OnBecameLeader(int node) override;
  void OnFailed(int node, const absl::Status& status) override;
  void OnSend(int node, const raft::Message& message) override;
  std::vector<raft::HeardPeer> Heard(int node) override;
  void OnReplacing(int node, const raft::VoterChange& change) override;

  void AddServer(int node, uint64_t directory);
  void Deliver(const raft::Message& message, MonotonicTime when);
  raft::Message Damaged(raft::Message message);
  void TellOfBreak(int node);
  void AfterEvent();
  const SimFileSystem* DiskOf(const raft::VoterId& id) const;

  SimLoop loop_;
  SimRandom random_;
  const absl::Duration replace_after_;
  raft::VoterSet founders_;
  QuorumChecks checks_;
  QuorumNetwork network_;
  std::unique_ptr<SimExecutor> net_;
  std::map<int, std::unique_ptr<QuorumServer>> servers_;
  // What replaced disks held: it was durable when it was counted.
  std::map<raft::VoterId, std::unique_ptr<SimFileSystem>> lost_disks_;
  std::map<raft::VoterId, MonotonicTime> lost_at_;
  std::set<std::pair<int, int>> cut_;
  std::map<std::pair<int, int>, MonotonicTime> last_arrival_;
  // Their log has stopped: the process ends after this event.
  std::set<int> failed_;
  uint64_t trace_ = 0;
};

}  // namespace millrace::sim

#endif  // TEST_SIM_QUORUM_WORLD_H_
