#include "node/service/quorum_admin.h"

#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "node/service/authorize.h"

namespace millrace::node {
namespace {

using controller::QuorumDescription;
using controller::QuorumMember;
using metadata::Operation;

v1::QuorumMemberRole ToRole(QuorumMember::Role role) {
  switch (role) {
    case QuorumMember::Role::kVoter:
      return v1::QUORUM_MEMBER_ROLE_VOTER;
    case QuorumMember::Role::kLearner:
      return v1::QUORUM_MEMBER_ROLE_LEARNER;
    case QuorumMember::Role::kObserver:
      return v1::QUORUM_MEMBER_ROLE_OBSERVER;
  }
  return v1::QUORUM_MEMBER_ROLE_UNSPECIFIED;
}

absl::Status CheckNode(int32_t node_id) {
  if (node_id >= 0) return absl::OkStatus();
  return MakeError(
      ErrorCode::kInvalidRequest,
      absl::StrCat("node_id ", node_id, " is no node: give the node.id of a controller"),
      {.name = "node_id", .value = absl::StrCat(node_id)});
}

absl::StatusOr<DirectoryId> ToDirectory(const std::string& bytes) {
  const absl::StatusOr<DirectoryId> directory = DirectoryId::FromBytes(bytes);
  if (directory.ok() && !directory->is_zero()) return directory;
  return MakeError(ErrorCode::kInvalidRequest,
                   absl::StrCat("directory_id has ", bytes.size(),
                                " bytes that name no directory: give the 16 of the controller's "
                                "metadata directory"),
                   {.name = "directory_id"});
}

absl::Status CheckAddress(const std::string& address) {
  const size_t colon = address.rfind(':');
  uint32_t port = 0;
  if (colon != std::string::npos && colon > 0 &&
      absl::SimpleAtoi(address.substr(colon + 1), &port) && port > 0 && port <= 65535) {
    return absl::OkStatus();
  }
  return MakeError(ErrorCode::kInvalidRequest,
                   absl::StrCat("address '", address,
                                "' is not host:port: give that of the node's controller listener"),
                   {.name = "address", .value = address});
}

// A callback that answers with an empty message.
template <class Response>
controller::QuorumControl::Done Done(rpc::Reply<Response> reply) {
  return [reply = std::move(reply)](absl::Status status) mutable {
    if (!status.ok()) return reply(std::move(status));
    reply(Response());
  };
}

}  // namespace

v1::DescribeQuorumResponse ToResponse(const QuorumDescription& quorum) {
  v1::DescribeQuorumResponse response;
  response.set_leader_id(quorum.leader.value());
  response.set_term(quorum.term.value());
  response.set_commit_index(quorum.commit.value());
  response.set_log_start_index(quorum.log_start.value());
  response.set_log_end_index(quorum.log_end.value());
  response.set_snapshot_index(quorum.snapshot.value());
  for (const QuorumMember& from : quorum.members) {
    v1::QuorumMember* member = response.add_members();
    member->set_node_id(from.node.value());
    if (!from.directory.is_zero()) member->set_directory_id(from.directory.ToBytes());
    member->set_address(from.address);
    member->set_role(ToRole(from.role));
    member->set_state(from.state);
    member->set_log_end_index(from.log_end.value());
    member->set_lag_entries(from.lag);
    if (from.last_contact_ms.has_value()) member->set_last_contact_ms(*from.last_contact_ms);
  }
  return response;
}

template <class Response, class Ask>
void QuorumAdmin::OnQuorum(const rpc::CallContext& context, Operation operation,
                           rpc::Reply<Response> reply, Ask ask) {
  const absl::Status allowed = AuthorizeOnCluster(*authorizer_, context, operation);
  if (!allowed.ok()) return reply(allowed);
  if (quorum_.control == nullptr) {
    return reply(MakeError(ErrorCode::kUnsupportedVersion,
                           "this node is no part of a quorum; ask a controller"));
  }
  quorum_.executor->Post([control = quorum_.control, reply = std::move(reply),
                          ask = std::move(ask)]() mutable { ask(control, std::move(reply)); });
}

void QuorumAdmin::Register(const RoutedMethods& methods, AdminGrpc* service) {
  RegisterRouted<v1::DescribeQuorumRequest, v1::DescribeQuorumResponse>(
      methods, service, &AdminGrpc::RequestDescribeQuorum, "DescribeQuorum", Access::kRead,
      [this](const rpc::CallContext& context, const v1::DescribeQuorumRequest&,
             rpc::Reply<v1::DescribeQuorumResponse> reply) {
        OnQuorum(context, Operation::kDescribe, std::move(reply), [](auto* control, auto reply) {
          control->Describe([reply = std::move(reply)](auto quorum) mutable {
            if (!quorum.ok()) return reply(quorum.status());
            reply(ToResponse(*quorum));
          });
        });
      });
  RegisterRouted<v1::AddControllerRequest, v1::AddControllerResponse>(
      methods, service, &AdminGrpc::RequestAddController, "AddController", Access::kChange,
      [this](const rpc::CallContext& context, v1::AddControllerRequest request,
             rpc::Reply<v1::AddControllerResponse> reply) {
        OnQuorum(context, Operation::kAlter, std::move(reply),
                 [request = std::move(request)](auto* control, auto reply) {
                   absl::Status status = CheckNode(request.node_id());
                   status.Update(CheckAddress(request.address()));
                   const absl::StatusOr<DirectoryId> directory =
                       ToDirectory(request.directory_id());
                   status.Update(directory.status());
                   if (!status.ok()) return reply(status);
                   control->AddVoter(NodeId(request.node_id()), *directory, request.address(),
                                     Done(std::move(reply)));
                 });
      });
  RegisterRouted<v1::RemoveControllerRequest, v1::RemoveControllerResponse>(
      methods, service, &AdminGrpc::RequestRemoveController, "RemoveController", Access::kChange,
      [this](const rpc::CallContext& context, v1::RemoveControllerRequest request,
             rpc::Reply<v1::RemoveControllerResponse> reply) {
        OnQuorum(
            context, Operation::kAlter, std::move(reply),
            [request = std::move(request)](auto* control, auto reply) {
              absl::Status status = CheckNode(request.node_id());
              const absl::StatusOr<DirectoryId> directory = ToDirectory(request.directory_id());
              status.Update(directory.status());
              if (!status.ok()) return reply(status);
              control->RemoveVoter(NodeId(request.node_id()), *directory, Done(std::move(reply)));
            });
      });
  RegisterRouted<v1::TransferControllerLeadershipRequest, v1::TransferControllerLeadershipResponse>(
      methods, service, &AdminGrpc::RequestTransferControllerLeadership,
      "TransferControllerLeadership", Access::kChange,
      [this](const rpc::CallContext& context, v1::TransferControllerLeadershipRequest request,
             rpc::Reply<v1::TransferControllerLeadershipResponse> reply) {
        OnQuorum(context, Operation::kAlter, std::move(reply),
                 [node = request.node_id()](auto* control, auto reply) {
                   absl::Status status = CheckNode(node);
                   if (!status.ok()) return reply(status);
                   control->TransferLeadership(NodeId(node), Done(std::move(reply)));
                 });
      });
}

}  // namespace millrace::node
