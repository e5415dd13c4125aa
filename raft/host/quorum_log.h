// QuorumLog: the CommitLog of one voter of a quorum, or of one that waits to join: raft::Node,
// driven over WAL, snapshots and transport.
//
//   messages, time, the disk's word --> Node --> Ready --> ReadyWriter --> WAL, snapshot store
//                                                 |-----> Transport
//                                                 |-----> the listener: commits, leadership
//
// A lone voter runs on the same code, as a quorum of one: it stands at once, and its own disk is
// the majority. Proposals that arrive while one sync runs make the next group. A failed write or
// sync is final: nothing is said or delivered after it.
//
// Thread: owner's executor (Open before it runs).
// Source: Raft thesis 3, 5, 6, 10.2.1; raft/ready.h; S-09 to S-12, S-17, S-36.
#ifndef RAFT_HOST_QUORUM_LOG_H_
#define RAFT_HOST_QUORUM_LOG_H_

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/deadline_timer.h"
#include "base/ids.h"
#include "base/monotonic_time.h"
#include "base/random.h"
#include "base/status.h"
#include "raft/host/quorum_metrics.h"
#include "raft/host/ready_writer.h"
#include "raft/host/snapshot_machine.h"
#include "raft/host/snapshot_store.h"
#include "raft/host/snapshot_taker.h"
#include "raft/host/transport.h"
#include "raft/host/wal.h"
#include "raft/node.h"
#include "rsm/commit_log.h"

namespace millrace::raft {

class QuorumLog final : public rsm::CommitLog, private TransportReceiver {
 public:
  struct Options {
    raft::Options raft;
    WalOptions wal;
    VoterId self;
    // The founding voters, in force before the first entry. Empty: a member of nothing yet, which
    // waits for a leader to find it.
    VoterSet founders;
    // Where nodes may be found, beside those that the log names.
    std::vector<Peer> known_peers;
    // A snapshot is taken after so much was committed; before the log in memory is full in any
    // case.
    uint64_t snapshot_after_bytes = 20 << 20;
    // ... or so long after something was, if that comes first.
    absl::Duration snapshot_interval = absl::InfiniteDuration();
  };
  struct Dependencies {
    Wal::Dependencies wal;
    // Draws election timeouts; on the owner's executor.
    std::unique_ptr<Random> random;
    // Null: a lone voter.
    Transport* transport = nullptr;
    // The three null: no snapshots are taken or received. The machine must have been loaded from
    // the store's newest.
    std::shared_ptr<SnapshotStore> snapshots;
    Executor* snapshot_disk = nullptr;
    SnapshotMachine* machine = nullptr;
    QuorumMetrics* metrics = nullptr;  // May be null.
    // For checkers; may be null. Sees each Ready before it is carried out, and an empty one when
    // the node was made.
    std::function<void(const Node&, const Ready&)> on_ready = {};
  };

  // Blocking, as Wal::Open, with its errors. Also INVALID_DIRECTORY if the log belongs to another
  // node, directory or set of voters.
  static absl::StatusOr<std::unique_ptr<QuorumLog>> Open(Options options,
                                                         Dependencies dependencies);
  ~QuorumLog() override;

  // What Open found; its entries are moved out by Start.
  const WalRecovery& recovery() const { return recovery_; }

  // The machine holds what was committed up to here: the newest snapshot's last entry, or a later
  // one that recovery() has. Entries from there on are delivered. REQUIRES: before Start.
  void SetMachineAt(LogIndex index) { machine_at_ = index; }

  // CommitLog.
  void Start(Listener* listener) override;
  absl::StatusOr<EntryId> Append(Bytes payload) override;
  void ConfirmLeadership(ConfirmCallback done) override;
  void Stop(const absl::Status& why) override { Fail(why); }

  // Called after each change of who leads, as this voter sees it.
  void SetOnLeaderChanged(std::function<void(const RoleState&)> changed) {
    on_leader_changed_ = std::move(changed);
  }
  const RoleState& role() const { return role_; }
  // The leader and its address, as far as they are known: what NOT_CONTROLLER carries.
  LeaderHint leader_hint() const;

  using ChangeCallback = absl::AnyInvocable<void(absl::Status) &&>;
  // Changes the voters by one; `done` when the change is committed. Errors: as
  // Node::ChangeMembership; OUTCOME_UNKNOWN if leadership was lost first.
  void ChangeMembership(const VoterChange& change, ChangeCallback done);
  // Begins to hand leadership over. Errors: as Node::TransferLeadership.
  absl::Status TransferLeadership(const VoterId& target);

  // The term of an entry that is in memory, or the newest snapshot's last.
  std::optional<Term> TermAt(LogIndex index) const { return node_->log().TermAt(index); }
  // REQUIRES: started. For describing.
  const Node& node() const { return *node_; }
  MonotonicTime now() const { return dependencies_.wal.clock->Now(); }
  bool failed() const { return !failed_.ok(); }
  // False for a voter that is the only one that counts, by the newest set that it knows.
  bool others_may_lead() const;

 private:
  QuorumLog(Options options, Dependencies dependencies);

  InitialState TakeInitialState();
  absl::Status Begin();

  // TransportReceiver.
  void OnMessage(const Message& message) override;
  void OnUnreachable(NodeId peer) override;
  void OnSuperseded(const absl::Status& why) override { Fail(why); }

  // Carries out all that the node wants done. Calls the listener.
  void Pump();
  void SchedulePump();
  void Take(Ready ready);
  void TakeRole(const RoleState& role);
  void Deliver(std::vector<Entry> committed);
  void AnswerReads(const std::vector<ReadResult>& reads);
  void EndChange(const EntryId& id);
  void EndCommittedChanges();
  void OnPersisted(Ready ready);
  void OnSnapshotEnded(const absl::StatusOr<SnapshotOffer>& snapshot);
  void Send(std::vector<Message> messages);
  void SendChunk(Message message);
  void OnChunkRead(absl::StatusOr<Bytes> data, Message message);
  void UpdatePeers();
  void Fail(const absl::Status& status);
  // Fails what waits for leadership that is over.
  void FailWaiting(const absl::Status& reads, const absl::Status& changes);
  absl::Status NotLeader() const;

  const Options options_;
  const Dependencies dependencies_;
  Listener* listener_ = nullptr;
  std::function<void(const RoleState&)> on_leader_changed_;
  WalRecovery recovery_;
  LogIndex machine_at_;
  std::unique_ptr<Wal> wal_;
  std::unique_ptr<Node> node_;
  std::unique_ptr<ReadyWriter> writer_;
  std::unique_ptr<SnapshotTaker> taker_;
  std::unique_ptr<DeadlineTimer> timer_;

  // What the node has told.
  RoleState role_;
  // The listener was told that this node leads.
  bool leading_ = false;
  LogIndex snapshot_index_;
  // The piece of a snapshot that was asked for last, for each follower.
  struct Piece {
    SnapshotId id;
    uint64_t offset = 0;
    // Before that it cannot have been lost.
    MonotonicTime due_again;
  };
  std::map<VoterId, Piece> pieces_;
  std::map<ReadId, ConfirmCallback> reads_;
  std::map<EntryId, ChangeCallback> changes_;
  bool pumping_ = false;
  bool pump_scheduled_ = false;
  absl::Status failed_;
  std::shared_ptr<const bool> alive_ = std::make_shared<const bool>(true);
};

}  // namespace millrace::raft

#endif  // RAFT_HOST_QUORUM_LOG_H_
