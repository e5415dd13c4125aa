#include "client/admin.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "base/system_clock.h"
#include "base/system_random.h"
#include "base/uuid.h"
#include "client/bootstrap_servers.h"
#include "client/connect_time.h"
#include "rpc/channel_pool.h"
#include "rpc/client_call.h"
#include "rpc/completion_queue_executor.h"
#include "rpc/wakeup.h"

namespace millrace::client {
namespace {

// Between two rounds over all servers, while the cluster is able to answer but not yet to decide.
constexpr absl::Duration kRetryBackoff = absl::Milliseconds(100);

constexpr char kAdminService[] = "/millrace.v1.AdminService/";
constexpr char kLogService[] = "/millrace.v1.LogService/";

// The server could not be reached, or does not work any more: another one may.
bool IsUnreachable(const absl::Status& status) {
  const ErrorCode code = CodeOf(status);
  return code == ErrorCode::kBrokerNotAvailable || code == ErrorCode::kShuttingDown;
}

// What a call may do; a change whose outcome is not known is not sent again, unless it has an id.
enum class Access { kRead, kChange };

// Nobody can say any more what became of the request with this id: asking again is no use.
bool IsForgotten(const absl::Status& status) { return DetailOf(status).name == "request_id"; }

std::string DrawClientId() {
  SystemRandom random;
  return Uuid::Draw(random).ToBytes();
}

// One answer, handed from the strand to the caller who waits. Shared, since a caller who has waited
// long enough goes away before the strand does.
template <class Response>
struct Answer {
  rpc::Wakeup arrived;
  std::optional<absl::StatusOr<Response>> response;
};

class GrpcAdmin final : public Admin {
 public:
  GrpcAdmin(std::vector<std::string> servers, absl::Duration timeout,
            std::shared_ptr<grpc::ChannelCredentials> credentials)
      : servers_(std::move(servers)),
        timeout_(timeout),
        client_id_(DrawClientId()),
        channels_(rpc::ChannelOptions{.credentials = std::move(credentials)}),
        connect_time_(servers_.size(), timeout) {}
  ~GrpcAdmin() override { executor_.Shutdown(); }

