// Leader: all that a node knows and does because it leads: replication, commitment, reads, changes
// of membership, handing over.
//
// Made when an election is won and destroyed when leadership ends, so that nothing of one term is
// left for the next. Messages are made when the host takes a Ready, from all that has been proposed
// by then: proposals batch by themselves, and one append carries the newest commit index.
//
// Thread: owner's executor.
// Source: Raft paper 5.3, 5.4.2, 8, figure 2 (rules for leaders); thesis 3.10, 4, 6.2 (a leader cut
// off from the majority steps down), 6.4, 10.2.1.
#ifndef RAFT_LEADER_H_
#define RAFT_LEADER_H_

#include <map>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/ids.h"
#include "base/monotonic_time.h"
#include "raft/membership.h"
#include "raft/messages.h"
#include "raft/progress.h"
#include "raft/read_index.h"
#include "raft/server_state.h"
#include "raft/transfer.h"

namespace millrace::raft {

class Leader {
 public:
  // Takes office: the no-op of the term goes to the end of the log.
  explicit Leader(ServerState* state);

  // See Node, which adds what a node that does not lead answers.
  absl::StatusOr<EntryId> Propose(Bytes payload);
  absl::StatusOr<EntryId> ChangeMembership(const VoterChange& change);
  absl::Status Read(ReadId id);
  absl::Status TransferTo(const VoterId& target);

  // Hands over to the voter that is furthest ahead, if there is one and no transfer is under way.
  void HandOver();

  void OnAppendResponse(const VoterId& from, const AppendResponse& response);
  void OnSnapshotResponse(const VoterId& from, const SnapshotResponse& response);
  void OnUnreachable(NodeId node);
  // The own log became durable further on.
  void OnPersisted();

  void Tick();
  MonotonicTime next_deadline() const;

  // Adds what should be sent now to the state's send_now.
  void FillMessages();

  // A majority was heard within the shortest election timeout: nobody else can have been elected
  // but by this leader's own wish.
  bool HeardMajority() const;
  // No majority was heard for the longest: this leader serves nobody (thesis 6.2).
  bool LostMajority() const;
  // Not in the committed set of voters any more: its work is done (thesis 4.2.2).
  bool Removed() const;
  // The last act of a removed leader: somebody else takes over without waiting for a timeout.
  void SayGoodbye();
  // Reads that wait are told that leadership ended.
  void Abdicate() { reads_.FailAll(&state_.reads); }

  // Of the voters that count, the one whose log is furthest ahead and that answers.
  std::optional<VoterId> BestSuccessor() const;
  const std::map<VoterId, Progress>& peers() const { return peers_; }
  bool transferring() const { return transfer_.active(); }
  LogIndex own_term_begin() const { return own_term_begin_; }

 private:
  EntryId Append(EntryType type, Bytes payload);
  absl::Status CheckRoom(uint64_t cost) const;
  // Errors: RESOURCE_EXHAUSTED unless the learner answers and has nearly all.
  absl::Status CheckCaughtUp(const VoterId& learner) const;
  // `next`: where probing begins for those who are new.
  void SyncPeers(LogIndex next);
  void TryCommit();
  void ConfirmReads();
  MonotonicTime HeardMajorityAt() const;
  // Notes when the newest commit index must have been told; whether that is now.
  bool CommitNoticeDue();
  // Everybody was.
  bool CommitTold() const;
  // The newest set of voters came after this entry, and is committed.
  bool VotersSettledAfter(LogIndex index) const;
  void SendTo(const VoterId& peer, Progress* progress, bool force);
  void SendSnapshot(const VoterId& peer, Progress* progress, bool force);
  void SendAppend(const VoterId& peer, Progress* progress, LogIndex next,
                  std::vector<Entry> entries);

  ServerState& state_;
  LogIndex own_term_begin_;
  // All members but this node, learners too; ordered, so that messages leave in one order.
  std::map<VoterId, Progress> peers_;
  ReadIndex reads_;
  Transfer transfer_;
  // The newest that was begun; messages of the next sending carry the next one.
  Round round_;
  MonotonicTime next_heartbeat_;
  // Everybody hears something in the next sending: a heartbeat is due, or a read waits.
  bool everybody_ = false;
  // The commit index that everybody was told.
  LogIndex told_commit_;
  // When the news of a later one is sent by itself; Never() without such news.
  MonotonicTime commit_notice_ = MonotonicTime::Never();
};

}  // namespace millrace::raft

#endif  // RAFT_LEADER_H_
