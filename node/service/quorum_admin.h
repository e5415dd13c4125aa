// QuorumAdmin: AdminService's calls about the quorum of controllers, in front of a QuorumControl:
// describe, add, remove, transfer leadership.
//
// Thread: handlers run on the queue they are registered for; the quorum answers on its executor.
#ifndef NODE_SERVICE_QUORUM_ADMIN_H_
#define NODE_SERVICE_QUORUM_ADMIN_H_

#include "controller/quorum_control.h"
#include "metadata/authorizer.h"
#include "millrace/v1/admin_service.pb.h"
#include "node/service/admin_grpc.h"
#include "node/service/quorum_access.h"
#include "node/service/routed_method.h"

namespace millrace::node {

class QuorumAdmin {
 public:
  // `authorizer` outlives this.
  QuorumAdmin(const QuorumAccess& quorum, const metadata::Authorizer* authorizer)
      : quorum_(quorum), authorizer_(authorizer) {}

  // Adds the methods to a service. REQUIRES: the server has not started; this outlives it.
  void Register(const RoutedMethods& methods, AdminGrpc* service);

 private:
  // Checks that the caller may, then runs `ask` with the quorum on its executor.
  template <class Response, class Ask>
  void OnQuorum(const rpc::CallContext& context, metadata::Operation operation,
                rpc::Reply<Response> reply, Ask ask);

  const QuorumAccess quorum_;
  const metadata::Authorizer* const authorizer_;
};

// What the wire says of a quorum. Thread: any.
v1::DescribeQuorumResponse ToResponse(const controller::QuorumDescription& quorum);

}  // namespace millrace::node

#endif  // NODE_SERVICE_QUORUM_ADMIN_H_
