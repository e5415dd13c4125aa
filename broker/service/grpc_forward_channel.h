// GrpcForwardChannel: calls that are passed on to other brokers, over gRPC: calls of their
// LogService, on channels of their own, marked so that they are not passed on again. Batches go out
// by reference.
//
// Thread: its executor's.
#ifndef BROKER_SERVICE_GRPC_FORWARD_CHANNEL_H_
#define BROKER_SERVICE_GRPC_FORWARD_CHANNEL_H_

#include <memory>
#include <string>

#include "broker/forward_channel.h"
#include "rpc/channel_pool.h"
#include "rpc/completion_queue_executor.h"

namespace millrace::broker {

class GrpcForwardChannel final : public ForwardChannel {
 public:
  // `executor`: a shard's queue, which outlives this; `channels` are shared by all shards.
  GrpcForwardChannel(rpc::CompletionQueueExecutor* executor,
                     std::shared_ptr<rpc::ChannelPool> channels)
      : executor_(executor), channels_(std::move(channels)) {}

  void Produce(const std::string& address, const api::ProduceRequest& request,
               absl::Duration timeout, Done<api::ProduceResponse> done) override;
  Task Fetch(const std::string& address, const api::FetchRequest& request, absl::Duration timeout,
             Done<api::FetchResponse> done) override;
  void ListOffsets(const std::string& address, const api::ListOffsetsRequest& request,
                   absl::Duration timeout, Done<api::ListOffsetsResponse> done) override;
  void DeleteRecords(const std::string& address, const api::DeleteRecordsRequest& request,
                     absl::Duration timeout, Done<api::DeleteRecordsResponse> done) override;
  void OffsetForLeaderEpoch(const std::string& address,
                            const api::OffsetForLeaderEpochRequest& request, absl::Duration timeout,
                            Done<api::OffsetForLeaderEpochResponse> done) override;
  std::unique_ptr<ForwardStream> OpenProduceStream(const std::string& address,
                                                   std::weak_ptr<ForwardSink> sink) override;

 private:
  rpc::CompletionQueueExecutor* const executor_;
  const std::shared_ptr<rpc::ChannelPool> channels_;
};

}  // namespace millrace::broker

#endif  // BROKER_SERVICE_GRPC_FORWARD_CHANNEL_H_
