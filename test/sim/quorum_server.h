// QuorumServer: one controller of a simulated quorum: the controller's machine on rsm::Host on
// raft::QuorumLog on WAL and snapshot store, as they are shipped, on a disk, strands and a clock of
// its own. What node/ adds (founding, forwarding, calls) is not here.
//
// A kill leaves what the page cache has, a power loss what the disk has; both destroy the process
// and all its strands. A start builds it anew on that.
//
// Thread: the simulation's one.
#ifndef TEST_SIM_QUORUM_SERVER_H_
#define TEST_SIM_QUORUM_SERVER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/sim/sim_clock.h"
#include "base/sim/sim_executor.h"
#include "base/sim/sim_file_system.h"
#include "base/sim/sim_random.h"
#include "controller/machine.h"
#include "controller/state.h"
#include "raft/host/quorum_log.h"
#include "raft/host/voter_replacement.h"
#include "rsm/host.h"

namespace millrace::sim {

// Where a controller keeps its log and its snapshots.
inline constexpr char kQuorumWal[] = "/wal";
inline constexpr char kQuorumSnapshots[] = "/snapshots";

using ControllerHost = rsm::Host<controller::Machine, controller::State>;

// Who watches, and carries messages.
class QuorumObserver {
 public:
  virtual ~QuorumObserver() = default;

  // The log was opened over `snapshot` (null: there is none); nothing has run yet.
  virtual void OnOpened(int node, const raft::WalRecovery& found,
                        const raft::SnapshotOffer* snapshot) = 0;
  // Before it is carried out; an empty one when the core was made.
  virtual void OnReady(int node, const raft::Node& core, const raft::Ready& ready) = 0;
  // What the log hands to the host.
  virtual void OnDelivered(int node, absl::Span<const rsm::CommittedEntry> entries) = 0;
  // The host's state is that of `index`, by what it applied, or from a snapshot.
  virtual void OnApplied(int node, LogIndex index, const controller::State& state,
                         absl::Span<const rsm::Record> records) = 0;
  virtual void OnLoaded(int node, LogIndex index, const controller::State& state) = 0;
  virtual void OnBecameLeader(int node) = 0;
  // The log has stopped for good; the process would end.
  virtual void OnFailed(int node, const absl::Status& status) = 0;
  virtual void OnSend(int node, const raft::Message& message) = 0;
  // Whose streams reach this one.
  virtual std::vector<raft::HeardPeer> Heard(int node) = 0;
  // A voter that lost its directory is about to be replaced: this is the next step.
  virtual void OnReplacing(int node, const raft::VoterChange& change) = 0;
};

class QuorumServer {
 public:
  struct Options {
    raft::VoterId id;
    // With self and founders left out.
    raft::QuorumLog::Options log;
    raft::VoterSet founders;
    uint64_t seed = 0;
    // Lost directories are replaced after so long; infinite: not by themselves.
    absl::Duration replace_after = absl::InfiniteDuration();
  };

  QuorumServer(SimLoop* loop, QuorumObserver* observer, Options options);
  ~QuorumServer();

  // ---- Its life ----
  // Errors: what the log or the snapshot store refuses to start from.
  absl::Status Start();
  void Kill();
  void LosePower(CrashMode mode);
  // The disk is replaced by an empty one: another directory, a member of nothing. The old one's
  // content, as a power loss left it, is the result.
  std::unique_ptr<SimFileSystem> Wipe();
  // Power will be lost before the `n`-th mutating call from now on, whatever is running then.
  void ArmPowerLoss(uint64_t n, CrashMode mode);
  // That call came: LosePower is due, with what the disk had then.
  bool power_lost() const { return crash_image_ != nullptr; }
  void Disarm() { calls_to_crash_ = 0; }

  bool running() const { return process_ != nullptr; }
  bool failed() const;
  int node() const { return options_.id.node.value(); }
  const raft::VoterId& id() const { return options_.id; }
  // Raised by each start.
  int life() const { return life_; }
  // Of the newest snapshot that this disk got from a leader.
  LogIndex installed() const { return installed_; }
  // REQUIRES: running.
  raft::QuorumLog& log();
  ControllerHost& host();
  SimExecutor& owner();
  // Null before it runs.
  const raft::Node* core() const { return core_; }

  // ---- What may happen to it ----
  void Pause();
  // Ends both this and a hanging disk.
  void Resume();
  // Its disks take no more calls.
  void HangDisk();
  // Its wall clock, until the process ends.
  void JumpWall(absl::Duration by);
  // Raised by each start, Pause and HangDisk: says whose end a later moment is.
  int stops() const { return stops_; }
  // Each sync takes up to `max`.
  void SetSyncTime(absl::Duration max) { sync_max_ = max; }
  // Its syncs fail from now on, or only the next one, until the process ends.
  void FailSyncs(bool all);
  bool syncs_fail() const { return syncs_fail_; }
  SimFileSystem& files() { return *files_; }

  // ---- The network's side ----
  // On the owner's strand, at once or when it runs again.
  void Receive(const raft::Message& message);
  void PeerUnreachable(NodeId peer);

 private:
  class Process;

  void EndProcess();
  void PrepareFiles();

  SimLoop& loop_;
  QuorumObserver& observer_;
  Options options_;
  SimRandom random_;
  std::unique_ptr<SimFileSystem> files_;
  std::unique_ptr<Process> process_;
  // Set by its first OnReady.
  const raft::Node* core_ = nullptr;
  int life_ = 0;
  int stops_ = 0;
  LogIndex installed_;
  bool syncs_fail_ = false;
  absl::Duration sync_max_ = absl::Milliseconds(1);
  uint64_t calls_to_crash_ = 0;
  CrashMode crash_mode_ = CrashMode::kLoseAll;
  std::unique_ptr<SimFileSystem> crash_image_;
};

}  // namespace millrace::sim

#endif  // TEST_SIM_QUORUM_SERVER_H_
