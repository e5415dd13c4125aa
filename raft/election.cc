#include "raft/election.h"

#include <algorithm>

#include "base/mutant.h"
#include "raft/quorum.h"

namespace millrace::raft {

void Election::Start() {
  OnBecameFollower();
  const bool alone = CountedVoters(state_.membership.latest()).size() == 1;
  if (alone && MayStand()) deadline_ = state_.now;
}

// A server outside of its newest configuration still stands while that configuration may not be
// committed: it may be the only one that has it (thesis 4.2.2).
bool Election::MayStand() const {
  if (state_.role == Role::kLeader || !state_.may_vote()) return false;
  if (state_.is_voter()) return true;
  const bool uncommitted = state_.membership.latest().id.index > state_.commit();
  return uncommitted && IsCountedVoter(state_.membership.At(state_.commit()), state_.self);
}

void Election::Tick() {
  if (state_.now < deadline()) return;
  if (MUTANT("raft.no-pre-vote")) return Stand(false);
  StandForPreVote();
}

void Election::OnLeaderHeard() {
  campaigns_ = 0;
  leader_heard_ = state_.now;
  deadline_ = state_.now +
              state_.Draw(state_.options.election_timeout_min, state_.options.election_timeout_max);
}

void Election::OnLeaderUnreachable() {
  leader_heard_.reset();
  deadline_ = std::min(deadline_, state_.now + state_.Draw(state_.options.unreachable_delay_min,
                                                           state_.options.unreachable_delay_max));
}

void Election::OnBecameFollower() {
  votes_.clear();
  leader_heard_.reset();
  deadline_ = state_.now +
              state_.Draw(state_.options.election_timeout_min, state_.options.election_timeout_max);
}

// Each failure in a row doubles the range, so that however slow disks and network are, some
// campaign is given the time it needs; and times are drawn, so that rivals part (paper 5.2).
absl::Duration Election::CampaignTimeout() {
  const Options& options = state_.options;
  const int64_t factor = int64_t{1} << std::min(campaigns_, 10);
  ++campaigns_;
  const absl::Duration longest =
      state_.Draw(options.election_timeout_min, options.election_timeout_max);
  return std::min(longest, state_.Draw(options.campaign_timeout_min * factor,
                                       options.campaign_timeout_max * factor));
}

// Thesis 9.6: nothing changes but the role. There is nothing to make durable, and so the own
// answer counts at once.
void Election::StandForPreVote() {
  state_.role = Role::kPreCandidate;
  state_.leader.reset();
  leader_heard_.reset();
  votes_ = {{state_.self, true}};
  deadline_ = state_.now + CampaignTimeout();
  leadership_transfer_ = false;
  AskForVotes(VoteRequest{.pre_vote = true,
                          .campaign_term = state_.term() + 1,
                          .last = state_.log.last(),
                          .leadership_transfer = false});
  Tally();
}

// Paper 5.2: "increments its current term ... votes for itself and issues RequestVote RPCs". The
// own vote counts when it is durable (S-10).
void Election::Stand(bool leadership_transfer) {
  state_.role = Role::kCandidate;
  state_.leader.reset();
  leader_heard_.reset();
  state_.hard.term = state_.term() + 1;
  state_.hard.voted_for = state_.self;
  votes_.clear();
  if (MUTANT("raft.own-vote-not-durable")) votes_ = {{state_.self, true}};
  deadline_ = state_.now + CampaignTimeout();
  leadership_transfer_ = leadership_transfer;
  AskForVotes(VoteRequest{.pre_vote = false,
                          .campaign_term = state_.term(),
                          .last = state_.log.last(),
                          .leadership_transfer = leadership_transfer});
}

void Election::AskForVotes(const VoteRequest& request) {
  for (const VoterId& voter : CountedVoters(state_.membership.latest())) {
    if (voter == state_.self) continue;
    if (MUTANT("raft.own-vote-not-durable")) {
      state_.Tell(voter, request);
    } else {
      state_.Promise(voter, request);
    }
  }
}

bool Election::HoldsOnToLeader(const VoteRequest& request, bool leader_has_quorum) const {
  if (request.leadership_transfer || MUTANT("raft.no-stickiness")) return false;
  if (state_.role == Role::kLeader) return leader_has_quorum;
  return leader_heard_.has_value() &&
         state_.now < *leader_heard_ + state_.options.election_timeout_min;
}

void Election::OnVoteRequest(const VoterId& from, const VoteRequest& request) {
  // Paper 5.4.1: the candidate's log must hold all that may be committed; the voter's word for it
  // is that its own log is not newer: by last term, then by length.
  const bool up_to_date =
      request.last >= state_.log.last() || MUTANT("raft.vote-without-log-check");
  bool granted = up_to_date && state_.may_vote();
  if (request.pre_vote) {
    granted = granted && request.campaign_term > state_.term();
    if (granted && state_.role != Role::kLeader) {
      // Lets the one that asked first go ahead, instead of splitting the vote with it.
      deadline_ =
          std::max(deadline_, state_.now + state_.Draw(state_.options.unreachable_delay_min,
                                                       state_.options.unreachable_delay_max));
    }
  } else {
    // Paper 5.2: one vote in a term, first come, first served.
    const std::optional<VoterId>& voted = state_.hard.voted_for;
    const bool free = !voted.has_value() || *voted == from || MUTANT("raft.vote-twice");
    granted = granted && free && request.campaign_term == state_.term();
    if (granted) {
      if (!MUTANT("raft.vote-not-kept")) state_.hard.voted_for = from;
      deadline_ = state_.now + state_.Draw(state_.options.election_timeout_min,
                                           state_.options.election_timeout_max);
    }
  }
  const VoteResponse response{request.pre_vote, request.campaign_term, granted};
  if (MUTANT("raft.vote-before-persist")) return state_.Tell(from, response);
  state_.Promise(from, response);
}

bool Election::OnVoteResponse(const VoterId& from, const VoteResponse& response) {
  const bool awaited =
      response.pre_vote
          ? state_.role == Role::kPreCandidate && response.campaign_term == state_.term() + 1
          : state_.role == Role::kCandidate && response.campaign_term == state_.term();
  if (!awaited) return false;
  votes_[from] = response.granted;
  return Tally();
}

bool Election::OnPersisted() {
  const bool own_vote_durable =
      state_.durable.term == state_.term() && state_.durable.voted_for == state_.self;
  if (state_.role != Role::kCandidate || !own_vote_durable) return false;
  votes_[state_.self] = true;
  return Tally();
}

// Returns true if the node is elected; the caller makes it the leader.
bool Election::Tally() {
  const VoteOutcome outcome = CountVotes(state_.membership.latest(), votes_);
  if (outcome == VoteOutcome::kPending) return false;
  if (outcome == VoteOutcome::kLost) {
    // Waits for the winner, or for its own next turn.
    state_.role = Role::kFollower;
    return false;
  }
  if (state_.role == Role::kCandidate) return true;
  Stand(false);
  return false;
}

void Election::OnTimeoutNow() {
  // No pre-vote: the leader itself wants this election (thesis 3.10).
  if (MayStand()) Stand(true);
}

}  // namespace millrace::raft
