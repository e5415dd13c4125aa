#include "raft/host/founding_view.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace millrace::raft {
namespace {

constexpr char kVotersKey[] = "controller.quorum.voters";

std::string Name(const FoundingPeer& peer) {
  return absl::StrCat("node ", peer.peer.node.value(), " at ", peer.peer.address);
}

std::string Value(const FoundingPeer& peer) {
  return absl::StrCat(peer.peer.node.value(), "@", peer.peer.address);
}

std::vector<NodeId> NodesOf(const std::vector<Voter>& voters) {
  std::vector<NodeId> nodes;
  for (const Voter& voter : voters) nodes.push_back(voter.id.node);
  return nodes;
}

// The address of a configured node leads to another one.
void AddImpostors(const FoundingView& view, std::vector<absl::Status>* problems) {
  for (const FoundingPeer& peer : view.peers) {
    if (!peer.answer.has_value() || peer.answer->self.node == peer.peer.node) continue;
    const bool itself = peer.answer->self == view.self;
    const std::string who =
        itself ? "this very process" : absl::StrCat("node ", peer.answer->self.node.value());
    problems->push_back(
        MakeError(ErrorCode::kInconsistentNodeId,
                  absl::StrCat(kVotersKey, " says that node ", peer.peer.node.value(), " is at ",
                               peer.peer.address, ", but ", who,
                               " answers there; correct the list or that node's node.id"),
                  {.name = kVotersKey, .value = Value(peer)}));
  }
}

// Peers that belong to different clusters.
void AddClusterConflicts(const FoundingView& view, std::vector<absl::Status>* problems) {
  const FoundingPeer* first = nullptr;
  for (const FoundingPeer& peer : view.peers) {
    const FoundingState* const theirs = peer.Usable();
    if (theirs == nullptr || theirs->phase != FoundingPhase::kFounded) continue;
    if (!theirs->voters.empty() && FoundingClusterId(theirs->voters) != theirs->cluster_id) {
      problems->push_back(
          MakeError(ErrorCode::kCorruptMessage,
                    absl::StrCat(Name(peer), " says that it belongs to cluster ",
                                 theirs->cluster_id.ToString(), " of nodes ",
                                 NodeNames(theirs->voters), ", but these would have founded ",
                                 FoundingClusterId(theirs->voters).ToString()),
                    {.name = "cluster.id", .value = theirs->cluster_id.ToString()}));
    }
    if (first == nullptr) {
      first = &peer;
    } else if (first->answer->cluster_id != theirs->cluster_id) {
      problems->push_back(MakeError(
          ErrorCode::kInconsistentClusterId,
          absl::StrCat(Name(*first), " belongs to cluster ", first->answer->cluster_id.ToString(),
                       ", but ", Name(peer), " belongs to cluster ", theirs->cluster_id.ToString(),
                       ": they cannot be voters of one quorum; correct ", kVotersKey,
                       " or give the wrong one its own directory"),
          {.name = kVotersKey, .value = Value(peer)}));
    }
  }
}

// The records of this node are of a cluster that the peers do not belong to.
void AddOrphanedRecords(const FoundingView& view, std::vector<absl::Status>* problems) {
  if (view.join_only.is_zero()) return;
  constexpr char kWhatToDo[] =
      "; a new cluster would not know the records: give the cluster's own metadata.log.dir, or "
      "log.dirs that are empty";
  const auto add = [&](absl::string_view but) {
    problems->push_back(
        MakeError(ErrorCode::kInconsistentClusterId,
                  absl::StrCat("the log directories of this node belong to cluster ",
                               view.join_only.ToString(), ", and its metadata directory to none: ",
                               "it can only join that cluster, but ", but, kWhatToDo),
                  {.name = "metadata.log.dir", .value = view.join_only.ToString()}));
  };
  bool all_are_empty = true;
  for (const FoundingPeer& peer : view.peers) {
    const FoundingState* const theirs = peer.Usable();
    const bool founded = theirs != nullptr && theirs->phase == FoundingPhase::kFounded;
    if (theirs == nullptr || founded) all_are_empty = false;
    if (!founded || theirs->cluster_id == view.join_only) continue;
    add(absl::StrCat(Name(peer), " belongs to cluster ", theirs->cluster_id.ToString()));
  }
  if (all_are_empty) add("no other controller belongs to a cluster");
}

// This directory is a voter of a cluster, as a peer says, and does not know it; or knows it only as
// a promise that it has replaced since.
void AddForgottenPromises(const FoundingView& view, std::vector<absl::Status>* problems) {
  for (const FoundingPeer& peer : view.peers) {
    const FoundingState* const theirs = peer.Usable();
    if (theirs == nullptr || theirs->phase != FoundingPhase::kFounded) continue;
    if (!ContainsVoter(theirs->voters, view.self)) continue;
    const FoundingRecord& mine = view.record;
    if (mine.phase == FoundingPhase::kPrepared && SameVoters(mine.voters, theirs->voters)) continue;
    const bool known =
        std::any_of(mine.replaced.begin(), mine.replaced.end(),
                    [&](const auto& set) { return SameVoters(set, theirs->voters); });
    const absl::string_view why =
        known ? "has since promised to found another with a new directory of that node, so one of "
                "that node's directories was put back"
              : "remembers no such promise, so it was restored or copied";
    problems->push_back(MakeError(
        ErrorCode::kInvalidDirectory,
        absl::StrCat("metadata directory ", view.self.directory.ToString(), " of node ",
                     view.self.node.value(), " is a voter of cluster ",
                     theirs->cluster_id.ToString(), ", as ", Name(peer), " says, but ", why,
                     "; give this node an empty metadata.log.dir, and it joins as a new one"),
        {.name = "metadata.log.dir", .value = view.self.directory.ToString()}));
  }
}

void AddCopies(const FoundingView& view, std::vector<absl::Status>* problems) {
  std::map<DirectoryId, NodeId> seen = {{view.self.directory, view.self.node}};
  for (const FoundingPeer& peer : view.peers) {
    const FoundingState* const theirs = peer.Usable();
    if (theirs == nullptr) continue;
    const auto [it, is_new] = seen.insert({theirs->self.directory, theirs->self.node});
    if (is_new) continue;
    problems->push_back(MakeError(
        ErrorCode::kInvalidDirectory,
        absl::StrCat("nodes ", it->second.value(), " and ", theirs->self.node.value(),
                     " have the same metadata directory ", theirs->self.directory.ToString(),
                     ": one is a copy; give one of them an empty metadata.log.dir"),
        {.name = "metadata.log.dir", .value = theirs->self.directory.ToString()}));
  }
}

// Lists of voters that differ: neither side can ever found.
void AddOtherLists(const FoundingView& view, std::vector<absl::Status>* problems) {
  const std::vector<NodeId> mine = view.Nodes();
  for (const FoundingPeer& peer : view.peers) {
    const FoundingState* const theirs = peer.Usable();
    if (theirs == nullptr || theirs->phase != FoundingPhase::kPrepared) continue;
    if (NodesOf(theirs->voters) == mine) continue;
    problems->push_back(MakeError(
        ErrorCode::kInvalidConfig,
        absl::StrCat(kVotersKey, " differs: ", Name(peer), " would found a cluster of nodes ",
                     NodeNames(theirs->voters), ", but this node (", view.self.node.value(),
                     ") one of nodes ", NodeNames(mine), "; give all the same list"),
        {.name = kVotersKey, .value = NodeNames(theirs->voters)}));
  }
  for (const auto& [id, stranger] : view.strangers) {
    const FoundingState& theirs = stranger.state;
    const std::string who = absl::StrCat("node ", id.node.value(), " at ", theirs.address);
    if (id.node == view.self.node) {
      problems->push_back(MakeError(
          ErrorCode::kInconsistentNodeId,
          absl::StrCat(who, " has the node.id of this one, with another metadata directory (",
                       id.directory.ToString(), "); each process needs an id of its own"),
          {.name = "node.id", .value = absl::StrCat(id.node.value())}));
    } else if (theirs.phase != FoundingPhase::kFounded) {
      problems->push_back(MakeError(
          ErrorCode::kInvalidConfig,
          absl::StrCat(kVotersKey, " differs: ", who, " names this node (", view.self.node.value(),
                       "), but this node's list has only ", NodeNames(mine),
                       "; give all the same list"),
          {.name = kVotersKey, .value = absl::StrCat(id.node.value(), "@", theirs.address)}));
    }
  }
}

// A peer counts on another directory of this node: harmless for a moment after a disk was replaced.
void AddOtherSelves(const FoundingView& view, std::vector<absl::Status>* problems) {
  for (const FoundingPeer& peer : view.peers) {
    const FoundingState* const theirs = peer.Usable();
    if (theirs == nullptr || theirs->phase != FoundingPhase::kPrepared) continue;
    for (const Voter& voter : theirs->voters) {
      if (voter.id.node != view.self.node || voter.id == view.self) continue;
      problems->push_back(MakeError(
          ErrorCode::kInconsistentNodeId,
          absl::StrCat(Name(peer), " knows node ", view.self.node.value(), " with directory ",
                       voter.id.directory.ToString(), " at ", voter.address,
                       ", but this process has ", view.self.directory.ToString(),
                       ": another process has the same node.id, or the address of this one in ",
                       kVotersKey, " leads elsewhere"),
          {.name = "node.id", .value = absl::StrCat(view.self.node.value())}));
    }
  }
}

}  // namespace

std::vector<NodeId> FoundingView::Nodes() const {
  std::vector<NodeId> nodes = {self.node};
  for (const FoundingPeer& peer : peers) nodes.push_back(peer.peer.node);
  std::sort(nodes.begin(), nodes.end());
  return nodes;
}

std::vector<absl::Status> FoundingProblems(const FoundingView& view) {
  std::vector<absl::Status> problems;
  if (view.record.phase == FoundingPhase::kFounded) return problems;
  AddImpostors(view, &problems);
  AddClusterConflicts(view, &problems);
  AddOrphanedRecords(view, &problems);
  AddForgottenPromises(view, &problems);
  AddCopies(view, &problems);
  AddOtherLists(view, &problems);
  AddOtherSelves(view, &problems);
  return problems;
}

std::vector<NodeId> FoundingSilent(const FoundingView& view) {
  std::vector<NodeId> silent;
  for (const FoundingPeer& peer : view.peers) {
    if (!peer.answering) silent.push_back(peer.peer.node);
  }
  return silent;
}

}  // namespace millrace::raft
