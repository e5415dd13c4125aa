#include "controller/config_resource.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "metadata/broker_config.h"

namespace millrace::controller {

using metadata::ConfigOwner;

namespace {

absl::StatusOr<FoundResource> FindTopic(const State& state, const std::string& name) {
  const metadata::TopicImage* topic = state.image.FindTopic(name);
  if (topic == nullptr) {
    return MakeError(ErrorCode::kUnknownTopicOrPartition,
                     absl::StrCat("there is no topic '", name, "'"),
                     {.name = "topic", .value = name});
  }
  return FoundResource{.owner = ConfigOwner::Topic(topic->id),
                       .topic = topic,
                       .layers = metadata::LayersOf(state.image, topic->id, state.settings->node_id,
                                                    state.settings->static_values)};
}

absl::StatusOr<FoundResource> FindBroker(const State& state, const std::string& name) {
  FoundResource found;
  found.layers.dynamic_default_broker = &state.image.ConfigsOf(ConfigOwner::AllBrokers());
  if (name.empty()) {
    found.owner = ConfigOwner::AllBrokers();
    return found;
  }
  int32_t number = -1;
  if (!absl::SimpleAtoi(name, &number) || number < 0 || absl::StrCat(number) != name) {
    return MakeError(ErrorCode::kInvalidRequest,
                     absl::StrCat("'", name, "' is not a broker id; give a number from 0, or ",
                                  "nothing for all brokers"),
                     {.name = "resource", .value = name});
  }
  const NodeId id(number);
  if (state.image.FindBroker(id) == nullptr) {
    return MakeError(ErrorCode::kBrokerIdNotRegistered,
                     absl::StrCat("broker ", number, " is not registered"),
                     {.name = "resource", .value = name});
  }
  found.owner = ConfigOwner::Broker(id);
  found.layers.dynamic_broker = &state.image.ConfigsOf(found.owner);
  if (id == state.settings->node_id) found.layers.static_broker = &state.settings->static_values;
  return found;
}

}  // namespace

absl::StatusOr<FoundResource> FindResource(const State& state, const v1::ConfigResource& resource) {
  switch (resource.type()) {
    case v1::CONFIG_RESOURCE_TYPE_TOPIC:
      return FindTopic(state, resource.name());
    case v1::CONFIG_RESOURCE_TYPE_BROKER:
      return FindBroker(state, resource.name());
    default:
      return MakeError(ErrorCode::kInvalidRequest,
                       absl::StrCat("config resource type ", resource.type(),
                                    " is not known; use TOPIC or BROKER"),
                       {.name = "type", .value = absl::StrCat(resource.type())});
  }
}

std::vector<ConfigKey> KeysOf(const State& state, const FoundResource& resource) {
  std::vector<ConfigKey> keys =
      resource.is_topic() ? metadata::TopicConfigSchema().keys() : metadata::BrokerMetadataKeys();
  if (!resource.is_topic()) {
    std::set<std::string> known;
    for (const ConfigKey& key : keys) known.insert(key.name);
    for (const ConfigKey& key : state.settings->node_keys) {
      if (!known.insert(key.name).second) continue;
      keys.push_back(key);
      // What the metadata does not know, only the node itself can change.
      keys.back().dynamic = false;
    }
  }
  std::sort(keys.begin(), keys.end(),
            [](const ConfigKey& a, const ConfigKey& b) { return a.name < b.name; });
  return keys;
}

std::optional<ConfigKey> FindKey(const State& state, const FoundResource& resource,
                                 absl::string_view name) {
  if (resource.is_topic()) {
    const ConfigKey* const key = metadata::TopicConfigSchema().Find(name);
    return key == nullptr ? std::nullopt : std::optional(*key);
  }
  for (const ConfigKey& key : metadata::BrokerMetadataKeys()) {
    if (key.name == name) return key;
  }
  for (const ConfigKey& key : state.settings->node_keys) {
    if (key.name != name) continue;
    ConfigKey found = key;
    found.dynamic = false;
    return found;
  }
  return std::nullopt;
}

metadata::ResolvedConfig Resolve(const FoundResource& resource, const ConfigKey& key) {
  return resource.is_topic() ? metadata::ResolveTopicConfig(key, resource.layers)
                             : metadata::ResolveBrokerConfig(key, resource.layers);
}

}  // namespace millrace::controller
