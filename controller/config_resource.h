// What a ConfigResource of a request stands for, once it is found in the state.
//
// Thread: any (pure functions).
#ifndef CONTROLLER_CONFIG_RESOURCE_H_
#define CONTROLLER_CONFIG_RESOURCE_H_

#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/config.h"
#include "base/ids.h"
#include "controller/commands.h"
#include "controller/state.h"
#include "metadata/topic_config.h"

namespace millrace::controller {

struct FoundResource {
  // Whose configs are stored.
  metadata::ConfigOwner owner;
  // Null for brokers.
  const metadata::TopicImage* topic = nullptr;
  metadata::ConfigLayers layers;

  bool is_topic() const { return topic != nullptr; }
};

// Pointers live as long as `state`. Errors: UNKNOWN_TOPIC_OR_PARTITION, BROKER_ID_NOT_REGISTERED,
// INVALID_REQUEST (type or broker id that is none).
absl::StatusOr<FoundResource> FindResource(const State& state, const v1::ConfigResource& resource);

// All keys that such a resource has, in order of name.
std::vector<ConfigKey> KeysOf(const State& state, const FoundResource& resource);

// The one of that name, without making all of them; nullopt if there is none.
std::optional<ConfigKey> FindKey(const State& state, const FoundResource& resource,
                                 absl::string_view name);

// The value in force of one of these keys.
metadata::ResolvedConfig Resolve(const FoundResource& resource, const ConfigKey& key);

}  // namespace millrace::controller

#endif  // CONTROLLER_CONFIG_RESOURCE_H_
