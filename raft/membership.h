// Membership: who the voters are, now and at each entry of the log; and which changes are allowed.
//
// A set takes effect when its entry is appended, and is taken back when the entry is cut off. One
// voter is added or removed at a time, so that a majority of the old set and one of the new always
// meet; a voter joins as a learner first, and is promoted when it has caught up. A voter is a node
// on a directory: one that lost its disk is replaced by two changes, never by one (S-17).
//
// Thread: owner's executor (the class); any (the functions).
// Source: Raft thesis 4.1 (single-server changes, with the correction of 2015 that Leader obeys),
// 4.2.1 (learners), 4.2.2 (removing the leader).
#ifndef RAFT_MEMBERSHIP_H_
#define RAFT_MEMBERSHIP_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/ids.h"
#include "raft/types.h"

namespace millrace::raft {

struct VoterChange {
  enum class Kind {
    // `id` receives the log from now on, and counts for nothing. With `address`.
    kAddLearner,
    // The learner `id` counts from now on.
    kPromote,
    // The voter or learner `id` is gone.
    kRemove,
    // Member `id` is now to be found at `address`.
    kSetAddress,
  };

  Kind kind;
  VoterId id;
  std::string address = {};
};

// The set that `change` makes of `set` (its id is left to be filled in).
// Errors: INVALID_REQUEST if the change does not fit the set: a member added twice, a second voter
// of one node, the last voter removed, too many, nobody of that id.
absl::StatusOr<VoterSet> ChangeVoters(const VoterSet& set, const VoterChange& change);

class Membership {
 public:
  // `base` is in force before the first of `entries`: the snapshot's set, or the founding one.
  explicit Membership(VoterSet base) : sets_{std::move(base)} {}

  // The newest, committed or not: the one that counts.
  const VoterSet& latest() const { return sets_.back(); }
  // The one in force when the log ended with `index`. REQUIRES: not compacted away.
  const VoterSet& At(LogIndex index) const;

  // Follow the log. Append: CORRUPT_MESSAGE, with nothing changed, if a kVoters entry cannot be
  // read; entries of other types are ignored.
  absl::Status Append(const Entry& entry);
  void TruncateFrom(LogIndex from);
  void CompactTo(LogIndex to);
  void Restart(VoterSet base);

 private:
  // In order of their entries; never empty. All but the first are of entries in the log.
  std::vector<VoterSet> sets_;
};

}  // namespace millrace::raft

#endif  // RAFT_MEMBERSHIP_H_
