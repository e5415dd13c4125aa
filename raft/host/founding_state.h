// FoundingState: what a node that may found a quorum says of itself to the others (S-18).
//
// Thread: any (a value).
// Source: S-18; KIP-853 (a voter is a node and a directory).
#ifndef RAFT_HOST_FOUNDING_STATE_H_
#define RAFT_HOST_FOUNDING_STATE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "base/ids.h"
#include "raft/types.h"

namespace millrace::raft {

// Numbers are persistent and travel between nodes.
enum class FoundingPhase : uint8_t {
  // Belongs to no cluster and has promised nothing.
  kEmpty = 0,
  // Would found a cluster with exactly `voters`; may be replaced by another set.
  kPrepared = 1,
  // Belongs to the cluster, for ever.
  kFounded = 2,
};

struct FoundingState {
  VoterId self;
  // Where `self` listens for the quorum.
  std::string address;
  FoundingPhase phase = FoundingPhase::kEmpty;
  // kPrepared, kFounded: the founding set, sorted by id. Empty for one who joined later, and for
  // all in a quorum that was recovered.
  std::vector<Voter> voters;
  // kFounded only.
  ClusterId cluster_id;
  // kFounded only: how often the quorum was recovered since (raft/host/hello.h).
  int64_t generation = 0;

  friend bool operator==(const FoundingState&, const FoundingState&) = default;
};

}  // namespace millrace::raft

#endif  // RAFT_HOST_FOUNDING_STATE_H_
