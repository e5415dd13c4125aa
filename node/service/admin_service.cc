#include "node/service/admin_service.h"

#include <memory>
#include <utility>

#include "base/status.h"
#include "node/service/authorize.h"
#include "node/service/routed_method.h"
#include "rpc/parsed_call.h"

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

AdminService::AdminService(Node* node, const metadata::Authorizer* authorizer,
                           const QuorumAccess& quorum)
    : node_(node), authorizer_(authorizer), quorum_(quorum), quorum_admin_(quorum, authorizer) {}

template <class Request, class Response>
auto AdminService::Command(Operation operation) {
  return [this, operation](const rpc::CallContext& context, Request request,
                           rpc::Reply<Response> reply) {
    const absl::Status allowed = AuthorizeOnCluster(*authorizer_, context, operation);
    if (!allowed.ok()) return reply(allowed);
    node_->Submit(std::move(request), Answer(std::move(reply)));
  };
}

void AdminService::Register(rpc::Server* server) {
  server->AddService(&service_, v1::AdminService::service_full_name());
  rpc::CompletionQueueExecutor* queue = server->queue(0);
  forwarder_ = std::make_unique<AdminForwarder>(ForwarderOptions(quorum_), quorum_.self, queue);
  const RoutedMethods methods{.service = v1::AdminService::service_full_name(),
                              .server = server,
                              .queue = queue,
                              .forwarder = forwarder_.get()};
  RegisterTopics(methods);
  RegisterPartitions(methods);
  RegisterCluster(methods);
  RegisterFeatures(methods);
  quorum_admin_.Register(methods, &service_);
  FollowLeader(quorum_, forwarder_.get());
}

void AdminService::RegisterTopics(const RoutedMethods& methods) {
  RegisterRouted<v1::CreateTopicsRequest, v1::CreateTopicsResponse>(
      methods, &service_, &AdminGrpc::RequestCreateTopics, "CreateTopics", Access::kChange,
      [this](const rpc::CallContext& context, v1::CreateTopicsRequest request,
             rpc::Reply<v1::CreateTopicsResponse> reply) {
        const absl::Status allowed = AuthorizeOnCluster(*authorizer_, context, Operation::kCreate);
        if (!allowed.ok()) return reply(allowed);
        node_->CreateTopics(std::move(request), Answer(std::move(reply)));
      });
  RegisterRouted<v1::CreatePartitionsRequest, v1::CreatePartitionsResponse>(
      methods, &service_, &AdminGrpc::RequestCreatePartitions, "CreatePartitions", Access::kChange,
      [this](const rpc::CallContext& context, v1::CreatePartitionsRequest request,
             rpc::Reply<v1::CreatePartitionsResponse> reply) {
        const absl::Status allowed = AuthorizeOnCluster(*authorizer_, context, Operation::kAlter);
        if (!allowed.ok()) return reply(allowed);
        node_->CreatePartitions(std::move(request), Answer(std::move(reply)));
      });
  RegisterRouted<v1::DeleteTopicsRequest, v1::DeleteTopicsResponse>(
      methods, &service_, &AdminGrpc::RequestDeleteTopics, "DeleteTopics", Access::kChange,
      Command<v1::DeleteTopicsRequest, v1::DeleteTopicsResponse>(Operation::kDelete));
  RegisterRouted<v1::ListTopicsRequest, v1::ListTopicsResponse>(
      methods, &service_, &AdminGrpc::RequestListTopics, "ListTopics", Access::kRead,
      Command<v1::ListTopicsRequest, v1::ListTopicsResponse>(Operation::kDescribe));
  RegisterRouted<v1::DescribeTopicsRequest, v1::DescribeTopicsResponse>(
      methods, &service_, &AdminGrpc::RequestDescribeTopics, "DescribeTopics", Access::kRead,
      Command<v1::DescribeTopicsRequest, v1::DescribeTopicsResponse>(Operation::kDescribe));
}

void AdminService::RegisterPartitions(const RoutedMethods& methods) {
  RegisterRouted<v1::ElectLeadersRequest, v1::ElectLeadersResponse>(
      methods, &service_, &AdminGrpc::RequestElectLeaders, "ElectLeaders", Access::kChange,
      Command<v1::ElectLeadersRequest, v1::ElectLeadersResponse>(Operation::kAlter));
  RegisterRouted<v1::AlterPartitionReassignmentsRequest, v1::AlterPartitionReassignmentsResponse>(
      methods, &service_, &AdminGrpc::RequestAlterPartitionReassignments,
      "AlterPartitionReassignments", Access::kChange,
      [this](const rpc::CallContext& context, v1::AlterPartitionReassignmentsRequest request,
             rpc::Reply<v1::AlterPartitionReassignmentsResponse> reply) {
        const absl::Status allowed = AuthorizeOnCluster(*authorizer_, context, Operation::kAlter);
        if (!allowed.ok()) return reply(allowed);
        node_->SubmitSeeded<controller::AlterReassignmentsCommand>(std::move(request),
                                                                   Answer(std::move(reply)));
      });
  RegisterRouted<v1::ListPartitionReassignmentsRequest, v1::ListPartitionReassignmentsResponse>(
      methods, &service_, &AdminGrpc::RequestListPartitionReassignments,
      "ListPartitionReassignments", Access::kRead,
      Command<v1::ListPartitionReassignmentsRequest, v1::ListPartitionReassignmentsResponse>(
          Operation::kDescribe));
  RegisterRouted<v1::CordonBrokerRequest, v1::CordonBrokerResponse>(
      methods, &service_, &AdminGrpc::RequestCordonBroker, "CordonBroker", Access::kChange,
      Command<v1::CordonBrokerRequest, v1::CordonBrokerResponse>(Operation::kAlter));
  RegisterRouted<v1::DecommissionBrokerRequest, v1::DecommissionBrokerResponse>(
      methods, &service_, &AdminGrpc::RequestDecommissionBroker, "DecommissionBroker",
      Access::kChange,
      [this](const rpc::CallContext& context, v1::DecommissionBrokerRequest request,
             rpc::Reply<v1::DecommissionBrokerResponse> reply) {
        const absl::Status allowed = AuthorizeOnCluster(*authorizer_, context, Operation::kAlter);
        if (!allowed.ok()) return reply(allowed);
        node_->SubmitSeeded<controller::DecommissionBrokerCommand>(std::move(request),
                                                                   Answer(std::move(reply)));
      });
  RegisterRouted<v1::UnregisterBrokerRequest, v1::UnregisterBrokerResponse>(
      methods, &service_, &AdminGrpc::RequestUnregisterBroker, "UnregisterBroker", Access::kChange,
      Command<v1::UnregisterBrokerRequest, v1::UnregisterBrokerResponse>(Operation::kAlter));
}

