#include "raft/quorum.h"

#include "base/mutant.h"

namespace millrace::raft {

size_t MajorityOf(size_t voters) {
  if (MUTANT("raft.majority-is-half")) return std::max<size_t>(voters / 2, 1);
  return voters / 2 + 1;
}

std::vector<VoterId> CountedVoters(const VoterSet& set) {
  std::vector<VoterId> counted;
  for (const Voter& voter : set.voters) {
    if (!voter.learner || MUTANT("raft.learner-counts")) counted.push_back(voter.id);
  }
  return counted;
}

bool IsCountedVoter(const VoterSet& set, const VoterId& id) {
  const Voter* voter = set.Find(id);
  return voter != nullptr && !voter->learner;
}

VoteOutcome CountVotes(const VoterSet& set, const std::map<VoterId, bool>& votes) {
  const std::vector<VoterId> voters = CountedVoters(set);
  if (voters.empty()) return VoteOutcome::kLost;
  size_t granted = 0;
  size_t refused = 0;
  for (const VoterId& voter : voters) {
    auto it = votes.find(voter);
    if (it == votes.end()) continue;
    (it->second ? granted : refused) += 1;
  }
  const size_t majority = MajorityOf(voters.size());
  if (granted >= majority) return VoteOutcome::kWon;
  // Those who have not answered cannot turn it any more.
  if (voters.size() - refused < majority) return VoteOutcome::kLost;
  return VoteOutcome::kPending;
}

}  // namespace millrace::raft
