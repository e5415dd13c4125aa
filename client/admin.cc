#include "client/admin.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "base/system_clock.h"
#include "client/bootstrap_servers.h"
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

// What a call may do; a change whose outcome is not known is not sent again.
enum class Access { kRead, kChange };

// One answer, handed from the strand to the caller who waits. Shared, since a caller who has waited
// long enough goes away before the strand does.
template <class Response>
struct Answer {
  rpc::Wakeup arrived;
  std::optional<absl::StatusOr<Response>> response;
};

class GrpcAdmin final : public Admin {
 public:
  GrpcAdmin(std::vector<std::string> servers, absl::Duration timeout)
      : servers_(std::move(servers)), timeout_(timeout) {}
  ~GrpcAdmin() override { executor_.Shutdown(); }

  absl::StatusOr<v1::CreateTopicsResponse> CreateTopics(
      const v1::CreateTopicsRequest& request) override {
    return Call<v1::CreateTopicsResponse>("CreateTopics", request, Access::kChange);
  }
  absl::StatusOr<v1::DeleteTopicsResponse> DeleteTopics(
      const v1::DeleteTopicsRequest& request) override {
    return Call<v1::DeleteTopicsResponse>("DeleteTopics", request, Access::kChange);
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
    return Call<v1::CreatePartitionsResponse>("CreatePartitions", request, Access::kChange);
  }
  absl::StatusOr<v1::DescribeConfigsResponse> DescribeConfigs(
      const v1::DescribeConfigsRequest& request) override {
    return Call<v1::DescribeConfigsResponse>("DescribeConfigs", request, Access::kRead);
  }
  absl::StatusOr<v1::IncrementalAlterConfigsResponse> IncrementalAlterConfigs(
      const v1::IncrementalAlterConfigsRequest& request) override {
    return Call<v1::IncrementalAlterConfigsResponse>("IncrementalAlterConfigs", request,
                                                     Access::kChange);
  }
  absl::StatusOr<v1::DescribeClusterResponse> DescribeCluster(
      const v1::DescribeClusterRequest& request) override {
    return Call<v1::DescribeClusterResponse>("DescribeCluster", request, Access::kRead);
  }
  absl::StatusOr<v1::DescribeLogDirsResponse> DescribeLogDirs(
      const v1::DescribeLogDirsRequest& request) override {
    return Call<v1::DescribeLogDirsResponse>("DescribeLogDirs", request, Access::kRead);
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
  // Rounds over all servers, beginning with the one that answered last, until one decides.
  template <class Response>
  absl::StatusOr<Response> Call(const std::string& method,
                                const google::protobuf::MessageLite& request, Access access,
                                const char* service = kAdminService) {
    const MonotonicTime deadline = clock_.Now() + timeout_;
    while (true) {
      std::vector<std::string> unreachable;
      absl::Status refused;
      const size_t first = preferred_;
      for (size_t i = 0; i < servers_.size(); ++i) {
        const size_t server = (first + i) % servers_.size();
        absl::StatusOr<Response> response = CallServer<Response>(servers_[server], service, method,
                                                                 request, deadline - clock_.Now());
        if (access == Access::kChange && IsLost(response.status())) {
          return OutcomeUnknown(servers_[server], method, response.status());
        }
        if (response.ok() || !MayTryAgain(response.status())) {
          preferred_ = server;
          return response;
        }
        if (IsUnreachable(response.status())) {
          unreachable.push_back(
              absl::StrCat(servers_[server], " (", response.status().message(), ")"));
        } else {
          refused = response.status();
        }
      }
      // Nobody is there: waiting is the caller's choice, not ours.
      if (refused.ok()) return Unavailable(unreachable);
      if (clock_.Now() + kRetryBackoff >= deadline) return refused;
      rpc::Wakeup never;
      never.WaitFor(kRetryBackoff);
    }
  }

  // The server had the request, or may have had, when the connection broke or it shut down.
  static bool IsLost(const absl::Status& status) {
    return !status.ok() && rpc::DeliveryOf(status) == rpc::Delivery::kUnknown &&
           (IsUnreachable(status) || CodeOf(status) == ErrorCode::kCancelled);
  }

  static bool MayTryAgain(const absl::Status& status) {
    return IsRetriable(CodeOf(status)) && CodeOf(status) != ErrorCode::kRequestTimedOut;
  }

  template <class Response>
  absl::StatusOr<Response> CallServer(const std::string& server, const char* service,
                                      const std::string& method,
                                      const google::protobuf::MessageLite& request,
                                      absl::Duration timeout) {
    auto answer = std::make_shared<Answer<Response>>();
    const std::shared_ptr<rpc::ClientCall> call = rpc::StartUnaryTyped<Response>(
        &executor_, channels_.Get("admin", server), absl::StrCat(service, method), request,
        {.timeout = std::max(timeout, absl::ZeroDuration())},
        [answer](absl::StatusOr<Response> response) {
          answer->response = std::move(response);
          answer->arrived.Signal();
        });
    // The call has its own deadline; this one is for a strand that does not answer at all.
    if (!answer->arrived.WaitFor(timeout + absl::Seconds(5))) {
      call->Cancel();
      return TimedOut(server, method);
    }
    absl::StatusOr<Response> response = *std::move(answer->response);
    if (CodeOf(response.status()) == ErrorCode::kRequestTimedOut &&
        response.status().message().find("Deadline Exceeded") != absl::string_view::npos) {
      return TimedOut(server, method);
    }
    return response;
  }

  absl::Status TimedOut(const std::string& server, const std::string& method) const {
    return MakeError(
        ErrorCode::kRequestTimedOut,
        absl::StrCat(server, " did not answer ", method, " within ", absl::FormatDuration(timeout_),
                     ": it may still take effect; raise the timeout or look at the "
                     "server's log"),
        {.name = "timeout", .value = absl::FormatDuration(timeout_)});
  }

  static absl::Status OutcomeUnknown(const std::string& server, const std::string& method,
                                     const absl::Status& status) {
    return MakeError(
        ErrorCode::kOutcomeUnknown,
        absl::StrCat(server, " was lost (", status.message(), ") while it had ", method,
                     ", which may or may not take effect: describe before trying again"));
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
  rpc::ChannelPool channels_{rpc::ChannelOptions{}};
  // The server to begin with.
  size_t preferred_ = 0;
  rpc::CompletionQueueExecutor executor_{&clock_, "admin-client"};
};

}  // namespace

absl::StatusOr<std::unique_ptr<Admin>> Admin::Create(std::vector<std::string> bootstrap_servers,
                                                     absl::Duration timeout) {
  RETURN_IF_ERROR(CheckBootstrapServers(bootstrap_servers));
  return std::make_unique<GrpcAdmin>(std::move(bootstrap_servers), timeout);
}

}  // namespace millrace::client