  absl::StatusOr<v1::CreateTopicsResponse> CreateTopics(
      const v1::CreateTopicsRequest& request) override {
    return Change<v1::CreateTopicsResponse>("CreateTopics", request);
  }
  absl::StatusOr<v1::DeleteTopicsResponse> DeleteTopics(
      const v1::DeleteTopicsRequest& request) override {
    return Change<v1::DeleteTopicsResponse>("DeleteTopics", request);
  }
  absl::StatusOr<v1::ListTopicsResponse> ListTopics(const v1::ListTopicsRequest& request) override {
    return Call<v1::ListTopicsResponse>("ListTopics", request, Access::kRead);
  }
  absl::StatusOr<v1::DescribeTopicsResponse> DescribeTopics(
      const v1::DescribeTopicsRequest& request) override {
    return Call<v1::DescribeTopicsResponse>("DescribeTopics", request, Access::kRead);
  }
  absl::StatusOr<v1::CreatePartitionsResponse> CreatePartitions(
      const v1::CreatePartitionsRequest& request) override {
    return Change<v1::CreatePartitionsResponse>("CreatePartitions", request);
  }
  absl::StatusOr<v1::ElectLeadersResponse> ElectLeaders(
      const v1::ElectLeadersRequest& request) override {
    // A second unclean election would find a leader, and say nothing of what the first one lost.
    if (request.type() == v1::ELECTION_TYPE_UNCLEAN && !request.validate_only()) {
      return Call<v1::ElectLeadersResponse>("ElectLeaders", request, Access::kChange);
    }
    return Repeat<v1::ElectLeadersResponse>("ElectLeaders", request);
  }
  absl::StatusOr<v1::AlterPartitionReassignmentsResponse> AlterPartitionReassignments(
      const v1::AlterPartitionReassignmentsRequest& request) override {
    return Repeat<v1::AlterPartitionReassignmentsResponse>("AlterPartitionReassignments", request);
  }
  absl::StatusOr<v1::ListPartitionReassignmentsResponse> ListPartitionReassignments(
      const v1::ListPartitionReassignmentsRequest& request) override {
    return Call<v1::ListPartitionReassignmentsResponse>("ListPartitionReassignments", request,
                                                        Access::kRead);
  }
  absl::StatusOr<v1::CordonBrokerResponse> CordonBroker(
      const v1::CordonBrokerRequest& request) override {
    return Repeat<v1::CordonBrokerResponse>("CordonBroker", request);
  }
  absl::StatusOr<v1::DecommissionBrokerResponse> DecommissionBroker(
      const v1::DecommissionBrokerRequest& request) override {
    return Repeat<v1::DecommissionBrokerResponse>("DecommissionBroker", request);
  }
  absl::StatusOr<v1::UnregisterBrokerResponse> UnregisterBroker(
      const v1::UnregisterBrokerRequest& request) override {
    return Call<v1::UnregisterBrokerResponse>("UnregisterBroker", request, Access::kChange);
  }
  absl::StatusOr<v1::DescribeConfigsResponse> DescribeConfigs(
      const v1::DescribeConfigsRequest& request) override {
    return Call<v1::DescribeConfigsResponse>("DescribeConfigs", request, Access::kRead);
  }
  absl::StatusOr<v1::IncrementalAlterConfigsResponse> IncrementalAlterConfigs(
      const v1::IncrementalAlterConfigsRequest& request) override {
    return Change<v1::IncrementalAlterConfigsResponse>("IncrementalAlterConfigs", request);
  }
  absl::StatusOr<v1::DescribeClusterResponse> DescribeCluster(
      const v1::DescribeClusterRequest& request) override {
    return Call<v1::DescribeClusterResponse>("DescribeCluster", request, Access::kRead);
  }
  absl::StatusOr<v1::DescribeLogDirsResponse> DescribeLogDirs(
      const v1::DescribeLogDirsRequest& request) override {
    return Call<v1::DescribeLogDirsResponse>("DescribeLogDirs", request, Access::kRead);
  }
  absl::StatusOr<v1::ChecksumReplicaResponse> ChecksumReplica(
      const v1::ChecksumReplicaRequest& request) override {
    return Call<v1::ChecksumReplicaResponse>("ChecksumReplica", request, Access::kRead);
  }
  absl::StatusOr<v1::DescribeFeaturesResponse> DescribeFeatures(
      const v1::DescribeFeaturesRequest& request) override {
    return Call<v1::DescribeFeaturesResponse>("DescribeFeatures", request, Access::kRead);
  }
  absl::StatusOr<v1::RaiseFeatureLevelResponse> RaiseFeatureLevel(
      const v1::RaiseFeatureLevelRequest& request) override {
    return Repeat<v1::RaiseFeatureLevelResponse>("RaiseFeatureLevel", request);
  }
  absl::StatusOr<v1::DescribeQuorumResponse> DescribeQuorum(
      const v1::DescribeQuorumRequest& request) override {
    return Call<v1::DescribeQuorumResponse>("DescribeQuorum", request, Access::kRead);
  }
  absl::StatusOr<v1::AddControllerResponse> AddController(
      const v1::AddControllerRequest& request) override {
    return Call<v1::AddControllerResponse>("AddController", request, Access::kChange);
  }
  absl::StatusOr<v1::RemoveControllerResponse> RemoveController(
      const v1::RemoveControllerRequest& request) override {
    return Call<v1::RemoveControllerResponse>("RemoveController", request, Access::kChange);
  }
  absl::StatusOr<v1::TransferControllerLeadershipResponse> TransferControllerLeadership(
      const v1::TransferControllerLeadershipRequest& request) override {
    return Call<v1::TransferControllerLeadershipResponse>("TransferControllerLeadership", request,
                                                          Access::kChange);
  }
  absl::StatusOr<v1::DeleteRecordsResponse> DeleteRecords(
      const v1::DeleteRecordsRequest& request) override {
    return Call<v1::DeleteRecordsResponse>("DeleteRecords", request, Access::kChange, kLogService);
  }

