#include "controller/topic_rules.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "base/check.h"
#include "base/mutant.h"

namespace millrace::controller {

namespace {

metadata::ResolvedConfig Resolve(absl::string_view name, const metadata::ConfigLayers& layers) {
  const ConfigKey* key = metadata::TopicConfigSchema().Find(name);
  CHECK(key != nullptr) << std::string(name);
  return metadata::ResolveTopicConfig(*key, layers);
}

}  // namespace

ElectionRules TopicRules::ForPartition(const metadata::PartitionImage& partition) const {
  return {.min_isr = std::min(min_insync_replicas, partition.replication_factor()),
          .unclean = unclean_election};
}

bool TopicRules::IsDurable(const metadata::PartitionImage& partition) const {
  return durable && (!partition.raising || MUTANT("controller.durable-while-raised"));
}

TopicRules TopicRulesOf(const State& state, TopicId topic) {
  TopicRules rules;
  CHECK(absl::SimpleAtoi(ResolveFor(state, topic, "min.insync.replicas").value,
                         &rules.min_insync_replicas));
  rules.unclean_election =
      ResolveFor(state, topic, "unclean.leader.election.enable").value == "true";
  rules.durable = ResolveFor(state, topic, "durability").value == "durable";
  return rules;
}

metadata::ResolvedConfig ResolveFor(const State& state, TopicId topic, absl::string_view key) {
  return Resolve(key, metadata::LayersOf(state.image, topic, state.settings->node_id,
                                         state.settings->static_values));
}

std::string InheritedTopicConfig(const State& state, absl::string_view key) {
  // No topic has the zero id, so its own layer is empty.
  return Resolve(key, metadata::LayersOf(state.image, TopicId(), state.settings->node_id,
                                         state.settings->static_values))
      .value;
}

}  // namespace millrace::controller
