// RaftService: the server side of the quorum's network, in front of a GrpcTransport: takes peers'
// streams of Raft messages and answers their ExchangeFounding. For the controller listener only.
//
//   rpc::ServerOptions options = RaftService::Configure(rpc::ServerOptions{.listeners = ...});
//   rpc::Server server(options, &clock, /*gate=*/nullptr, &metrics);
//   auto transport = GrpcTransport::Create(transport_options, {.queue = server.queue(0), ...});
//   RaftService service(&owner, transport);
//   service.Register(&server);
//
// Thread: calls are served on the queue that took them; the transport hears on its owner's.
#ifndef RAFT_SERVICE_RAFT_SERVICE_H_
#define RAFT_SERVICE_RAFT_SERVICE_H_

#include <memory>

#include "millrace/internal/v1/raft_service.grpc.pb.h"
#include "raft/service/grpc_transport.h"
#include "rpc/server.h"

namespace millrace::raft {

class RaftService {
 public:
  // The service does not keep the transport alive. `owner` is the transport's, and outlives the
  // server.
  RaftService(Executor* owner, const std::shared_ptr<GrpcTransport>& transport);

  // What a server must allow for its peers' transports: their keepalive, and the size of their
  // messages. Also has it miss a vanished peer within seconds.
  static rpc::ServerOptions Configure(rpc::ServerOptions options);

  // REQUIRES: the server has not started; this outlives it.
  void Register(rpc::Server* server);

 private:
  using V1 = internal::v1::RaftService;
  using Service = V1::WithRawMethod_Replicate<V1::WithRawMethod_ExchangeFounding<V1::Service>>;

  Executor* const owner_;
  const InboundPort port_;
  const std::weak_ptr<GrpcTransport> transport_;
  Service service_;
};

}  // namespace millrace::raft

#endif  // RAFT_SERVICE_RAFT_SERVICE_H_
