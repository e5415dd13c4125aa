#include "tools/millrace/cluster_command.h"

#include <algorithm>
#include <cstdint>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/status.h"
#include "base/uuid.h"
#include "tools/millrace/broker_log_dirs.h"
#include "tools/millrace/cluster_wait_command.h"
#include "tools/millrace/feature_command.h"
#include "tools/millrace/option_check.h"

namespace millrace::tools {
namespace {

// Between two looks at a decommission under way.
constexpr absl::Duration kProgressInterval = absl::Milliseconds(500);

std::string UuidText(const std::string& bytes) {
  const absl::StatusOr<Uuid> id = Uuid::FromBytes(bytes);
  return id.ok() ? id->ToString() : std::string();
}

std::string GiB(int64_t bytes) {
  return absl::StrFormat("%.1f GiB", static_cast<double>(bytes) / (1 << 30));
}

// Those that the broker cannot use, though their directory can be.
int OfflinePartitions(const v1::LogDirDescription& dir) {
  return static_cast<int>(std::count_if(
      dir.partitions().begin(), dir.partitions().end(),
      [](const auto& partition) { return partition.code() != v1::ERROR_CODE_UNSPECIFIED; }));
}

std::string PartitionsText(const v1::LogDirDescription& dir) {
  const int offline = OfflinePartitions(dir);
  return absl::StrCat(dir.partitions_size(),
                      offline == 0 ? "" : absl::StrCat(", ", offline, " offline"));
}

int64_t PartitionBytes(const v1::LogDirDescription& dir) {
  int64_t bytes = 0;
  for (const v1::LogDirPartition& partition : dir.partitions()) bytes += partition.size_bytes();
  return bytes;
}

Json LogDirJson(const v1::LogDirDescription& dir) {
  return {{"path", dir.path()},
          {"directory_id", UuidText(dir.directory_id())},
          {"error", dir.message()},
          {"slow", dir.slow()},
          {"total_bytes", dir.total_bytes()},
          {"free_bytes", dir.free_bytes()},
          {"partitions", dir.partitions_size()},
          {"offline_partitions", OfflinePartitions(dir)},
          {"partition_bytes", PartitionBytes(dir)}};
}

using LogDirs = std::vector<v1::DescribeLogDirsResponse>;

Json ClusterJson(const v1::DescribeClusterResponse& cluster, const LogDirs& log_dirs) {
  Json brokers = Json::array();
  for (int i = 0; i < cluster.brokers_size(); ++i) {
    const v1::BrokerDescription& broker = cluster.brokers(i);
    Json dirs = Json::array();
    for (const auto& dir : log_dirs[static_cast<size_t>(i)].log_dirs()) {
      dirs.push_back(LogDirJson(dir));
    }
    brokers.push_back({{"broker", broker.broker_id()},
                       {"listeners", std::vector<std::string>(broker.listeners().begin(),
                                                              broker.listeners().end())},
                       {"rack", broker.rack()},
                       {"state", broker.fenced() ? "fenced" : "running"},
                       {"cordoned", broker.cordoned()},
                       {"replicas", broker.replicas()},
                       {"leaders", broker.leaders()},
                       {"broker_epoch", broker.broker_epoch()},
                       {"version", broker.version()},
                       {"log_dirs", dirs}});
  }
  return {{"cluster_id", cluster.cluster_id()},
          {"controller", cluster.controller_id()},
          {"feature_level", cluster.feature_level()},
          {"metadata_index", cluster.metadata_index()},
          {"brokers", brokers}};
}

void PrintCluster(const v1::DescribeClusterResponse& cluster, const LogDirs& log_dirs) {
  PrintOut(
      absl::StrCat("cluster ", cluster.cluster_id(), "  controller ",
                   cluster.controller_id() < 0 ? "none" : absl::StrCat(cluster.controller_id()),
                   "  feature level ", cluster.feature_level(), "\n\n"));
  Table brokers({"BROKER", "STATE", "RACK", "REPLICAS", "LEADERS", "VERSION", "LISTENERS"});
  Table dirs({"BROKER", "LOG DIRECTORY", "STATE", "PARTITIONS", "SIZE", "FREE"});
  for (int i = 0; i < cluster.brokers_size(); ++i) {
    const v1::BrokerDescription& broker = cluster.brokers(i);
    brokers.Add({absl::StrCat(broker.broker_id()),
                 absl::StrCat(broker.fenced() ? "fenced" : "running",
                              broker.cordoned() ? ", cordoned" : ""),
                 broker.rack().empty() ? "-" : broker.rack(), absl::StrCat(broker.replicas()),
                 absl::StrCat(broker.leaders()), broker.version(),
                 absl::StrJoin(broker.listeners(), ",")});
    for (const auto& dir : log_dirs[static_cast<size_t>(i)].log_dirs()) {
      dirs.Add({absl::StrCat(broker.broker_id()), dir.path(),
                dir.code() != v1::ERROR_CODE_UNSPECIFIED ? dir.message()
                : dir.slow()                             ? "slow"
                                                         : "online",
                PartitionsText(dir), GiB(PartitionBytes(dir)), GiB(dir.free_bytes())});
    }
  }
  brokers.Print();
  PrintOut("\n");
  dirs.Print();
}

absl::Status Describe(const GlobalOptions& global) {
  ASSIGN_OR_RETURN(auto admin, ConnectAdmin(global));
  ASSIGN_OR_RETURN(const v1::DescribeClusterResponse cluster, admin->DescribeCluster({}));
  LogDirs log_dirs;
  for (const v1::BrokerDescription& broker : cluster.brokers()) {
    // A broker that does not answer has no directories to show, and is shown all the same.
    absl::StatusOr<v1::DescribeLogDirsResponse> dirs =
        broker.fenced() ? v1::DescribeLogDirsResponse()
                        : DescribeLogDirsOf(broker, global, admin.get());
    log_dirs.push_back(dirs.ok() ? *std::move(dirs) : v1::DescribeLogDirsResponse());
  }
  if (global.format() == OutputFormat::kJson) {
    PrintJson(ClusterJson(cluster, log_dirs));
  } else {
    PrintCluster(cluster, log_dirs);
  }
  return absl::OkStatus();
}

// What the commands about one broker are given.
struct BrokerOptions {
  int32_t broker = 0;
  bool dry_run = false;
  bool no_wait = false;
  // Of the moves of a decommission; none: they are not bounded, or go on as they are.
  std::optional<int64_t> throttle_bytes_per_s;
};

absl::Status Cordon(const BrokerOptions& options, bool cordoned, const GlobalOptions& global) {
  v1::CordonBrokerRequest request;
  request.set_broker_id(options.broker);
  request.set_cordoned(cordoned);
  request.set_validate_only(options.dry_run);
  ASSIGN_OR_RETURN(auto admin, ConnectAdmin(global));
  ASSIGN_OR_RETURN(const v1::CordonBrokerResponse response, admin->CordonBroker(request));
  if (global.format() == OutputFormat::kJson) {
    PrintJson({{"broker", options.broker},
               {"cordoned", cordoned},
               {"changed", response.changed() && !options.dry_run},
               {"replicas", response.replicas()},
               {"dry_run", options.dry_run}});
    return absl::OkStatus();
  }
  PrintOut(absl::StrCat("broker ", options.broker,
                        !response.changed() ? " is already "
                        : options.dry_run   ? " would be "
                                            : " is now ",
                        cordoned ? "cordoned: no new replicas are placed there; it holds "
                                 : "open for new replicas; it holds ",
                        response.replicas(), "\n"));
  return absl::OkStatus();
}

void PrintDecommission(const BrokerOptions& options, const v1::DecommissionBrokerResponse& last,
                       int started, const GlobalOptions& global) {
  if (global.format() == OutputFormat::kJson) {
    PrintJson({{"broker", options.broker},
               {"started", started},
               {"moving", last.moving()},
               {"replicas", last.replicas()},
               {"done", last.replicas() == 0},
               {"dry_run", options.dry_run}});
  } else if (options.dry_run) {
    PrintOut(absl::StrCat("would move ", started, " of ", last.replicas(),
                          " replicas away from broker ", options.broker, "\n"));
  } else if (last.replicas() == 0) {
    PrintOut(absl::StrCat("broker ", options.broker,
                          " holds nothing: stop it, then `millrace cluster unregister ",
                          options.broker, "`\n"));
  } else {
    PrintOut(absl::StrCat("broker ", options.broker, " still holds ", last.replicas(),
                          " replicas; ", last.moving(), " are on their way\n"));
  }
}

absl::Status Decommission(const BrokerOptions& options, const GlobalOptions& global) {
  v1::DecommissionBrokerRequest request;
  request.set_broker_id(options.broker);
  request.set_validate_only(options.dry_run);
  if (options.throttle_bytes_per_s) {
    request.set_throttle_bytes_per_s(*options.throttle_bytes_per_s);
  }
  ASSIGN_OR_RETURN(auto admin, ConnectAdmin(global));
  int started = 0;
  int shown = -1;
  while (true) {
    ASSIGN_OR_RETURN(const v1::DecommissionBrokerResponse response,
                     admin->DecommissionBroker(request));
    started += response.started_size();
    if (options.dry_run || options.no_wait || response.replicas() == 0) {
      PrintDecommission(options, response, started, global);
      return absl::OkStatus();
    }
    if (response.replicas() != shown) {
      shown = response.replicas();
      std::cerr << "broker " << options.broker << " holds " << shown << " replicas, "
                << response.moving() << " on their way\n";
    }
    absl::SleepFor(kProgressInterval);
  }
}

absl::Status Unregister(const BrokerOptions& options, const GlobalOptions& global) {
  v1::UnregisterBrokerRequest request;
  request.set_broker_id(options.broker);
  ASSIGN_OR_RETURN(auto admin, ConnectAdmin(global));
  RETURN_IF_ERROR(admin->UnregisterBroker(request).status());
  if (global.format() == OutputFormat::kJson) {
    PrintJson({{"broker", options.broker}, {"unregistered", true}});
  } else {
    PrintOut(absl::StrCat("broker ", options.broker, " is not of the cluster any more\n"));
  }
  return absl::OkStatus();
}

void AddBrokerCommands(CLI::App* cluster, GlobalOptions* global) {
  auto options = std::make_shared<BrokerOptions>();
  CLI::App* cordon = AddCommand(
      cluster, "cordon", "Place no new replicas on a broker; what is there stays",
      "  millrace cluster cordon 103\n", global, [=] { return Cordon(*options, true, *global); });
  CLI::App* uncordon = AddCommand(cluster, "uncordon", "Place new replicas on a broker again",
                                  "  millrace cluster uncordon 103\n", global,
                                  [=] { return Cordon(*options, false, *global); });
  CLI::App* decommission = AddCommand(
      cluster, "decommission", "Move all that a broker holds to others",
      "  millrace cluster decommission 103\n  millrace cluster decommission 103 --dry-run\n"
      "  millrace cluster decommission 103 --throttle 20000000\n\n"
      "Cordons the broker, reassigns its partitions, and waits until it holds nothing. Stopped "
      "and\n"
      "started again it goes on where it was; `millrace partition cancel --all` and `cluster\n"
      "uncordon` take it back. --throttle bounds what each leading broker sends to those that "
      "take\n"
      "over, as that of `millrace partition reassign`; another one, given meanwhile, counts at "
      "once;\n"
      "it ends with the moves.\n",
      global, [=] { return Decommission(*options, *global); });
  CLI::App* unregister = AddCommand(
      cluster, "unregister", "Take a stopped broker that holds nothing out of the cluster",
      "  millrace cluster unregister 103\n", global, [=] { return Unregister(*options, *global); });
  decommission->add_flag("--no-wait", options->no_wait, "Begin, and return");
  decommission
      ->add_option("--throttle", options->throttle_bytes_per_s,
                   "Bytes per second to those that take over, of each leader; 0: no limit; without "
                   "it moves under way go on as they are")
      ->check(WholeNumber(0, INT64_MAX));
  for (CLI::App* command : {cordon, uncordon, decommission}) {
    command->add_flag("--dry-run", options->dry_run, "Check everything, change nothing");
  }
  for (CLI::App* command : {cordon, uncordon, decommission, unregister}) {
    command->add_option("broker", options->broker, "The broker's node.id")
        ->required()
        ->check(WholeNumber(0, INT32_MAX));
    AddConnectionOptions(command, global);
  }
}

}  // namespace

void AddClusterCommands(CLI::App* app, GlobalOptions* global) {
  CLI::App* cluster =
      app->add_subcommand("cluster", "Look at the cluster as a whole, and change it");
  cluster->require_subcommand(1);
  CLI::App* describe =
      AddCommand(cluster, "describe", "Show the controller, the brokers and their disks",
                 "  millrace cluster describe\n  millrace cluster describe -o json\n", global,
                 [global] { return Describe(*global); });
  AddConnectionOptions(describe, global);
  AddClusterWait(cluster, global);
  AddBrokerCommands(cluster, global);
  AddFeatureCommands(cluster, global);
}

}  // namespace millrace::tools
