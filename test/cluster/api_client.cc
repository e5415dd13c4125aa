#include "test/cluster/api_client.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "rpc/status_mapping.h"
#include "test/cluster/wait_until.h"

namespace millrace::test {
namespace {

std::shared_ptr<grpc::Channel> OwnChannel(const std::string& address) {
  grpc::ChannelArguments arguments;
  // Otherwise all clients of a process would share one connection.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  arguments.SetMaxReceiveMessageSize(std::numeric_limits<int>::max());
  arguments.SetMaxSendMessageSize(std::numeric_limits<int>::max());
  // A refused connection is tried again soon: servers of these tests restart.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 20);
  // Which is how long an attempt may take.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 10'000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 200);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

v1::ProduceRequest RequestOf(const v1::ProducePartition& partition, v1::Acks acks) {
  v1::ProduceRequest request;
  request.set_acks(acks);
  request.set_timeout_ms(20'000);
  *request.add_partitions() = partition;
  return request;
}

// The only result of a response, or its error.
template <class Response>
auto OnlyPartition(const grpc::Status& status, const Response& response)
    -> absl::StatusOr<typename std::decay<decltype(response.partitions(0))>::type> {
  RETURN_IF_ERROR(rpc::FromGrpcStatus(status));
  if (response.partitions_size() != 1) {
    return MakeError(ErrorCode::kUnknownServerError,
                     absl::StrCat(response.partitions_size(), " results for one partition"));
  }
  RETURN_IF_ERROR(ResultError(response.partitions(0).code(), response.partitions(0).message()));
  return response.partitions(0);
}

}  // namespace

std::unique_ptr<grpc::ClientContext> NewContext(absl::Duration timeout) {
  auto context = std::make_unique<grpc::ClientContext>();
  context->set_deadline(std::chrono::system_clock::now() + absl::ToChronoMilliseconds(timeout));
  return context;
}

absl::Status ResultError(v1::ErrorCode code, const std::string& message) {
  if (code == v1::ERROR_CODE_UNSPECIFIED) return absl::OkStatus();
  return MakeError(static_cast<ErrorCode>(code), message);
}

ApiClient::ApiClient(const std::string& address)
    : channel_(OwnChannel(address)),
      log_(v1::LogService::NewStub(channel_)),
      admin_(v1::AdminService::NewStub(channel_)) {}

absl::Status ApiClient::CreateTopic(const std::string& topic, int partitions,
                                    const std::map<std::string, std::string>& configs) {
  v1::CreateTopicsRequest request;
  v1::CreatableTopic* created = request.add_topics();
  created->set_name(topic);
  created->set_partitions(partitions);
  for (const auto& [name, value] : configs) {
    v1::ConfigEntry* entry = created->add_configs();
    entry->set_name(name);
    entry->set_value(value);
  }
  v1::CreateTopicsResponse response;
  RETURN_IF_ERROR(
      rpc::FromGrpcStatus(admin_->CreateTopics(NewContext().get(), request, &response)));
  RETURN_IF_ERROR(ResultError(response.topics(0).code(), response.topics(0).message()));
  for (int partition = 0; partition < partitions; ++partition) {
    absl::Status status;
    const bool served = WaitUntil([&] {
      status = ListOffsets(topic, partition, v1::OFFSET_POSITION_LATEST).status();
      return status.ok() || !IsRetriable(CodeOf(status));
    });
    if (!served) return Annotate(status, "after its creation");
    RETURN_IF_ERROR(status);
  }
  return absl::OkStatus();
}

absl::StatusOr<v1::ProducePartitionResult> ApiClient::Produce(const v1::ProducePartition& partition,
                                                              v1::Acks acks) {
  v1::ProduceResponse response;
  const grpc::Status status =
      log_->Produce(NewContext().get(), RequestOf(partition, acks), &response);
  return OnlyPartition(status, response);
}

absl::StatusOr<v1::ProducePartitionResult> ApiClient::ProduceValues(
    const std::string& topic, int partition, const std::vector<std::string>& values) {
  v1::ProducePartition to;
  to.set_topic(topic);
  to.set_partition(partition);
  for (const std::string& value : values) to.add_records()->set_value(value);
  return Produce(to);
}

absl::StatusOr<v1::ProducePartitionResult> ApiClient::ProduceBatches(const std::string& topic,
                                                                     int partition,
                                                                     const std::string& batches) {
  v1::ProducePartition to;
  to.set_topic(topic);
  to.set_partition(partition);
  to.set_batches(batches);
  return Produce(to);
}

absl::StatusOr<v1::FetchPartitionResult> ApiClient::Fetch(const std::string& topic, int partition,
                                                          int64_t offset, v1::RecordFormat format,
                                                          int max_wait_ms) {
  v1::FetchRequest request;
  request.set_format(format);
  request.set_max_wait_ms(max_wait_ms);
  v1::FetchPartition* from = request.add_partitions();
  from->set_topic(topic);
  from->set_partition(partition);
  from->set_offset(offset);
  v1::FetchResponse response;
  const grpc::Status status = log_->Fetch(NewContext().get(), request, &response);
  return OnlyPartition(status, response);
}

absl::StatusOr<v1::ListOffsetsPartitionResult> ApiClient::ListOffsets(const std::string& topic,
                                                                      int partition,
                                                                      v1::OffsetPosition position,
                                                                      int64_t timestamp_ms) {
  v1::ListOffsetsRequest request;
  v1::ListOffsetsPartition* of = request.add_partitions();
  of->set_topic(topic);
  of->set_partition(partition);
  of->set_position(position);
  of->set_timestamp_ms(timestamp_ms);
  v1::ListOffsetsResponse response;
  const grpc::Status status = log_->ListOffsets(NewContext().get(), request, &response);
  return OnlyPartition(status, response);
}

absl::Status ApiClient::SetTopicConfig(const std::string& topic, const std::string& name,
                                       const std::string& value, bool validate_only) {
  v1::IncrementalAlterConfigsRequest request;
  request.set_validate_only(validate_only);
  v1::AlterConfigsResource* resource = request.add_resources();
  resource->mutable_resource()->set_type(v1::CONFIG_RESOURCE_TYPE_TOPIC);
  resource->mutable_resource()->set_name(topic);
  v1::ConfigAlteration* alteration = resource->add_alterations();
  alteration->set_operation(v1::CONFIG_OPERATION_SET);
  alteration->set_name(name);
  alteration->set_value(value);
  v1::IncrementalAlterConfigsResponse response;
  RETURN_IF_ERROR(
      rpc::FromGrpcStatus(admin_->IncrementalAlterConfigs(NewContext().get(), request, &response)));
  return ResultError(response.resources(0).code(), response.resources(0).message());
}

absl::StatusOr<v1::ConfigDescription> ApiClient::DescribeTopicConfig(const std::string& topic,
                                                                     const std::string& name) {
  v1::DescribeConfigsRequest request;
  v1::ConfigResource* resource = request.add_resources();
  resource->set_type(v1::CONFIG_RESOURCE_TYPE_TOPIC);
  resource->set_name(topic);
  request.add_names(name);
  v1::DescribeConfigsResponse response;
  RETURN_IF_ERROR(
      rpc::FromGrpcStatus(admin_->DescribeConfigs(NewContext().get(), request, &response)));
  RETURN_IF_ERROR(ResultError(response.resources(0).code(), response.resources(0).message()));
  for (const v1::ConfigDescription& config : response.resources(0).configs()) {
    if (config.name() == name) return config;
  }
  return MakeError(ErrorCode::kInvalidConfig, absl::StrCat(name, " is not described"));
}

absl::StatusOr<std::string> ApiClient::TopicIdOf(const std::string& topic) {
  v1::DescribeTopicsRequest request;
  request.add_names(topic);
  v1::DescribeTopicsResponse response;
  RETURN_IF_ERROR(
      rpc::FromGrpcStatus(admin_->DescribeTopics(NewContext().get(), request, &response)));
  RETURN_IF_ERROR(ResultError(response.topics(0).code(), response.topics(0).message()));
  return response.topics(0).topic_id();
}

absl::StatusOr<std::vector<std::string>> ApiClient::ReadValues(const std::string& topic,
                                                               int partition, int64_t offset) {
  std::vector<std::string> values;
  for (;;) {
    ASSIGN_OR_RETURN(const v1::FetchPartitionResult result, Fetch(topic, partition, offset));
    for (const v1::Record& record : result.records()) {
      if (record.offset() < offset) continue;
      values.push_back(record.value());
      offset = record.offset() + 1;
    }
    if (offset >= result.high_watermark()) return values;
    if (result.records().empty()) {
      return MakeError(ErrorCode::kUnknownServerError,
                       absl::StrCat("nothing at offset ", offset, " below the high watermark ",
                                    result.high_watermark()));
    }
  }
}

}  // namespace millrace::test
