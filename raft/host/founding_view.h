// FoundingView: what a node knows while its cluster is being founded: itself, its record, and what
// the others answered. Decisions, problems and progress are all read off it.
//
// Thread: any (a value).
// Source: S-18.
#ifndef RAFT_HOST_FOUNDING_VIEW_H_
#define RAFT_HOST_FOUNDING_VIEW_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/ids.h"
#include "base/monotonic_time.h"
#include "raft/host/founding_record.h"
#include "raft/host/founding_state.h"
#include "raft/host/transport.h"
#include "raft/types.h"

namespace millrace::raft {

// One of the other configured nodes.
struct FoundingPeer {
  Peer peer;
  // Its newest answer, whoever gave it.
  std::optional<FoundingState> answer;
  // The answer may be built upon: it was asked for after this node's own promise was durable.
  bool fresh = false;
  // The last question was answered.
  bool answering = false;

  // Null unless the node that is configured here gave a fresh answer.
  const FoundingState* Usable() const {
    return fresh && answer.has_value() && answer->self.node == peer.node ? &*answer : nullptr;
  }
};

// Somebody who asked although not configured here, or in this node's own name.
struct FoundingStranger {
  FoundingState state;
  MonotonicTime last;
};

struct FoundingView {
  VoterId self;
  std::string address;
  // Durable.
  FoundingRecord record;
  // As in FoundingOptions.
  ClusterId join_only;
  // Sorted by node; without this one.
  std::vector<FoundingPeer> peers;
  // Of the last few seconds, and at most a few.
  std::map<VoterId, FoundingStranger> strangers;

  // The configured nodes, this one included, sorted.
  std::vector<NodeId> Nodes() const;
};

// What keeps the cluster from being founded, or will, and that only an operator can change; worst
// first. Each says who has what, and what to do. Errors: INCONSISTENT_NODE_ID where an address
// leads to another node than configured; INCONSISTENT_CLUSTER_ID where peers belong to different
// clusters; INVALID_CONFIG where the lists of voters differ; INVALID_DIRECTORY where a directory
// was copied, restored or exchanged; CORRUPT_MESSAGE where a peer contradicts itself.
std::vector<absl::Status> FoundingProblems(const FoundingView& view);

// The configured nodes that do not answer.
std::vector<NodeId> FoundingSilent(const FoundingView& view);

}  // namespace millrace::raft

#endif  // RAFT_HOST_FOUNDING_VIEW_H_
