// VoterReplacement: a voter lost its directory, and its node came back on an empty one: which
// change of the quorum comes next so that the new directory takes the place of the old, and when.
//
//   {1/a, 2/b, 3/c}: node 3 asks on d --c silent--> learner 3/d --caught up--> without 3/c --> 3/d
//   votes
//
// In this order no step makes a majority harder to reach than the loss already did: a learner
// counts for nothing, and with the lost voter goes one that could not vote. It decides and does
// nothing. Whoever leads next goes on from the set that it finds: nothing has to be remembered. Not
// here: a node that is no voter is added by command only, and so is one whose loss is not the only
// one.
//
// Thread: one owner.
// Source: S-17; Raft thesis 4.1, 4.2.1; KIP-853, KIP-1186.
#ifndef RAFT_HOST_VOTER_REPLACEMENT_H_
#define RAFT_HOST_VOTER_REPLACEMENT_H_

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "absl/time/time.h"
#include "base/monotonic_time.h"
#include "raft/host/hello.h"
#include "raft/membership.h"
#include "raft/node.h"
#include "raft/types.h"

namespace millrace::raft {

// What a leader sees of its quorum.
struct ReplacementView {
  struct Member {
    VoterId id;
    bool learner = false;
    // It takes entries, and lacks few.
    bool well = false;
    // Its last answer, or the election if that was later.
    MonotonicTime last_contact;
  };

  NodeId self = kNoNode;
  // An entry of the own term is committed, and no change of the set is open.
  bool settled = false;
  // In order of their ids, this node included.
  std::vector<Member> members;
  // Those whose hellos were accepted, by id: members, former ones and newcomers.
  std::vector<HeardPeer> heard;
};

// REQUIRES: `leader` leads.
ReplacementView ViewOf(const Node& leader, std::vector<HeardPeer> heard, MonotonicTime now);

class VoterReplacement {
 public:
  // `silence_min`: how long the old directory must have been out of reach, with its node asking on
  // the new one and all other voters well, without a break.
  explicit VoterReplacement(absl::Duration silence_min) : silence_min_(silence_min) {}

  // A new leader knows nothing of how long anybody was silent.
  void OnLed();
  // The next change to propose, if it is time for one. To be asked every so often, and with the
  // newest view: what happens between two questions is seen by its traces.
  std::optional<VoterChange> Next(const ReplacementView& view, MonotonicTime now);

  // Newcomers whose old directory is silent, and since when that is held against it.
  const std::map<VoterId, MonotonicTime>& waiting() const { return waiting_; }

 private:
  using Members = std::vector<const ReplacementView::Member*>;

  // Newcomers on a directory that does not vote; those that are learners already come first.
  std::vector<const HeardPeer*> Newcomers(const ReplacementView& view) const;
  std::optional<VoterChange> NextFor(const HeardPeer& newcomer, const ReplacementView& view,
                                     MonotonicTime now);
  // Whether the other directories of the newcomer's node have been silent for long enough.
  bool AreGone(const HeardPeer& newcomer, const Members& others, const ReplacementView& view,
               MonotonicTime now);
  // Whether nothing was heard of the directory since it was asked about last.
  bool IsSilent(const ReplacementView::Member& member, const ReplacementView& view);

  const absl::Duration silence_min_;
  std::map<VoterId, MonotonicTime> waiting_;
  // Of directories that may be replaced: the newest hello that was seen.
  std::map<VoterId, uint64_t> hellos_;
};

}  // namespace millrace::raft

#endif  // RAFT_HOST_VOTER_REPLACEMENT_H_
