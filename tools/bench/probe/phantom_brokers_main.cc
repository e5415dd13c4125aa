// Registers brokers that have no process, so that topics can be placed on a cluster of controllers
// alone: for trying out and measuring metadata. What is placed there is led by nobody who answers,
// and nobody is heard of: the controllers need a broker.session.timeout.ms that never ends.
//
// Registering them again changes nothing: their ids of process and directory follow from the broker
// id.
//
// Thread: main; answers come on the client's strand.
#include <future>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/ids.h"
#include "base/status.h"
#include "base/system_clock.h"
#include "metadata/image.h"
#include "millrace/internal/v1/controller_service.pb.h"
#include "rpc/channel_pool.h"
#include "rpc/client_call.h"

namespace millrace::bench {
namespace {

namespace api = ::millrace::internal::v1;

constexpr char kService[] = "/millrace.internal.v1.ControllerService/";
constexpr absl::Duration kTimeout = absl::Seconds(10);

// The controllers, of which any passes a request on to the one that leads.
class Controllers {
 public:
  explicit Controllers(std::vector<std::string> addresses) : addresses_(std::move(addresses)) {}

  template <class Response>
  absl::StatusOr<Response> Ask(const std::string& method,
                               const google::protobuf::MessageLite& request) {
    absl::StatusOr<Response> response = absl::UnavailableError("no controllers are given");
    for (const std::string& address : addresses_) {
      std::promise<absl::StatusOr<Response>> answer;
      rpc::StartUnaryTyped<Response>(
          &executor_, channels_.Get("phantom-brokers", address), absl::StrCat(kService, method),
          request, {.timeout = kTimeout},
          [&answer](absl::StatusOr<Response> got) { answer.set_value(std::move(got)); });
      response = answer.get_future().get();
      if (CodeOf(response.status()) != ErrorCode::kBrokerNotAvailable) break;
    }
    return response;
  }

 private:
  const std::vector<std::string> addresses_;
  const SystemClock clock_{};
  rpc::ChannelPool channels_{rpc::ChannelOptions{}};
  rpc::CompletionQueueExecutor executor_{&clock_, "phantom-brokers"};
};

absl::Status Register(int32_t id, Controllers* controllers) {
  api::RegisterBrokerRequest request;
  request.set_broker_id(id);
  request.set_incarnation_id(
      IncarnationId(Uuid(0x7068616e746f6d, static_cast<uint64_t>(id))).ToBytes());
  request.add_log_dirs()->set_directory_id(
      DirectoryId(Uuid(0x6469726563746f, static_cast<uint64_t>(id))).ToBytes());
  request.set_version("phantom");
  request.set_feature_level_min(metadata::kFeatureLevelMin);
  request.set_feature_level_max(metadata::kFeatureLevelMax);
  api::BrokerListener* listener = request.add_listeners();
  listener->set_name("PLAINTEXT");
  listener->set_host("nobody.invalid");
  listener->set_port(9092);
  ASSIGN_OR_RETURN(const auto registered,
                   controllers->Ask<api::RegisterBrokerResponse>("RegisterBroker", request));
  api::BrokerHeartbeatRequest heartbeat;
  heartbeat.set_broker_id(id);
  heartbeat.set_broker_epoch(registered.broker_epoch());
  // It has applied its own registration, which is what makes it active.
  heartbeat.set_applied_index(registered.broker_epoch());
  heartbeat.set_want_active(true);
  return controllers->Ask<api::BrokerHeartbeatResponse>("BrokerHeartbeat", heartbeat).status();
}

int Main(int argc, const char* const* argv) {
  std::string addresses;
  int32_t count = 3;
  int32_t first_id = 101;
  CLI::App app("Registers brokers that have no process, at the quorum of controllers.");
  app.add_option("--controllers", addresses, "Controller listeners, host:port,...")->required();
  app.add_option("--count", count, "How many")->check(CLI::Range(1, 1000))->capture_default_str();
  app.add_option("--first-id", first_id, "The id of the first; the others follow")
      ->check(CLI::Range(0, 1000000))
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  Controllers controllers(absl::StrSplit(addresses, ','));
  for (int32_t id = first_id; id < first_id + count; ++id) {
    if (const absl::Status status = Register(id, &controllers); !status.ok()) {
      std::cerr << "error: broker " << id << ": " << status.message() << " ("
                << ErrorCodeName(CodeOf(status)) << ")\n";
      return 1;
    }
    std::cout << "registered broker " << id << ", which has no process\n";
  }
  return 0;
}

}  // namespace
}  // namespace millrace::bench

int main(int argc, char** argv) { return millrace::bench::Main(argc, argv); }
