// QuorumAccess: the quorum as the services of one node see it.
//
// Thread: any (a value); what it points to belongs to its executor.
#ifndef NODE_SERVICE_QUORUM_ACCESS_H_
#define NODE_SERVICE_QUORUM_ACCESS_H_

#include <memory>

#include "base/executor.h"
#include "base/ids.h"
#include "controller/leader_watch.h"
#include "controller/quorum_control.h"
#include "node/service/admin_forwarder.h"

namespace millrace::node {

// All of it outlives the services that are given it.
struct QuorumAccess {
  NodeId self = kNoNode;
  // Null in tests that do not ask about the quorum: its calls are refused.
  controller::QuorumControl* control = nullptr;
  // Null: no other node ever leads.
  controller::LeaderWatch* leaders = nullptr;
  // The controller executor, for both.
  Executor* executor = nullptr;
  // What connections to other controllers are made with; null: plaintext.
  std::shared_ptr<grpc::ChannelCredentials> credentials = nullptr;
};

inline AdminForwarderOptions ForwarderOptions(const QuorumAccess& quorum) {
  AdminForwarderOptions options;
  options.credentials = quorum.credentials;
  return options;
}

// Keeps `forwarder` told of who leads. REQUIRES: it outlives the executor's tasks.
inline void FollowLeader(const QuorumAccess& quorum, AdminForwarder* forwarder) {
  if (quorum.leaders == nullptr) return;
  quorum.executor->Post([leaders = quorum.leaders, forwarder] {
    leaders->Subscribe([forwarder](const LeaderHint& leader) { forwarder->SetLeader(leader); });
  });
}

}  // namespace millrace::node

#endif  // NODE_SERVICE_QUORUM_ACCESS_H_
