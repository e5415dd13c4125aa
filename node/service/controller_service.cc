#include "node/service/controller_service.h"

#include <utility>

#include "node/service/authorize.h"
#include "node/service/broker_session_stream.h"
#include "node/service/routed_method.h"

namespace millrace::node {
namespace {

// Of a new registration only the log knows the epoch: it is the entry's index.
void SetEpoch(LogIndex index, internal::v1::RegisterBrokerResponse* response) {
  if (response->broker_epoch() == 0) response->set_broker_epoch(index.value());
}
template <class Response>
void SetEpoch(LogIndex, Response*) {}

// A heartbeat without a stream is a sign of life, too.
void NoteContact(Node* node, const internal::v1::BrokerHeartbeatRequest& request) {
  node->sessions().OnContact(NodeId(request.broker_id()), BrokerEpoch(request.broker_epoch()));
}
template <class Request>
void NoteContact(Node*, const Request&) {}

// A handler that submits its request as a command.
template <class Request, class Response>
auto Command(Node* node, const metadata::Authorizer* authorizer) {
  return [node, authorizer](const rpc::CallContext& context, Request request,
                            rpc::Reply<Response> reply) {
    absl::Status allowed =
        AuthorizeOnCluster(*authorizer, context, metadata::Operation::kClusterAction);
    // Of one that was passed on, the certificate is that of the controller in between.
    if (allowed.ok() && !context.forwarded) {
      allowed = rpc::CheckClaim(context, NodeId(request.broker_id()), "a broker");
    }
    if (!allowed.ok()) return reply(allowed);
    node->Submit(request, [node, request, reply = std::move(reply)](
                              absl::StatusOr<Response> response, LogIndex index) mutable {
      if (response.ok()) SetEpoch(index, &*response);
      if (response.ok()) NoteContact(node, request);
      reply(std::move(response));
    });
  };
}

}  // namespace

ControllerService::ControllerService(Node* node, const metadata::Authorizer* authorizer,
                                     const QuorumAccess& quorum)
    : node_(node), authorizer_(authorizer), quorum_(quorum) {}

void ControllerService::Register(rpc::Server* server) {
  server->AddService(&service_, V1::service_full_name());
  forwarder_ =
      std::make_unique<AdminForwarder>(ForwarderOptions(quorum_), quorum_.self, server->queue(0));
  refusals_ = std::make_unique<rpc::RefusalLog>(server->clock(), "node", "refused a session");
  const RoutedMethods methods{.service = V1::service_full_name(),
                              .server = server,
                              .queue = server->queue(0),
                              .forwarder = forwarder_.get()};
  namespace api = internal::v1;
  RegisterRouted<api::RegisterBrokerRequest, api::RegisterBrokerResponse>(
      methods, &service_, &Service::RequestRegisterBroker, "RegisterBroker", Access::kChange,
      Command<api::RegisterBrokerRequest, api::RegisterBrokerResponse>(node_, authorizer_));
  RegisterRouted<api::BrokerHeartbeatRequest, api::BrokerHeartbeatResponse>(
      methods, &service_, &Service::RequestBrokerHeartbeat, "BrokerHeartbeat", Access::kChange,
      Command<api::BrokerHeartbeatRequest, api::BrokerHeartbeatResponse>(node_, authorizer_));
  RegisterRouted<api::AllocateProducerIdsRequest, api::AllocateProducerIdsResponse>(
      methods, &service_, &Service::RequestAllocateProducerIds, "AllocateProducerIds",
      Access::kChange,
      Command<api::AllocateProducerIdsRequest, api::AllocateProducerIdsResponse>(node_,
                                                                                 authorizer_));
  RegisterRouted<api::AlterPartitionRequest, api::AlterPartitionResponse>(
      methods, &service_, &Service::RequestAlterPartition, "AlterPartition", Access::kChange,
      Command<api::AlterPartitionRequest, api::AlterPartitionResponse>(node_, authorizer_));
  RegisterRouted<api::AssignReplicasToDirsRequest, api::AssignReplicasToDirsResponse>(
      methods, &service_, &Service::RequestAssignReplicasToDirs, "AssignReplicasToDirs",
      Access::kChange,
      Command<api::AssignReplicasToDirsRequest, api::AssignReplicasToDirsResponse>(node_,
                                                                                   authorizer_));
  RegisterRouted<api::ReportLastCopiesRequest, api::ReportLastCopiesResponse>(
      methods, &service_, &Service::RequestReportLastCopies, "ReportLastCopies", Access::kChange,
      Command<api::ReportLastCopiesRequest, api::ReportLastCopiesResponse>(node_, authorizer_));
  rpc::RegisterStream(server, server->queue(0), &service_, &Service::RequestBrokerSession,
                      [node = node_, owner = quorum_.executor, authorizer = authorizer_,
                       refusals = refusals_.get()](std::shared_ptr<rpc::ServerStream> stream) {
                        return ServeBrokerSession(&node->sessions(), owner, authorizer, refusals,
                                                  std::move(stream));
                      });
  FollowLeader(quorum_, forwarder_.get());
}

}  // namespace millrace::node
