// Node: one member of a Raft quorum, as a pure function of what happens to it.
//
// It does no I/O, reads no clock and starts no thread: messages, time and the disk's word come in
// by calls, and everything it wants done comes out of TakeReady (ready.h has the order). The same
// calls with the same random numbers give the same outputs.
//
//   Step, Tick, Propose, ...      TakeReady -> host: WAL, transport, state machine
//            |                        ^
//         [ Node: rule about terms, roles ]
//            |            |           |
//        Election      Follower     Leader        each on ServerState (figure 2's "State")
//
// Thread: owner's executor.
// Source: Raft paper figure 2 ("Rules for Servers"); thesis 3; ready.h, S-10.
#ifndef RAFT_NODE_H_
#define RAFT_NODE_H_

#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/ids.h"
#include "base/monotonic_time.h"
#include "base/random.h"
#include "raft/election.h"
#include "raft/follower.h"
#include "raft/leader.h"
#include "raft/options.h"
#include "raft/ready.h"
#include "raft/server_state.h"
#include "raft/types.h"

namespace millrace::raft {

// What the disk held when the node was started.
struct InitialState {
  HardState hard_state;
  // The newest snapshot that the state machine was loaded from.
  std::optional<SnapshotOffer> snapshot;
  // Without a snapshot: the founding voters (in force before the first entry). Empty: not a member
  // of anything yet; it waits to be found by a leader.
  VoterSet founders;
  // All above the snapshot, without a gap.
  std::vector<Entry> entries;
  // The state machine holds the entries up to here already, which may be beyond the snapshot, so
  // they are committed. They are not delivered again.
  LogIndex applied;
  // The log lost entries while the hard state is intact; the term of the hard state when that was
  // found (kept by the host until may_vote()). The node follows, is repaired, and does not vote
  // before (S-35).
  std::optional<Term> damaged_in;
  // A snapshot whose transfer a restart broke off, and how much of it is durable.
  std::optional<SnapshotId> receiving;
  uint64_t received = 0;
};

class Node {
 public:
  // `random` outlives the node. Tick is due at next_deadline() from the beginning.
  // Errors: INVALID_CONFIG for options out of range; CORRUPT_LOG if the parts of `initial` do not
  // fit together.
  static absl::StatusOr<std::unique_ptr<Node>> Create(const Options& options, const VoterId& self,
                                                      InitialState initial, Random* random,
                                                      MonotonicTime now);

  // ---- What happens ----

  // A message arrived, from whomever: what is not for this voter or makes no sense is dropped.
  void Step(const Message& message, MonotonicTime now);
  // At or after next_deadline(); too early does nothing.
  void Tick(MonotonicTime now);
  // The transport saw a reset or a refusal: the peer's process is probably gone.
  void PeerUnreachable(NodeId peer, MonotonicTime now);
  // All that Readys up to `seq` had to persist is durable. REQUIRES: in order; for every Ready.
  void Persisted(ReadySeq seq, MonotonicTime now);
  // A snapshot of the state machine, whose last entry was delivered here, is durable and verified;
  // the one before it is kept too. Shortens the log.
  void SnapshotTaken(const SnapshotId& id, MonotonicTime now);
  // The last piece of the snapshot being received is on the disk, and the file was checked.
  void SnapshotReceived(const SnapshotId& id, bool valid, MonotonicTime now);

  // ---- What is asked. All answer NOT_CONTROLLER unless this node leads ----

  // Appends an entry; that it is committed is seen by its id in Ready::committed.
  // Errors, with nothing appended: RESOURCE_EXHAUSTED at one of the bounds of Options.
  absl::StatusOr<EntryId> Propose(Bytes payload, MonotonicTime now);
  // Changes the voters, by one; done when the entry is committed. REQUIRES of the caller that
  // replaces a voter: catch up, remove, commit, promote, commit (S-17).
  // Errors: INVALID_REQUEST if it does not fit the set; RESOURCE_EXHAUSTED if not yet: another
  // change is open, the term is new, the learner lags.
  absl::StatusOr<EntryId> ChangeMembership(const VoterChange& change, MonotonicTime now);
  // Answered in Ready::reads, once this leadership is confirmed by a round that begins now (S-12).
  // Errors: RESOURCE_EXHAUSTED.
  absl::StatusOr<ReadId> Read(MonotonicTime now);
  // Hands leadership to `target`; given up after an election timeout, and seen in Ready::role.
  // Errors: INVALID_REQUEST if it is not another voter.
  absl::Status TransferLeadership(const VoterId& target, MonotonicTime now);

  // ---- What comes out ----

  // Empty (seq 0) if there is nothing to do. Call until empty, after each of the calls above; a new
  // one may be taken before an earlier one is persisted.
  Ready TakeReady();
  MonotonicTime next_deadline() const;

  // ---- For describing, checking and tests ----
  const VoterId& self() const { return state_.self; }
  Role role() const { return state_.role; }
  Term term() const { return state_.term(); }
  const std::optional<VoterId>& leader() const { return state_.leader; }
  LogIndex commit() const { return state_.commit(); }
  LogIndex applied() const { return state_.applied; }
  const Log& log() const { return state_.log; }
  const VoterSet& voters() const { return state_.membership.latest(); }
  bool may_vote() const { return state_.may_vote(); }
  // Null unless it leads.
  const Leader* leadership() const { return leader_.get(); }
  const ServerState& state() const { return state_; }

 private:
  // Given to the host, not persisted yet.
  struct OnItsWay {
    ReadySeq seq;
    HardState hard;
    bool to_disk = false;
    MonotonicTime since;
  };

  Node(const Options& options, const VoterId& self, InitialState initial, Random* random);

  // The leader speaks: recognises it. False if the message is to be dropped.
  bool HearLeader(const VoterId& from);
  void AnswerOldTerm(const Message& message);
  void Dispatch(const Message& message);
  void BecomeFollower(Term term);
  void BecomeLeader();
  bool DiskHangs() const;
  absl::Status NotLeader() const;

  void TakeRole(Ready* ready);
  void TakeWrites(Ready* ready);
  void TakeCommitted(Ready* ready);
  // The commit index that may be written now.
  LogIndex CommitOnDisk() const;

  ServerState state_;
  Election election_;
  Follower follower_;
  std::unique_ptr<Leader> leader_;

  ReadySeq last_seq_;
  ReadId last_read_;
  std::deque<OnItsWay> on_its_way_;
  // What the host has been told.
  RoleState told_role_;
  HardState told_hard_;
  EntryId told_voters_;
};

}  // namespace millrace::raft

#endif  // RAFT_NODE_H_
