// GrpcRepairChannel: broker::RepairChannel over gRPC: unary calls of other brokers' ReplicaService,
// on channels of their own.
//
// Thread: as RepairChannel; each call's executor is one of the queues.
#ifndef BROKER_SERVICE_GRPC_REPAIR_CHANNEL_H_
#define BROKER_SERVICE_GRPC_REPAIR_CHANNEL_H_

#include <grpcpp/security/credentials.h>

#include <memory>
#include <string>
#include <vector>

#include "broker/repair_channel.h"
#include "rpc/channel_pool.h"
#include "rpc/completion_queue_executor.h"

namespace millrace::broker {

class GrpcRepairChannel final : public RepairChannel {
 public:
  // `queues` are the broker's shards, and outlive this. `credentials`: null is plaintext.
  explicit GrpcRepairChannel(std::vector<rpc::CompletionQueueExecutor*> queues,
                             std::shared_ptr<grpc::ChannelCredentials> credentials = nullptr);

  void ReadRange(const std::string& address, const RangeQuery& query, absl::Duration timeout,
                 Executor* executor, RangeDone done) override;

 private:
  const std::vector<rpc::CompletionQueueExecutor*> queues_;
  rpc::ChannelPool channels_;
};

}  // namespace millrace::broker

#endif  // BROKER_SERVICE_GRPC_REPAIR_CHANNEL_H_
