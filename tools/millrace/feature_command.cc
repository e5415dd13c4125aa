#include "tools/millrace/feature_command.h"

#include <cstdint>
#include <memory>
#include <string>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "tools/millrace/option_check.h"

namespace millrace::tools {
namespace {

std::string RoleName(v1::NodeRole role) {
  switch (role) {
    case v1::NODE_ROLE_CONTROLLER:
      return "controller";
    case v1::NODE_ROLE_BROKER:
      return "broker";
    default:
      return "unknown";
  }
}

struct UpgradeOptions {
  int32_t to = 0;
  bool dry_run = false;
};

Json FeaturesJson(const v1::DescribeFeaturesResponse& features) {
  Json nodes = Json::array();
  for (const v1::NodeFeatures& node : features.nodes()) {
    const bool known = node.has_level_max();
    nodes.push_back({{"node", node.node_id()},
                     {"role", RoleName(node.role())},
                     {"level_min", known ? Json(node.level_min()) : Json(nullptr)},
                     {"level_max", known ? Json(node.level_max()) : Json(nullptr)},
                     {"version", node.version()}});
  }
  return {{"feature_level", features.feature_level()},
          {"level_supported", features.level_supported()},
          {"nodes", nodes}};
}

absl::Status Features(const GlobalOptions& global) {
  ASSIGN_OR_RETURN(auto admin, ConnectAdmin(global));
  ASSIGN_OR_RETURN(const v1::DescribeFeaturesResponse features, admin->DescribeFeatures({}));
  if (global.format() == OutputFormat::kJson) {
    PrintJson(FeaturesJson(features));
    return absl::OkStatus();
  }
  PrintOut(absl::StrCat("feature level ", features.feature_level(), "  may be raised to ",
                        features.level_supported(), "\n\n"));
  Table table({"NODE", "ROLE", "LEVELS", "VERSION"});
  for (const v1::NodeFeatures& node : features.nodes()) {
    table.Add({absl::StrCat(node.node_id()), RoleName(node.role()),
               node.has_level_max() ? absl::StrCat(node.level_min(), " to ", node.level_max())
                                    : "not heard of",
               node.version().empty() ? "-" : node.version()});
  }
  table.Print();
  return absl::OkStatus();
}

absl::Status Upgrade(const UpgradeOptions& options, const GlobalOptions& global) {
  v1::RaiseFeatureLevelRequest request;
  request.set_level(options.to);
  request.set_validate_only(options.dry_run);
  ASSIGN_OR_RETURN(auto admin, ConnectAdmin(global));
  ASSIGN_OR_RETURN(const v1::RaiseFeatureLevelResponse raised, admin->RaiseFeatureLevel(request));
  if (global.format() == OutputFormat::kJson) {
    PrintJson({{"level_before", raised.level_before()},
               {"level", raised.level()},
               {"dry_run", options.dry_run}});
  } else if (raised.level() == raised.level_before()) {
    PrintOut(absl::StrCat("the cluster is at feature level ", raised.level(), " already\n"));
  } else {
    PrintOut(absl::StrCat("feature level ", options.dry_run ? "would be " : "", "raised from ",
                          raised.level_before(), " to ", raised.level(),
                          options.dry_run ? "; nothing was changed\n" : "\n"));
  }
  return absl::OkStatus();
}

}  // namespace

void AddFeatureCommands(CLI::App* cluster, GlobalOptions* global) {
  CLI::App* features =
      AddCommand(cluster, "features", "Show the feature level, and what each node knows",
                 "  millrace cluster features\n  millrace cluster features -o json\n", global,
                 [global] { return Features(*global); });
  auto options = std::make_shared<UpgradeOptions>();
  CLI::App* upgrade =
      AddCommand(cluster, "upgrade", "Raise the feature level",
                 "  millrace cluster upgrade --dry-run\n  millrace cluster upgrade --to 2\n\n"
                 "First run the newer program on every controller and broker. From then on no\n"
                 "older one that does not know the level can take part; there is no way back.\n",
                 global, [=] { return Upgrade(*options, *global); });
  upgrade->add_option("--to", options->to, "The level; by default the highest that all nodes know")
      ->check(WholeNumber(1, INT32_MAX));
  upgrade->add_flag("--dry-run", options->dry_run, "Check everything, change nothing");
  for (CLI::App* command : {features, upgrade}) AddConnectionOptions(command, global);
}

}  // namespace millrace::tools
