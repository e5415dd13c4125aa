// DirectoryReplacer: while this node leads the quorum, it has voters that lost their directories
// and came back on empty ones put in the place of the lost ones, if they ask for it
// (controller.quorum.auto.join.enable).
//
// It decides nothing: which change comes when is raft/host/voter_replacement.h. This asks it every
// so often, proposes what it says and logs each step.
//
// Thread: its executor's.
// Source: S-17; KIP-1186.
#ifndef NODE_DIRECTORY_REPLACER_H_
#define NODE_DIRECTORY_REPLACER_H_

#include <functional>
#include <memory>
#include <set>
#include <vector>

#include "absl/time/time.h"
#include "base/clock.h"
#include "base/deadline_timer.h"
#include "base/executor.h"
#include "raft/host/hello.h"
#include "raft/host/quorum_log.h"
#include "raft/host/voter_replacement.h"

namespace millrace::node {

class DirectoryReplacer {
 public:
  using Heard = std::function<std::vector<raft::HeardPeer>()>;
  // Whether the program of a controller may vote (voter_level.h).
  using MayVote = std::function<absl::Status(const raft::VoterId&)>;

  // `heard`: the processes that have spoken to this one; whoever may not vote does not replace
  // anything. `silence_min`: see VoterReplacement. All outlive this.
  DirectoryReplacer(absl::Duration silence_min, const Clock* clock, Executor* executor, Heard heard,
                    MayVote may_vote);

  // This node leads, by `log`, which outlives the leadership.
  void OnLed(raft::QuorumLog* log);
  void OnLostLeadership();

 private:
  void Look();
  // Those that ask, and may not vote, as if they did not ask.
  std::vector<raft::HeardPeer> HeardThatMayVote();
  void Propose(const raft::VoterChange& change);
  void LogWaiting();

  const absl::Duration silence_min_;
  const absl::Duration interval_;
  const Clock* const clock_;
  const Heard heard_;
  const MayVote may_vote_;
  raft::VoterReplacement replacement_;
  // Null unless this node leads.
  raft::QuorumLog* log_ = nullptr;
  // A proposal is under way.
  bool proposed_ = false;
  // Whose wait has been logged.
  std::set<raft::VoterId> told_;
  // Who asks and may not vote has been logged.
  std::set<raft::VoterId> refused_;
  DeadlineTimer timer_;
  std::shared_ptr<const bool> alive_ = std::make_shared<const bool>(true);
};

}  // namespace millrace::node

#endif  // NODE_DIRECTORY_REPLACER_H_
