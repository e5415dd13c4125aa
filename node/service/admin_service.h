// AdminService: topics, configs and the cluster over gRPC, in front of a Node.
//
// Each call is authorized, handed to the controller as a command, and answered with what was
// decided and at which index of the metadata log. A change is answered only after this node's own
// broker has applied it, so that the next call here sees it.
//
// Thread: handlers run on the queue they are registered for; the node answers from its own strands.
#ifndef NODE_SERVICE_ADMIN_SERVICE_H_
#define NODE_SERVICE_ADMIN_SERVICE_H_

#include "metadata/authorizer.h"
#include "millrace/v1/admin_service.grpc.pb.h"
#include "node/node.h"
#include "rpc/parsed_call.h"
#include "rpc/server.h"

namespace millrace::node {

class AdminService {
 public:
  // Both outlive the service.
  AdminService(Node* node, const metadata::Authorizer* authorizer)
      : node_(node), authorizer_(authorizer) {}

  // Adds the service, its methods on the server's first queue: they are cold. REQUIRES: not
  // started; this outlives the server.
  void Register(rpc::Server* server);

 private:
  absl::Status Authorize(const rpc::CallContext& context, metadata::Operation operation) const;

  // A handler that submits its request as a command.
  template <class Request, class Response>
  auto Command(metadata::Operation operation);

  Node* const node_;
  const metadata::Authorizer* const authorizer_;
  using V1 = v1::AdminService;
  // Raw, so that requests that cannot be parsed are answered by us (rpc/parsed_call.h).
  using Service = V1::WithRawMethod_CreateTopics<V1::WithRawMethod_CreatePartitions<
      V1::WithRawMethod_DeleteTopics<V1::WithRawMethod_ListTopics<
          V1::WithRawMethod_DescribeTopics<V1::WithRawMethod_DescribeConfigs<
              V1::WithRawMethod_IncrementalAlterConfigs<V1::WithRawMethod_DescribeCluster<
                  V1::WithRawMethod_DescribeLogDirs<V1::Service>>>>>>>>>;
  Service service_;
};

}  // namespace millrace::node

#endif  // NODE_SERVICE_ADMIN_SERVICE_H_
