// RaftQuorumControl: describing and changing the quorum, over this node's part in it.
//
// A voter is added in two committed steps, as a learner and, when it has caught up and its program
// is known to know the cluster's feature level, as a voter; a change that this node loses its
// leadership over has an unknown outcome. What is asked while another node leads is answered
// NOT_CONTROLLER, and forwarded by whoever asked.
//
// Thread: the controller executor.
// Source: KIP-595, KIP-853; Raft thesis 3.10 (transfer), 4.2.1 (catching up new servers); S-17.
#ifndef NODE_RAFT_QUORUM_CONTROL_H_
#define NODE_RAFT_QUORUM_CONTROL_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "base/clock.h"
#include "base/executor.h"
#include "controller/quorum_control.h"
#include "node/controller_host.h"

namespace millrace::node {

class RaftQuorumControl final : public controller::QuorumControl {
 public:
  // All outlive this.
  RaftQuorumControl(Executor* executor, const Clock* clock, controller::LeaderWatch* leaders);

  // Whether the program of a controller may vote (voter_level.h).
  using MayVote = std::function<absl::Status(const raft::VoterId&)>;

  // Until then NOT_CONTROLLER is all it answers. `host` was started, and outlives this.
  void SetHost(ControllerHost* host) { host_ = host; }
  // Until then every program may.
  void SetMayVote(MayVote may_vote) { may_vote_ = std::move(may_vote); }
  // Who beside the voters follows the log, while this node leads.
  void SetObservers(std::function<std::vector<controller::QuorumMember>()> observers) {
    observers_ = std::move(observers);
  }

  // Before this node stops: if it leads, somebody else takes over, so that no election is waited
  // for. `done` always comes within a bound.
  void HandOver(Done done);

  // controller::QuorumControl.
  void Describe(Described done) override;
  void AddVoter(NodeId node, DirectoryId directory, std::string address, Done done) override;
  void RemoveVoter(NodeId node, DirectoryId directory, Done done) override;
  void TransferLeadership(NodeId node, Done done) override;

 private:
  struct Transfer {
    NodeId target;
    Done done;
  };

  // Proposes `first`, and promotes the learner that it is about once that is committed.
  void ChangeAndPromote(raft::VoterChange first, MonotonicTime deadline, Done done);
  // Asks until the learner may be promoted, or time is up.
  void Promote(const raft::VoterId& id, MonotonicTime deadline, Done done);
  void OnPromoted(const raft::VoterId& id, MonotonicTime deadline, absl::Status status, Done done);
  absl::Status CheckMayVote(const raft::VoterId& id) const;
  absl::Status NotCaughtUp(const raft::VoterId& id) const;
  void OnLeader(NodeId leader);
  static void AddObservers(std::vector<controller::QuorumMember> observers,
                           controller::QuorumDescription* description);
  bool leading() const { return host_ != nullptr && host_->leading(); }
  absl::Status NotLeader() const;

  Executor* const executor_;
  const Clock* const clock_;
  controller::LeaderWatch* const leaders_;
  ControllerHost* host_ = nullptr;
  MayVote may_vote_;
  std::function<std::vector<controller::QuorumMember>()> observers_;
  // Waits for its target to lead; one at a time.
  std::optional<Transfer> transfer_;
  uint64_t transfers_ = 0;
  std::shared_ptr<const bool> alive_ = std::make_shared<const bool>(true);
};

}  // namespace millrace::node

#endif  // NODE_RAFT_QUORUM_CONTROL_H_
