// Election: when a node stands for election, how it is elected, and whom it votes for.
//
// A voter that misses its leader first asks whether it would be elected (pre-vote), without
// touching anybody's term; a majority refuses while it still hears its leader, so that a node that
// was cut off, paused or removed cannot disturb the others when it comes back. Only then it raises
// the term and asks for votes.
//
// Not here: what a leader does once elected, and the rule about terms, which is Node's.
//
// Thread: owner's executor.
// Source: Raft paper 5.2, 5.4.1; thesis 3.4, 4.2.3 (leader stickiness), 9.6 (pre-vote).
#ifndef RAFT_ELECTION_H_
#define RAFT_ELECTION_H_

#include <map>
#include <optional>

#include "base/ids.h"
#include "base/monotonic_time.h"
#include "raft/messages.h"
#include "raft/server_state.h"

namespace millrace::raft {

class Election {
 public:
  explicit Election(ServerState* state) : state_(*state) {}

  // Draws the first election timeout; a lone voter stands at once, having nobody to wait for.
  void Start();

  // When Tick wants to be called. Never, for one who may not stand.
  MonotonicTime deadline() const { return MayStand() ? deadline_ : MonotonicTime::Never(); }
  void Tick();

  // The leader of this term was heard.
  void OnLeaderHeard();
  // The leader's process was seen to be gone: need not be waited for.
  void OnLeaderUnreachable();
  // This node is a follower in a (perhaps new) term.
  void OnBecameFollower();

  // Whether a request for votes is to be passed over because a leader lives, as far as is known
  // here. `leader_has_quorum`: this node leads, and heard a majority not long ago.
  bool HoldsOnToLeader(const VoteRequest& request, bool leader_has_quorum) const;

  void OnVoteRequest(const VoterId& from, const VoteRequest& request);
  // True if this answer made the node the leader.
  bool OnVoteResponse(const VoterId& from, const VoteResponse& response);
  // The leader asks this node to take over.
  void OnTimeoutNow();
  // The hard state became durable: the own vote counts from here on. True if it elected the node.
  bool OnPersisted();

 private:
  bool MayStand() const;
  void StandForPreVote();
  void Stand(bool leadership_transfer);
  void AskForVotes(const VoteRequest& request);
  bool Tally();
  absl::Duration CampaignTimeout();

  ServerState& state_;
  MonotonicTime deadline_;
  // When the leader of this term was last heard; empty if not to be held on to.
  std::optional<MonotonicTime> leader_heard_;
  // Who has answered in the campaign under way.
  std::map<VoterId, bool> votes_;
  bool leadership_transfer_ = false;
  // Begun since a leader was heard: so far they elected nobody.
  int campaigns_ = 0;
};

}  // namespace millrace::raft

#endif  // RAFT_ELECTION_H_