 private:
  // Gives the request an id, unless it has one, under which it can be sent again (S-39).
  template <class Response, class Request>
  absl::StatusOr<Response> Change(const std::string& method, const Request& request) {
    if (request.validate_only()) return Call<Response>(method, request, Access::kChange);
    Request first = request;
    v1::RequestId* id = first.mutable_request_id();
    if (id->client_id().empty()) {
      id->set_client_id(client_id_);
      id->set_sequence(++last_sequence_);
    }
    Request again = first;
    again.mutable_request_id()->set_retry(true);
    return Call<Response>(method, first, Access::kChange, kAdminService, &again);
  }

  // What says how things should be in the end: the second time it changes nothing more.
  template <class Response, class Request>
  absl::StatusOr<Response> Repeat(const std::string& method, const Request& request) {
    return Call<Response>(method, request, Access::kChange, kAdminService, &request);
  }

  // Rounds over all servers, beginning with the one that answered last, until one decides. One that
  // reads leaves time for the others when a server does not answer. `again`
  // is sent in place of the request once that may have taken effect; null: it is not sent again.
  template <class Response>
  absl::StatusOr<Response> Call(const std::string& method,
                                const google::protobuf::MessageLite& request, Access access,
                                const char* service = kAdminService,
                                const google::protobuf::MessageLite* again = nullptr) {
    const MonotonicTime deadline = clock_.Now() + timeout_;
    // Not OK once the request may have taken effect: then it is the answer, if there is no better.
    absl::Status unknown;
    while (true) {
      std::vector<std::string> unreachable;
      absl::Status refused;
      bool silent = false;
      const size_t first = preferred_;
      for (size_t i = 0; i < servers_.size(); ++i) {
        const size_t server = (first + i) % servers_.size();
        const size_t left = access == Access::kRead ? servers_.size() - i : 1;
        const MonotonicTime asked = clock_.Now();
        absl::StatusOr<Response> response =
            CallServer<Response>(servers_[server], service, method, unknown.ok() ? request : *again,
                                 (deadline - clock_.Now()) / static_cast<int64_t>(left), access);
        if (left > 1 && CodeOf(response.status()) == ErrorCode::kRequestTimedOut) continue;
        if (access == Access::kChange && MayHaveHappened(response.status())) {
          if (IsLost(response.status())) {
            response = OutcomeUnknown(servers_[server], method, response.status());
          }
          if (again == nullptr) return Advised(response.status());
          if (IsForgotten(response.status())) return response;
          unknown = response.status();
          continue;
        }
        if (response.ok() || !MayTryAgain(response.status())) {
          preferred_ = server;
          return response;
        }
        if (IsUnreachable(response.status())) {
          // No more than nearly: gRPC's clock is another one.
          silent |= clock_.Now() - asked >= connect_time_.max() * 9 / 10;
          unreachable.push_back(
              absl::StrCat(servers_[server], " (", response.status().message(), ")"));
        } else {
          refused = response.status();
        }
      }
      if (refused.ok() && unknown.ok()) {
        // Nobody is there: waiting is the caller's choice, not ours. Unless it is the way that is
        // long.
        const absl::Duration left = deadline - clock_.Now();
        if (silent && connect_time_.GrowWithin(left / static_cast<int64_t>(servers_.size()))) {
          continue;
        }
        // Nor do the channels stay: one that has never come about refuses at once, however long the
        // way is, and would never be tried for long enough again.
        connect_time_.Reset();
        for (const std::string& server : servers_) channels_.Drop(server);
        return Unavailable(unreachable);
      }
      if (clock_.Now() + kRetryBackoff >= deadline) {
        return unknown.ok() ? refused : Advised(unknown);
      }
      rpc::Wakeup never;
      never.WaitFor(kRetryBackoff);
    }
  }

  // The server had the request, or may have had, when the connection broke or it shut down.
  static bool IsLost(const absl::Status& status) {
    return !status.ok() && rpc::DeliveryOf(status) == rpc::Delivery::kUnknown &&
           (IsUnreachable(status) || CodeOf(status) == ErrorCode::kCancelled);
  }

