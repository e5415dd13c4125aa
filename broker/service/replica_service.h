// ReplicaService: what other brokers call on the inter-broker listener: the leader's end of the
// replication streams, and reads of ranges for repairs, in front of a broker's ReplicaIntake.
//
// Every queue of the server takes every stream; one that did not arrive at the shard which it is
// for is handed on to it, message by message.
//
// Thread: a stream's events on the queue that took it; the broker hears of them on its shard.
#ifndef BROKER_SERVICE_REPLICA_SERVICE_H_
#define BROKER_SERVICE_REPLICA_SERVICE_H_

#include <memory>
#include <utility>

#include "broker/replica_channel.h"
#include "millrace/internal/v1/replica_service.grpc.pb.h"
#include "rpc/refusal_log.h"
#include "rpc/server.h"
#include "rpc/unary_call.h"

namespace millrace::broker {

class ReplicaService {
 public:
  // What `intake` refers to outlives the server's queues.
  explicit ReplicaService(ReplicaIntake intake) : intake_(std::move(intake)) {}

  // What a server must allow for the keepalive of its followers.
  static rpc::ServerOptions Configure(rpc::ServerOptions options);

  // REQUIRES: the server has not started; this outlives it.
  void Register(rpc::Server* server);

 private:
  using V1 = internal::v1::ReplicaService;
  using Service = V1::WithRawMethod_Follow<V1::WithRawMethod_ReadRange<V1::Service>>;

  void ReadRange(const rpc::CallContext& context, const internal::v1::ReadRangeRequest& request,
                 rpc::Reply<internal::v1::ReadRangeResponse> reply) const;

  const ReplicaIntake intake_;
  Service service_;
  std::unique_ptr<rpc::RefusalLog> refusals_;
};

}  // namespace millrace::broker

#endif  // BROKER_SERVICE_REPLICA_SERVICE_H_
