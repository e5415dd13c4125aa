// SilentNetwork: a QuorumNetwork on which nobody else is, for tests of what a controller does by
// itself.
//
// Thread: the test's one.
#ifndef NODE_TESTING_SILENT_NETWORK_H_
#define NODE_TESTING_SILENT_NETWORK_H_

#include <functional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "node/quorum_network.h"
#include "raft/host/founding_channel.h"
#include "raft/host/transport.h"

namespace millrace::node {

class SilentNetwork final : public QuorumNetwork,
                            private raft::Transport,
                            private raft::FoundingChannel {
 public:
  raft::Transport& transport() override { return *this; }
  raft::FoundingChannel& founding() override { return *this; }
  void SetFoundingAnswer(FoundingAnswer) override {}
  void SetCluster(ClusterId, int64_t) override {}
  const raft::ProgramFeatures* FeaturesOf(const raft::VoterId&) const override { return nullptr; }
  std::vector<raft::HeardPeer> Heard() const override { return {}; }
  void SetOnHello(std::function<void()>) override {}

 private:
  void SetReceiver(raft::TransportReceiver*) override {}
  void SetPeers(std::vector<raft::Peer>) override {}
  void Send(std::vector<raft::Message>) override {}
  void Exchange(std::string, raft::FoundingState, Callback) override {}
};

}  // namespace millrace::node

#endif  // NODE_TESTING_SILENT_NETWORK_H_
