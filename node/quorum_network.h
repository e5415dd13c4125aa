// QuorumNetwork: what one of several controllers needs of the network, as one thing to be handed to
// a Node. Implemented over gRPC by the server's composition root, and by simulators.
//
// Thread: the controller executor.
#ifndef NODE_QUORUM_NETWORK_H_
#define NODE_QUORUM_NETWORK_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "base/ids.h"
#include "raft/host/founding_channel.h"
#include "raft/host/hello.h"
#include "raft/host/transport.h"

namespace millrace::node {

class QuorumNetwork {
 public:
  virtual ~QuorumNetwork() = default;

  virtual raft::Transport& transport() = 0;
  virtual raft::FoundingChannel& founding() = 0;
  // Answers peers who ask while they found a cluster; the answer says what this node is.
  using FoundingAnswer = std::function<raft::FoundingState(const raft::FoundingState& theirs)>;
  virtual void SetFoundingAnswer(FoundingAnswer answer) = 0;
  // This node belongs to `cluster`, for good: messages may be sent and taken. `generation`: how
  // often its quorum was recovered.
  virtual void SetCluster(ClusterId cluster, int64_t generation) = 0;
  // What the newest process of another voter said of its program; null if none was heard since
  // this process began.
  virtual const raft::ProgramFeatures* FeaturesOf(const raft::VoterId& voter) const = 0;
  // The newest process of each directory that was heard of, voters and others, by id.
  virtual std::vector<raft::HeardPeer> Heard() const = 0;
  // Called when a process has opened a stream to here, and Heard says what it said.
  virtual void SetOnHello(std::function<void()> on_hello) = 0;
};

}  // namespace millrace::node

#endif  // NODE_QUORUM_NETWORK_H_