  static bool MayHaveHappened(const absl::Status& status) {
    return IsLost(status) || CodeOf(status) == ErrorCode::kOutcomeUnknown;
  }

  static bool MayTryAgain(const absl::Status& status) {
    return IsRetriable(CodeOf(status)) && CodeOf(status) != ErrorCode::kRequestTimedOut;
  }

  template <class Response>
  absl::StatusOr<Response> CallServer(const std::string& server, const char* service,
                                      const std::string& method,
                                      const google::protobuf::MessageLite& request,
                                      absl::Duration timeout, Access access) {
    auto answer = std::make_shared<Answer<Response>>();
    const std::shared_ptr<rpc::ClientCall> call = rpc::StartUnaryTyped<Response>(
        &executor_, channels_.Get("admin", server, connect_time_.max()),
        absl::StrCat(service, method), request,
        {.timeout = std::max(timeout, absl::ZeroDuration())},
        [answer](absl::StatusOr<Response> response) {
          answer->response = std::move(response);
          answer->arrived.Signal();
        });
    // The call has its own deadline; this one is for a strand that does not answer at all.
    if (!answer->arrived.WaitFor(timeout + absl::Seconds(5))) {
      call->Cancel();
      return TimedOut(server, method, access);
    }
    absl::StatusOr<Response> response = *std::move(answer->response);
    if (CodeOf(response.status()) == ErrorCode::kRequestTimedOut &&
        response.status().message().find("Deadline Exceeded") != absl::string_view::npos) {
      return TimedOut(server, method, access);
    }
    return response;
  }

  absl::Status TimedOut(const std::string& server, const std::string& method, Access access) const {
    return MakeError(
        ErrorCode::kRequestTimedOut,
        absl::StrCat(server, " did not answer ", method, " within ", absl::FormatDuration(timeout_),
                     access == Access::kRead ? "" : ": it may still take effect",
                     "; raise the timeout or look at the server's log"),
        {.name = "timeout", .value = absl::FormatDuration(timeout_)});
  }

  static absl::Status OutcomeUnknown(const std::string& server, const std::string& method,
                                     const absl::Status& status) {
    return MakeError(ErrorCode::kOutcomeUnknown,
                     absl::StrCat(server, " was lost (", status.message(), ") while it had ",
                                  method, ", which may or may not take effect"));
  }

  // Of a change that is not sent again: whoever asked for it has to look what became of it.
  static absl::Status Advised(const absl::Status& status) {
    constexpr char kAdvice[] = "describe before trying again";
    if (absl::StrContains(status.message(), kAdvice)) return status;
    return MakeError(CodeOf(status), absl::StrCat(status.message(), ": ", kAdvice),
                     DetailOf(status));
  }

  absl::Status Unavailable(const std::vector<std::string>& unreachable) const {
    return MakeError(
        ErrorCode::kBrokerNotAvailable,
        absl::StrCat("no server could be reached; tried ", absl::StrJoin(unreachable, ", "),
                     ": is the server running? start one with `millrace server`"),
        {.name = "bootstrap.servers", .value = absl::StrJoin(servers_, ",")});
  }

  const std::vector<std::string> servers_;
  const absl::Duration timeout_;
  const SystemClock clock_;
  // Of the ids of requests.
  const std::string client_id_;
  int64_t last_sequence_ = 0;
  rpc::ChannelPool channels_;
  ConnectTime connect_time_;
  // The server to begin with.
  size_t preferred_ = 0;
  rpc::CompletionQueueExecutor executor_{&clock_, "admin-client"};
};

}  // namespace

absl::StatusOr<std::unique_ptr<Admin>> Admin::Create(std::vector<std::string> bootstrap_servers,
                                                     absl::Duration timeout,
                                                     const ClientSecurity& security) {
  RETURN_IF_ERROR(CheckBootstrapServers(bootstrap_servers));
  ASSIGN_OR_RETURN(auto credentials, MakeCredentials(security));
  return std::make_unique<GrpcAdmin>(std::move(bootstrap_servers), timeout, std::move(credentials));
}

}  // namespace millrace::client
