// VoterAddresses: while this node leads the quorum, the log says of each voter and learner where
// that is now, also after its controller was moved to another address.
//
// Where a controller is it says itself, in the hellos that its peers accept: its own entry of
// controller.quorum.voters. That can be wrong, and what the log says is what clients and brokers
// are told; so it is asked first whether that directory of this cluster answers there. Peers need
// none of this to find each other (raft/service).
//
// Thread: its executor's.
// Source: S-17, S-18.
#ifndef NODE_VOTER_ADDRESSES_H_
#define NODE_VOTER_ADDRESSES_H_

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/deadline_timer.h"
#include "base/executor.h"
#include "raft/host/founding_channel.h"
#include "raft/host/hello.h"
#include "raft/host/quorum_log.h"

namespace millrace::node {

class VoterAddresses {
 public:
  using Heard = std::function<std::vector<raft::HeardPeer>()>;

  // `heard`: the processes that have spoken to this one. All outlive this.
  VoterAddresses(const Clock* clock, Executor* executor, raft::FoundingChannel* channel,
                 Heard heard);

  // This node leads, by `log`, which outlives the leadership. `self`: what it says of itself.
  void OnLed(raft::QuorumLog* log, raft::FoundingState self);
  void OnLostLeadership();
  // A process has spoken to this one.
  void OnHello() { Look(); }

 private:
  // Asks at every address that is another one than the log's.
  void Look();
  // Where the voter says that it is; empty if it has not said it, or not to this process.
  std::string SaidBy(const raft::VoterId& voter, const std::vector<raft::HeardPeer>& heard) const;
  void Ask(const raft::VoterId& voter, const std::string& address);
  void OnAnswer(const raft::VoterId& voter, const std::string& address,
                const absl::StatusOr<raft::FoundingState>& theirs);
  void Propose(const raft::VoterId& voter, const std::string& address);

  const Clock* const clock_;
  raft::FoundingChannel* const channel_;
  const Heard heard_;
  // Null unless this node leads.
  raft::QuorumLog* log_ = nullptr;
  raft::FoundingState self_;
  // Addresses where the voter was not found, and that have been logged since this node leads.
  std::set<std::pair<raft::VoterId, std::string>> told_;
  // Set only while an address is another one than the log's.
  DeadlineTimer timer_;
  std::shared_ptr<const bool> alive_ = std::make_shared<const bool>(true);
};

}  // namespace millrace::node

#endif  // NODE_VOTER_ADDRESSES_H_
