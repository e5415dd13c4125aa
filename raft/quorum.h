// Quorum: what a majority has reached, and whether an election is decided.
//
// Any two majorities of one set of voters meet, and so do majorities of two sets that differ by one
// voter (thesis 4.1, figure 4.3): all of Raft's safety rests on these few lines. Learners are not
// counted.
//
// Thread: any (pure functions).
// Source: Raft paper 5.2, 5.4; thesis 4.1.
#ifndef RAFT_QUORUM_H_
#define RAFT_QUORUM_H_

#include <algorithm>
#include <functional>
#include <map>
#include <vector>

#include "base/check.h"
#include "raft/types.h"

namespace millrace::raft {

// The smallest number of `voters` voters that is more than half of them.
size_t MajorityOf(size_t voters);

// Those of the set who count: not learners. In order of their ids.
std::vector<VoterId> CountedVoters(const VoterSet& set);
bool IsCountedVoter(const VoterSet& set, const VoterId& id);

// The greatest value that a majority of voters has reached, given one value for each: the commit
// index from match indexes, the confirmed round from acknowledged rounds, the time of the last
// contact with a majority from contacts. REQUIRES: not empty.
template <class T>
T ReachedByMajority(std::vector<T> values) {
  CHECK(!values.empty());
  const auto nth = values.begin() + static_cast<std::ptrdiff_t>(MajorityOf(values.size())) - 1;
  std::nth_element(values.begin(), nth, values.end(), std::greater<T>());
  return *nth;
}

enum class VoteOutcome { kPending, kWon, kLost };

// `votes`: who has answered, and whether it granted. Answers of others than voters of the set do
// not count. An empty set elects nobody.
VoteOutcome CountVotes(const VoterSet& set, const std::map<VoterId, bool>& votes);

}  // namespace millrace::raft

#endif  // RAFT_QUORUM_H_
