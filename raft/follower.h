// Follower: what a node does with a leader's appends and snapshots.
//
// Called with messages of the current term only; Node has already recognised the leader and renewed
// the election timeout. Every acknowledgement leaves when the Ready that holds it is durable, and
// names what its own request proved, never simply the end of the log (S-10).
//
// Thread: owner's executor.
// Source: Raft paper 5.3, figure 2 (AppendEntries, receiver), figure 13 (InstallSnapshot,
// receiver).
#ifndef RAFT_FOLLOWER_H_
#define RAFT_FOLLOWER_H_

#include "base/ids.h"
#include "raft/messages.h"
#include "raft/server_state.h"
#include "raft/snapshots.h"

namespace millrace::raft {

class Follower {
 public:
  explicit Follower(ServerState* state) : state_(*state) {}

  void OnAppend(const VoterId& leader, const AppendRequest& request);
  void OnSnapshotOffer(const VoterId& leader, const SnapshotOffer& offer);
  void OnSnapshotChunk(const VoterId& leader, const SnapshotChunk& chunk);

  // The host has verified the file that it received, or found it wrong.
  void OnSnapshotReceived(const SnapshotId& id, bool valid);
  // What was received of a snapshot before a restart.
  void ResumeSnapshot(const SnapshotId& id, uint64_t received);

 private:
  // The entries of `request` that are not committed here already, and what they follow.
  struct News {
    EntryId previous;
    size_t first = 0;
  };
  News SkipCommitted(const AppendRequest& request) const;
  // Makes the log agree with the request's entries; returns through where it does.
  LogIndex Merge(const AppendRequest& request, const News& news);
  void Accept(const VoterId& leader, LogIndex match, Round round, bool full = false);
  void Refuse(const VoterId& leader, const AppendRequest& request);
  void AdvanceCommit(LogIndex commit);

  ServerState& state_;
  SnapshotReceiver receiver_;
};

}  // namespace millrace::raft

#endif  // RAFT_FOLLOWER_H_