void AdminService::RegisterCluster(const RoutedMethods& methods) {
  RegisterRouted<v1::DescribeConfigsRequest, v1::DescribeConfigsResponse>(
      methods, &service_, &AdminGrpc::RequestDescribeConfigs, "DescribeConfigs", Access::kRead,
      Command<v1::DescribeConfigsRequest, v1::DescribeConfigsResponse>(
          Operation::kDescribeConfigs));
  RegisterRouted<v1::IncrementalAlterConfigsRequest, v1::IncrementalAlterConfigsResponse>(
      methods, &service_, &AdminGrpc::RequestIncrementalAlterConfigs, "IncrementalAlterConfigs",
      Access::kChange,
      Command<v1::IncrementalAlterConfigsRequest, v1::IncrementalAlterConfigsResponse>(
          Operation::kAlterConfigs));
  RegisterRouted<v1::DescribeClusterRequest, v1::DescribeClusterResponse>(
      methods, &service_, &AdminGrpc::RequestDescribeCluster, "DescribeCluster", Access::kRead,
      Command<v1::DescribeClusterRequest, v1::DescribeClusterResponse>(Operation::kDescribe));
  // The node's own directories and replicas: what every node answers for itself.
  RegisterParsed<v1::ChecksumReplicaRequest, v1::ChecksumReplicaResponse>(
      methods.server, methods.queue, &service_, &AdminGrpc::RequestChecksumReplica,
      [this](const rpc::CallContext& context, v1::ChecksumReplicaRequest request,
             rpc::Reply<v1::ChecksumReplicaResponse> reply) {
        const absl::Status allowed =
            AuthorizeOnCluster(*authorizer_, context, Operation::kDescribe);
        if (!allowed.ok()) return reply(allowed);
        // Many reads go by before the answer.
        const auto shared =
            std::make_shared<rpc::Reply<v1::ChecksumReplicaResponse>>(std::move(reply));
        node_->ChecksumReplica(
            std::move(request), PrincipalOf(context), [shared] { return shared->cancelled(); },
            [shared](auto response) { (*shared)(std::move(response)); });
      });
  RegisterParsed<v1::DescribeLogDirsRequest, v1::DescribeLogDirsResponse>(
      methods.server, methods.queue, &service_, &AdminGrpc::RequestDescribeLogDirs,
      [this](const rpc::CallContext& context, v1::DescribeLogDirsRequest request,
             rpc::Reply<v1::DescribeLogDirsResponse> reply) {
        const absl::Status allowed =
            AuthorizeOnCluster(*authorizer_, context, Operation::kDescribe);
        if (!allowed.ok()) return reply(allowed);
        node_->DescribeLogDirs(request, [reply = std::move(reply)](auto response) mutable {
          reply(std::move(response));
        });
      });
}

void AdminService::RegisterFeatures(const RoutedMethods& methods) {
  RegisterRouted<v1::DescribeFeaturesRequest, v1::DescribeFeaturesResponse>(
      methods, &service_, &AdminGrpc::RequestDescribeFeatures, "DescribeFeatures", Access::kRead,
      [this](const rpc::CallContext& context, const v1::DescribeFeaturesRequest&,
             rpc::Reply<v1::DescribeFeaturesResponse> reply) {
        const absl::Status allowed =
            AuthorizeOnCluster(*authorizer_, context, Operation::kDescribe);
        if (!allowed.ok()) return reply(allowed);
        node_->DescribeFeatures(Answer(std::move(reply)));
      });
  RegisterRouted<v1::RaiseFeatureLevelRequest, v1::RaiseFeatureLevelResponse>(
      methods, &service_, &AdminGrpc::RequestRaiseFeatureLevel, "RaiseFeatureLevel",
      Access::kChange,
      [this](const rpc::CallContext& context, v1::RaiseFeatureLevelRequest request,
             rpc::Reply<v1::RaiseFeatureLevelResponse> reply) {
        const absl::Status allowed = AuthorizeOnCluster(*authorizer_, context, Operation::kAlter);
        if (!allowed.ok()) return reply(allowed);
        node_->RaiseFeatureLevel(std::move(request), Answer(std::move(reply)));
      });
}

}  // namespace millrace::node
