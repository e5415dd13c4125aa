#include "node/service/admin_service.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace millrace::node {
namespace {

using metadata::Operation;

// Sends the reply of a command, with the index it is true at.
template <class Response>
auto Answer(rpc::Reply<Response> reply) {
  return [reply = std::move(reply)](absl::StatusOr<Response> response, LogIndex index) mutable {
    if (response.ok()) response->set_metadata_index(index.value());
    reply(std::move(response));
  };
}

}  // namespace

absl::Status AdminService::Authorize(const rpc::CallContext& context, Operation operation) const {
  const metadata::Principal principal{
      absl::StrCat(context.principal.type, ":", context.principal.name)};
  if (authorizer_->Allows(principal, operation, {.type = metadata::ResourceType::kCluster})) {
    return absl::OkStatus();
  }
  return MakeError(ErrorCode::kAuthorizationFailed,
                   absl::StrCat(principal.name, " may not do this; ask for the permission"),
                   {.name = "principal", .value = principal.name});
}

template <class Request, class Response>
auto AdminService::Command(Operation operation) {
  return [this, operation](const rpc::CallContext& context, Request request,
                           rpc::Reply<Response> reply) {
    if (absl::Status allowed = Authorize(context, operation); !allowed.ok()) return reply(allowed);
    node_->Submit(std::move(request), Answer(std::move(reply)));
  };
}

void AdminService::Register(rpc::Server* server) {
  server->AddService(&service_, v1::AdminService::service_full_name());
  rpc::CompletionQueueExecutor* queue = server->queue(0);

  RegisterParsed<v1::CreateTopicsRequest, v1::CreateTopicsResponse>(
      server, queue, &service_, &Service::RequestCreateTopics,
      [this](const rpc::CallContext& context, v1::CreateTopicsRequest request,
             rpc::Reply<v1::CreateTopicsResponse> reply) {
        absl::Status allowed = Authorize(context, Operation::kCreate);
        if (!allowed.ok()) return reply(allowed);
        node_->CreateTopics(std::move(request), Answer(std::move(reply)));
      });
  RegisterParsed<v1::CreatePartitionsRequest, v1::CreatePartitionsResponse>(
      server, queue, &service_, &Service::RequestCreatePartitions,
      [this](const rpc::CallContext& context, v1::CreatePartitionsRequest request,
             rpc::Reply<v1::CreatePartitionsResponse> reply) {
        absl::Status allowed = Authorize(context, Operation::kAlter);
        if (!allowed.ok()) return reply(allowed);
        node_->CreatePartitions(std::move(request), Answer(std::move(reply)));
      });
  RegisterParsed<v1::DeleteTopicsRequest, v1::DeleteTopicsResponse>(
      server, queue, &service_, &Service::RequestDeleteTopics,
      Command<v1::DeleteTopicsRequest, v1::DeleteTopicsResponse>(Operation::kDelete));
  RegisterParsed<v1::ListTopicsRequest, v1::ListTopicsResponse>(
      server, queue, &service_, &Service::RequestListTopics,
      Command<v1::ListTopicsRequest, v1::ListTopicsResponse>(Operation::kDescribe));
  RegisterParsed<v1::DescribeTopicsRequest, v1::DescribeTopicsResponse>(
      server, queue, &service_, &Service::RequestDescribeTopics,
      Command<v1::DescribeTopicsRequest, v1::DescribeTopicsResponse>(Operation::kDescribe));
  RegisterParsed<v1::DescribeConfigsRequest, v1::DescribeConfigsResponse>(
      server, queue, &service_, &Service::RequestDescribeConfigs,
      Command<v1::DescribeConfigsRequest, v1::DescribeConfigsResponse>(
          Operation::kDescribeConfigs));
  RegisterParsed<v1::IncrementalAlterConfigsRequest, v1::IncrementalAlterConfigsResponse>(
      server, queue, &service_, &Service::RequestIncrementalAlterConfigs,
      Command<v1::IncrementalAlterConfigsRequest, v1::IncrementalAlterConfigsResponse>(
          Operation::kAlterConfigs));
  RegisterParsed<v1::DescribeClusterRequest, v1::DescribeClusterResponse>(
      server, queue, &service_, &Service::RequestDescribeCluster,
      Command<v1::DescribeClusterRequest, v1::DescribeClusterResponse>(Operation::kDescribe));
  RegisterParsed<v1::DescribeLogDirsRequest, v1::DescribeLogDirsResponse>(
      server, queue, &service_, &Service::RequestDescribeLogDirs,
      [this](const rpc::CallContext& context, v1::DescribeLogDirsRequest request,
             rpc::Reply<v1::DescribeLogDirsResponse> reply) {
        absl::Status allowed = Authorize(context, Operation::kDescribe);
        if (!allowed.ok()) return reply(allowed);
        node_->DescribeLogDirs(request, [reply = std::move(reply)](auto response) mutable {
          reply(std::move(response));
        });
      });
}

}  // namespace millrace::node
