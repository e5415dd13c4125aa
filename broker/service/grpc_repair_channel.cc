#include "broker/service/grpc_repair_channel.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/check.h"
#include "millrace/internal/v1/replica_service.pb.h"
#include "rpc/client_call.h"

namespace millrace::broker {
namespace {

constexpr char kReadRange[] = "/millrace.internal.v1.ReplicaService/ReadRange";

rpc::ChannelOptions OptionsWith(std::shared_ptr<grpc::ChannelCredentials> credentials) {
  rpc::ChannelOptions options;
  options.credentials = std::move(credentials);
  // One batch may be as large as a leader's listener took it.
  options.receive_message_bytes_max = std::numeric_limits<int32_t>::max();
  return options;
}

}  // namespace

GrpcRepairChannel::GrpcRepairChannel(std::vector<rpc::CompletionQueueExecutor*> queues,
                                     std::shared_ptr<grpc::ChannelCredentials> credentials)
    : queues_(std::move(queues)), channels_(OptionsWith(std::move(credentials))) {}

void GrpcRepairChannel::ReadRange(const std::string& address, const RangeQuery& query,
                                  absl::Duration timeout, Executor* executor, RangeDone done) {
  const auto queue = std::find(queues_.begin(), queues_.end(), executor);
  CHECK(queue != queues_.end()) << "shards are queues";
  internal::v1::ReadRangeRequest request;
  request.set_cluster_id(query.cluster_id.ToBytes());
  request.set_broker_id(query.broker.value());
  request.set_topic_id(query.topic_partition.topic_id.ToBytes());
  request.set_partition(query.topic_partition.partition.value());
  request.set_from_offset(query.from.value());
  request.set_to_offset(query.to.value());
  request.set_max_bytes(
      static_cast<int32_t>(std::min<size_t>(query.bytes_max, std::numeric_limits<int32_t>::max())));
  rpc::StartUnaryTyped<internal::v1::ReadRangeResponse>(
      *queue, channels_.GetGrowing("repair", address, (*queue)->clock().Now()), kReadRange, request,
      {.timeout = timeout},
      [done = std::move(done)](absl::StatusOr<internal::v1::ReadRangeResponse> answer) mutable {
        if (!answer.ok()) return std::move(done)(answer.status());
        std::move(done)(Bytes::FromString(std::move(*answer->mutable_batches())));
      });
}

}  // namespace millrace::broker
