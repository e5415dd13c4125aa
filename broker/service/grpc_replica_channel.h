// GrpcReplicaChannel: broker::ReplicaChannel over gRPC: the follower's end of ReplicaService.
//
// Each stream has a connection of its own, which has never failed before, so that gRPC's back-off
// never stands before the replicas'; nothing is retried. Messages are read piece by piece: batches
// are copied once, into memory that the log keeps.
//
// Thread: Open and its streams on the queue named, where sinks are called.
#ifndef BROKER_SERVICE_GRPC_REPLICA_CHANNEL_H_
#define BROKER_SERVICE_GRPC_REPLICA_CHANNEL_H_

#include <grpcpp/security/credentials.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "broker/replica_channel.h"
#include "rpc/completion_queue_executor.h"

namespace millrace::broker {

struct ReplicaChannelOptions {
  // A connection that brings nothing is asked whether it lives, and given up without an answer.
  absl::Duration keepalive_time = absl::Seconds(2);
  absl::Duration keepalive_timeout = absl::Seconds(3);
  absl::Duration connect_timeout = absl::Seconds(1);
  // What connections to brokers are made with; null: plaintext.
  std::shared_ptr<grpc::ChannelCredentials> credentials = nullptr;
};

class GrpcReplicaChannel final : public ReplicaChannel {
 public:
  // `queues` are the broker's shards, and outlive this.
  explicit GrpcReplicaChannel(std::vector<rpc::CompletionQueueExecutor*> queues,
                              const ReplicaChannelOptions& options = {})
      : queues_(std::move(queues)), options_(options) {}

  std::unique_ptr<FollowerStream> Open(const std::string& address, const FollowerHello& hello,
                                       Executor* executor,
                                       std::weak_ptr<FollowerSink> sink) override;

 private:
  const std::vector<rpc::CompletionQueueExecutor*> queues_;
  const ReplicaChannelOptions options_;
};

}  // namespace millrace::broker

#endif  // BROKER_SERVICE_GRPC_REPLICA_CHANNEL_H_
