#include "tools/millrace/cluster_wait_command.h"

#include <algorithm>
#include <cstdint>
#include <memory>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/status.h"
#include "tools/millrace/option_check.h"

namespace millrace::tools {
namespace {

// A server that is not there yet is asked again after this.
constexpr absl::Duration kPause = absl::Milliseconds(50);
// Time for an answer, also at the very end.
constexpr absl::Duration kAnswerMin = absl::Milliseconds(10);

struct WaitOptions {
  int32_t brokers = 1;
};

int32_t RunningBrokers(const v1::DescribeClusterResponse& cluster) {
  return static_cast<int32_t>(
      std::count_if(cluster.brokers().begin(), cluster.brokers().end(),
                    [](const v1::BrokerDescription& broker) { return !broker.fenced(); }));
}

// A connection of its own each time: one that was refused would wait before it tries again.
absl::StatusOr<v1::DescribeClusterResponse> Ask(GlobalOptions global, absl::Duration timeout) {
  global.timeout_s = absl::ToDoubleSeconds(std::max(timeout, kAnswerMin));
  ASSIGN_OR_RETURN(const auto admin, ConnectAdmin(global));
  return admin->DescribeCluster({});
}

// Why the cluster does not serve yet. Errors: REQUEST_TIMED_OUT.
absl::Status CheckServes(const v1::DescribeClusterResponse& cluster, const WaitOptions& options,
                         const GlobalOptions& global) {
  const int32_t running = RunningBrokers(cluster);
  if (cluster.controller_id() >= 0 && running >= options.brokers) return absl::OkStatus();
  return MakeError(
      ErrorCode::kRequestTimedOut,
      absl::StrCat("after ", absl::FormatDuration(global.timeout()), " ", running, " of ",
                   options.brokers, " broker(s) run, and ",
                   cluster.controller_id() < 0 ? "no controller leads" : "a controller leads",
                   "; wait longer with --timeout"));
}

absl::Status Wait(const WaitOptions& options, const GlobalOptions& global) {
  const absl::Time deadline = absl::Now() + global.timeout();
  absl::StatusOr<v1::DescribeClusterResponse> cluster;
  for (;;) {
    cluster = Ask(global, deadline - absl::Now());
    const absl::Status status =
        cluster.ok() ? CheckServes(*cluster, options, global) : cluster.status();
    if (status.ok()) break;
    const absl::Duration left = deadline - absl::Now();
    if (!IsRetriable(CodeOf(status)) || left <= absl::ZeroDuration()) return status;
    absl::SleepFor(std::min(left, kPause));
  }
  const int32_t running = RunningBrokers(*cluster);
  if (global.format() == OutputFormat::kJson) {
    PrintJson({{"cluster_id", cluster->cluster_id()},
               {"controller", cluster->controller_id()},
               {"brokers_running", running}});
  } else {
    PrintOut(absl::StrCat("cluster ", cluster->cluster_id(), " serves: ", running,
                          " broker(s) run, controller ", cluster->controller_id(), " leads\n"));
  }
  return absl::OkStatus();
}

}  // namespace

void AddClusterWait(CLI::App* cluster, GlobalOptions* global) {
  auto options = std::make_shared<WaitOptions>();
  CLI::App* command = AddCommand(
      cluster, "wait", "Wait until servers that were just started serve",
      "  millrace server &\n  millrace cluster wait\n"
      "  millrace cluster wait --brokers 3 --timeout 60 --bootstrap a:9092,b:9092,c:9092\n\n"
      "It returns when a server answers, a controller leads, and so many brokers run.\n",
      global, [=] { return Wait(*options, *global); });
  command->add_option("--brokers", options->brokers, "How many brokers must run")
      ->check(WholeNumber(1, INT32_MAX))
      ->capture_default_str();
  AddConnectionOptions(command, global);
  command->get_option("--timeout")->description("Seconds to wait");
}

}  // namespace millrace::tools
