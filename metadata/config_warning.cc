#include "metadata/config_warning.h"

#include <algorithm>
#include <array>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "metadata/topic_config.h"

namespace millrace::metadata {
namespace {

// Keys of Kafka's topics that people set and that have no meaning here: what they tune is not there
// (compaction, throttles of replication), or is always so.
constexpr std::array<absl::string_view, 7> kIgnoredKeys = {
    "follower.replication.throttled.replicas",
    "leader.replication.throttled.replicas",
    "max.compaction.lag.ms",
    "message.downconversion.enable",
    "message.format.version",
    "min.cleanable.dirty.ratio",
    "min.compaction.lag.ms",
};

// Keys that are declared, so that they are kept and described, and that nothing acts on.
struct WithoutEffect {
  absl::string_view key;
  // The value that asks for what is done anyway; empty: there is none.
  absl::string_view harmless;
  absl::string_view why;
};
constexpr std::array<WithoutEffect, 3> kWithoutEffect = {{
    {"compression.type", "producer",
     "batches are stored as they come; set compression.type of the producers"},
    {"delete.retention.ms", "", "no topic is compacted yet"},
    {"preallocate", "true", "segments are always preallocated"},
}};

std::string IgnoredWarning(const std::vector<std::string>& keys) {
  if (keys.empty()) return "";
  return absl::StrCat(keys.size() == 1 ? "config key " : "config keys ", absl::StrJoin(keys, ", "),
                      keys.size() == 1 ? " has no meaning here and is ignored"
                                       : " have no meaning here and are ignored");
}

// Of one key under the name that it was given by; empty if `value` has an effect.
std::string NoEffectWarning(absl::string_view topic_key, const std::string& name,
                            const std::string& value) {
  for (const WithoutEffect& each : kWithoutEffect) {
    if (each.key != topic_key || (!each.harmless.empty() && each.harmless == value)) continue;
    return absl::StrCat("config key ", name, " has no effect: ", each.why);
  }
  return "";
}

}  // namespace

bool IsIgnoredTopicConfig(absl::string_view key) {
  return std::find(kIgnoredKeys.begin(), kIgnoredKeys.end(), key) != kIgnoredKeys.end();
}

std::string TopicConfigWarning(const ConfigValues& given) {
  std::vector<std::string> ignored;
  std::vector<std::string> warnings;
  for (const auto& [name, value] : given) {
    if (IsIgnoredTopicConfig(name)) ignored.push_back(name);
    std::string warning = NoEffectWarning(name, name, value);
    if (!warning.empty()) warnings.push_back(std::move(warning));
  }
  if (!ignored.empty()) warnings.insert(warnings.begin(), IgnoredWarning(ignored));
  return absl::StrJoin(warnings, "; ");
}

std::string BrokerConfigWarning(const ConfigValues& given) {
  std::vector<std::string> warnings;
  for (const ConfigKey& topic_key : TopicConfigSchema().keys()) {
    const auto found = given.find(topic_key.broker_name);
    if (found == given.end()) continue;
    std::string warning = NoEffectWarning(topic_key.name, found->first, found->second);
    if (!warning.empty()) warnings.push_back(std::move(warning));
  }
  return absl::StrJoin(warnings, "; ");
}

}  // namespace millrace::metadata
