#include "controller/feature_commands.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "metadata/record_types.h"

namespace millrace::controller {
namespace {

using metadata::BrokerImage;

// Controllers, then brokers.
std::vector<v1::NodeFeatures> NodesOf(const State& state,
                                      const std::vector<ControllerFeatures>& controllers) {
  std::vector<v1::NodeFeatures> nodes;
  for (const ControllerFeatures& controller : controllers) {
    v1::NodeFeatures node;
    node.set_node_id(controller.node.value());
    node.set_role(v1::NODE_ROLE_CONTROLLER);
    if (controller.level_max > 0) {
      node.set_level_min(controller.level_min);
      node.set_level_max(controller.level_max);
      node.set_version(controller.version);
    }
    nodes.push_back(std::move(node));
  }
  state.image.ForEachBroker([&](const BrokerImage& broker) {
    v1::NodeFeatures node;
    node.set_node_id(broker.id.value());
    node.set_role(v1::NODE_ROLE_BROKER);
    node.set_level_min(broker.feature_level_min);
    node.set_level_max(broker.feature_level_max);
    node.set_version(broker.version);
    nodes.push_back(std::move(node));
  });
  return nodes;
}

bool Knows(const v1::NodeFeatures& node, int level) {
  return node.has_level_max() && node.level_min() <= level && level <= node.level_max();
}

// The highest level, from the present one on, that every node knows.
int SupportedByAll(int level, const std::vector<v1::NodeFeatures>& nodes) {
  int highest = metadata::kFeatureLevelMax;
  for (const v1::NodeFeatures& node : nodes) {
    highest = std::min(highest, node.has_level_max() ? node.level_max() : level);
  }
  return std::max(highest, level);
}

std::string Describe(const v1::NodeFeatures& node) {
  const absl::string_view role =
      node.role() == v1::NODE_ROLE_CONTROLLER ? "controller " : "broker ";
  if (!node.has_level_max()) {
    return absl::StrCat(role, node.node_id(), " (not heard of; start it, or remove it)");
  }
  return absl::StrCat(role, node.node_id(), " (levels ", node.level_min(), " to ", node.level_max(),
                      ")");
}

absl::Status CheckLevel(int present, int level, const std::vector<v1::NodeFeatures>& nodes) {
  const std::string value = absl::StrCat(level);
  if (level < present) {
    return MakeError(ErrorCode::kInvalidRequest,
                     absl::StrCat("the cluster is at feature level ", present,
                                  ", which is never lowered; ", level, " was asked for"),
                     {.name = "level", .value = value});
  }
  if (level == present) return absl::OkStatus();
  std::vector<std::string> without;
  for (const v1::NodeFeatures& node : nodes) {
    if (!Knows(node, level)) without.push_back(Describe(node));
  }
  if (level > metadata::kFeatureLevelMax && without.empty()) {
    without.push_back("the active controller");
  }
  if (without.empty()) return absl::OkStatus();
  return MakeError(
      ErrorCode::kUnsupportedVersion,
      absl::StrCat("feature level ", level, " is not known to ", absl::StrJoin(without, ", "),
                   "; the cluster stays at ", present, ": run a newer program there first"),
      {.name = "level", .value = value});
}

}  // namespace

rsm::Decision<v1::DescribeFeaturesResponse> DescribeFeatures(
    const State& state, const DescribeFeaturesCommand& command) {
  const std::vector<v1::NodeFeatures> nodes = NodesOf(state, command.controllers);
  v1::DescribeFeaturesResponse response;
  response.set_feature_level(state.image.feature_level());
  response.set_level_supported(SupportedByAll(state.image.feature_level(), nodes));
  for (const v1::NodeFeatures& node : nodes) *response.add_nodes() = node;
  return {response, {}};
}

rsm::Decision<v1::RaiseFeatureLevelResponse> RaiseFeatureLevel(
    const State& state, const RaiseFeatureLevelCommand& command) {
  const std::vector<v1::NodeFeatures> nodes = NodesOf(state, command.controllers);
  const int present = state.image.feature_level();
  const int asked = command.request.level();
  const int level = asked == 0 ? SupportedByAll(present, nodes) : asked;
  if (absl::Status status = CheckLevel(present, level, nodes); !status.ok()) return {status, {}};
  v1::RaiseFeatureLevelResponse response;
  response.set_level_before(present);
  response.set_level(level);
  if (level == present || command.request.validate_only()) return {response, {}};
  metadata::records::FeatureLevelRecord record;
  record.set_feature_level(level);
  return {response, {metadata::Encode(record)}};
}

}  // namespace millrace::controller
