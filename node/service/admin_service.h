// AdminService: topics, configs and the cluster over gRPC, in front of a Node.
//
// Each call is authorized, handed to the controller as a command, and answered with what was
// decided and at which index of the metadata log. A change that this node decides is answered only
// after its own broker has applied it, so that the next call here sees it. While another node leads
// the quorum, calls are passed on to it (AdminForwarder); the calls about the quorum itself are
// QuorumAdmin's.
//
// Thread: handlers run on the queue they are registered for; the node answers from its own strands.
#ifndef NODE_SERVICE_ADMIN_SERVICE_H_
#define NODE_SERVICE_ADMIN_SERVICE_H_

#include <memory>

#include "metadata/authorizer.h"
#include "node/node.h"
#include "node/service/admin_forwarder.h"
#include "node/service/admin_grpc.h"
#include "node/service/quorum_access.h"
#include "node/service/quorum_admin.h"
#include "rpc/server.h"

namespace millrace::node {

class AdminService {
 public:
  // All that is pointed to outlives the service. Without a LeaderWatch no call is passed on.
  AdminService(Node* node, const metadata::Authorizer* authorizer, const QuorumAccess& quorum = {});

  // Adds the service, its methods on the server's first queue: they are cold. REQUIRES: not
  // started; this outlives the server's queues and the quorum's executor.
  void Register(rpc::Server* server);

 private:
  // A handler that submits its request as a command.
  template <class Request, class Response>
  auto Command(metadata::Operation operation);
  void RegisterTopics(const RoutedMethods& methods);
  void RegisterPartitions(const RoutedMethods& methods);
  void RegisterCluster(const RoutedMethods& methods);
  void RegisterFeatures(const RoutedMethods& methods);

  Node* const node_;
  const metadata::Authorizer* const authorizer_;
  const QuorumAccess quorum_;
  QuorumAdmin quorum_admin_;
  AdminGrpc service_;
  std::unique_ptr<AdminForwarder> forwarder_;
};

}  // namespace millrace::node

#endif  // NODE_SERVICE_ADMIN_SERVICE_H_
