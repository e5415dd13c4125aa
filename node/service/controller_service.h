// ControllerService: what brokers ask of the active controller, over gRPC, in front of a Node. Its
// place is the controller listener: it registers and fences whoever asks.
//
// A broker may ask any controller: calls are passed on as AdminService's are (AdminForwarder). Its
// session stream is not: that is with the active controller itself (broker_session_stream.h).
//
// Thread: handlers run on the queue they are registered for; the node answers from its own strands.
#ifndef NODE_SERVICE_CONTROLLER_SERVICE_H_
#define NODE_SERVICE_CONTROLLER_SERVICE_H_

#include <memory>

#include "metadata/authorizer.h"
#include "millrace/internal/v1/controller_service.grpc.pb.h"
#include "node/node.h"
#include "node/service/admin_forwarder.h"
#include "node/service/quorum_access.h"
#include "rpc/refusal_log.h"
#include "rpc/server.h"

namespace millrace::node {

class ControllerService {
 public:
  // All that is pointed to outlives the service.
  ControllerService(Node* node, const metadata::Authorizer* authorizer, const QuorumAccess& quorum);

  // Adds the service, its methods on the server's first queue. REQUIRES: not started; this outlives
  // the server's queues and the quorum's executor.
  void Register(rpc::Server* server);

 private:
  using V1 = internal::v1::ControllerService;
  using Service = V1::WithRawMethod_RegisterBroker<
      V1::WithRawMethod_BrokerHeartbeat<V1::WithRawMethod_AllocateProducerIds<
          V1::WithRawMethod_AlterPartition<V1::WithRawMethod_AssignReplicasToDirs<
              V1::WithRawMethod_ReportLastCopies<V1::WithRawMethod_BrokerSession<V1::Service>>>>>>>;

  Node* const node_;
  const metadata::Authorizer* const authorizer_;
  const QuorumAccess quorum_;
  Service service_;
  std::unique_ptr<AdminForwarder> forwarder_;
  std::unique_ptr<rpc::RefusalLog> refusals_;
};

}  // namespace millrace::node

#endif  // NODE_SERVICE_CONTROLLER_SERVICE_H_
