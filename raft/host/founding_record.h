// FoundingRecord: what a node's metadata directory remembers of the founding of its cluster.
//
// It is durable before anybody is told of it. Not here: its file (node/founding_file.h), and who
// writes what into it when (raft/host/founding.h).
//
// Thread: any (values and pure functions).
// Source: S-18; KIP-853 (a voter is a node and a directory).
#ifndef RAFT_HOST_FOUNDING_RECORD_H_
#define RAFT_HOST_FOUNDING_RECORD_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/ids.h"
#include "raft/host/founding_state.h"
#include "raft/types.h"

namespace millrace::raft {

// Sets that a directory remembers to have promised before the one in force.
inline constexpr size_t kReplacedPromisesMax = 16;

struct FoundingRecord {
  FoundingPhase phase = FoundingPhase::kEmpty;
  // As in FoundingState: the set promised or founded, sorted by id; empty for one who joined.
  std::vector<Voter> voters;
  // kFounded only.
  ClusterId cluster_id;
  // kFounded only: as in FoundingState.
  int64_t generation = 0;
  // Sets that were promised and then replaced, oldest first: one of them may have been founded by a
  // peer that heard the promise, and this directory then is a voter of it.
  std::vector<std::vector<Voter>> replaced;

  friend bool operator==(const FoundingRecord&, const FoundingRecord&) = default;
};

// Whether both are the same voters; addresses do not make a difference. REQUIRES: sorted by id.
bool SameVoters(const std::vector<Voter>& a, const std::vector<Voter>& b);

bool ContainsVoter(const std::vector<Voter>& voters, const VoterId& id);

// The id of the cluster that these voters found: the same on every node, and never zero. Two
// 64-bit lanes over the ids of nodes and directories, each mixed with the finalizer of MurmurHash3
// (directory ids are 128 random bits, so that no cryptography is needed to keep sets apart).
// REQUIRES: sorted by id.
ClusterId FoundingClusterId(const std::vector<Voter>& voters);

// Whether what a peer said can be built upon and written down: voters sorted and few, addresses of
// printable characters, parts that fit the phase. Errors: CORRUPT_MESSAGE.
absl::Status CheckFoundingState(const FoundingState& state);

// "1, 2 and 3".
std::string NodeNames(const std::vector<Voter>& voters);
std::string NodeNames(const std::vector<NodeId>& nodes);

}  // namespace millrace::raft

#endif  // RAFT_HOST_FOUNDING_RECORD_H_
