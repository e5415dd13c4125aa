// GrpcForwardChannel: calls that are passed on to other brokers, over gRPC: calls of their
// LogService, on channels of their own, marked so that they are not passed on again. Batches go out
// by reference.
//
// A server takes 1,024 calls at a time on a connection. Past that gRPC makes them wait without a
// word, behind calls that end when somebody else pleases: long polls, clients' streams. So open
// calls are counted here, and those beyond a bound below it are refused with RESOURCE_EXHAUSTED
// (S-37). Each shard has connections of its own, so that nothing need be counted between threads.
//
// Thread: its executor's.
#ifndef BROKER_SERVICE_GRPC_FORWARD_CHANNEL_H_
#define BROKER_SERVICE_GRPC_FORWARD_CHANNEL_H_

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"
#include "base/bytes.h"
#include "broker/forward_channel.h"
#include "rpc/channel_pool.h"
#include "rpc/client_call.h"
#include "rpc/completion_queue_executor.h"
#include "rpc/raw_bytes.h"

namespace millrace::broker {

class GrpcForwardChannel final : public ForwardChannel {
 public:
  // Open at a time to one broker. All below ServerOptions::concurrent_streams_per_connection_max.
  struct Limits {
    int calls_max = 900;
    // Fetches are refused from here on, since they may wait for minutes: others find room.
    int fetches_max = 700;
    // They have a connection of their own.
    int streams_max = 900;
  };

  // `executor`: a shard's queue, which outlives this.
  GrpcForwardChannel(rpc::CompletionQueueExecutor* executor, rpc::ChannelOptions channels)
      : GrpcForwardChannel(executor, std::move(channels), Limits()) {}
  GrpcForwardChannel(rpc::CompletionQueueExecutor* executor, rpc::ChannelOptions channels,
                     const Limits& limits)
      : executor_(executor),
        limits_(limits),
        channels_(std::make_unique<rpc::ChannelPool>(std::move(channels))) {}

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
  enum class Kind { kQuestion, kFetch, kChange };

  // Calls, or refuses to. What it returns may be gone.
  std::weak_ptr<rpc::ClientCall> Start(const std::string& address, absl::string_view method,
                                       const rpc::BytesList& request, absl::Duration timeout,
                                       Kind kind, Done<Bytes> done);
  std::shared_ptr<grpc::Channel> ChannelTo(absl::string_view purpose, const std::string& address) {
    return channels_->GetGrowing(purpose, address, executor_->clock().Now());
  }
  // Shared with the calls that are counted, which may outlive this.
  std::shared_ptr<int> OpenCount(const std::string& purpose, const std::string& address);

  rpc::CompletionQueueExecutor* const executor_;
  const Limits limits_;
  const std::unique_ptr<rpc::ChannelPool> channels_;
  // Open calls by (purpose, address), as channels_ has its connections.
  std::map<std::pair<std::string, std::string>, std::shared_ptr<int>> open_;
};

}  // namespace millrace::broker

#endif  // BROKER_SERVICE_GRPC_FORWARD_CHANNEL_H_
