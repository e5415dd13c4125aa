#include "tools/millrace/cluster_command.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "base/uuid.h"

namespace millrace::tools {
namespace {

std::string UuidText(const std::string& bytes) {
  const absl::StatusOr<Uuid> id = Uuid::FromBytes(bytes);
  return id.ok() ? id->ToString() : std::string();
}

std::string GiB(int64_t bytes) {
  return absl::StrFormat("%.1f GiB", static_cast<double>(bytes) / (1 << 30));
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
          {"total_bytes", dir.total_bytes()},
          {"free_bytes", dir.free_bytes()},
          {"partitions", dir.partitions_size()},
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
  Table brokers({"BROKER", "STATE", "RACK", "VERSION", "LISTENERS"});
  Table dirs({"BROKER", "LOG DIRECTORY", "STATE", "PARTITIONS", "SIZE", "FREE"});
  for (int i = 0; i < cluster.brokers_size(); ++i) {
    const v1::BrokerDescription& broker = cluster.brokers(i);
    brokers.Add({absl::StrCat(broker.broker_id()), broker.fenced() ? "fenced" : "running",
                 broker.rack().empty() ? "-" : broker.rack(), broker.version(),
                 absl::StrJoin(broker.listeners(), ",")});
    for (const auto& dir : log_dirs[static_cast<size_t>(i)].log_dirs()) {
      dirs.Add({absl::StrCat(broker.broker_id()), dir.path(),
                dir.code() == v1::ERROR_CODE_UNSPECIFIED ? "online" : dir.message(),
                absl::StrCat(dir.partitions_size()), GiB(PartitionBytes(dir)),
                GiB(dir.free_bytes())});
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
    v1::DescribeLogDirsRequest request;
    request.set_broker_id(broker.broker_id());
    // A broker that does not answer has no directories to show, and is shown all the same.
    absl::StatusOr<v1::DescribeLogDirsResponse> dirs =
        broker.fenced() ? v1::DescribeLogDirsResponse() : admin->DescribeLogDirs(request);
    log_dirs.push_back(dirs.ok() ? *std::move(dirs) : v1::DescribeLogDirsResponse());
  }
  if (global.format() == OutputFormat::kJson) {
    PrintJson(ClusterJson(cluster, log_dirs));
  } else {
    PrintCluster(cluster, log_dirs);
  }
  return absl::OkStatus();
}

}  // namespace

void AddClusterCommands(CLI::App* app, GlobalOptions* global) {
  CLI::App* cluster = app->add_subcommand("cluster", "Look at the cluster as a whole");
  cluster->require_subcommand(1);
  CLI::App* describe =
      AddCommand(cluster, "describe", "Show the controller, the brokers and their disks",
                 "  millrace cluster describe\n  millrace cluster describe -o json\n", global,
                 [global] { return Describe(*global); });
  AddConnectionOptions(describe, global);
}

}  // namespace millrace::tools
