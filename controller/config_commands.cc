#include "controller/config_commands.h"

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/check.h"
#include "base/mutant.h"
#include "base/status.h"
#include "controller/config_resource.h"
#include "controller/election_commands.h"
#include "controller/entry.h"
#include "controller/feature_level.h"
#include "controller/limits.h"
#include "controller/request_bounds.h"
#include "controller/results.h"
#include "controller/topic_rules.h"
#include "metadata/broker_config.h"
#include "metadata/config_warning.h"
#include "metadata/image_records.h"

namespace millrace::controller {

using metadata::ConfigSource;

namespace {

constexpr absl::string_view kMinIsr = "min.insync.replicas";
constexpr absl::string_view kDurability = "durability";
constexpr absl::string_view kUncleanElection = "unclean.leader.election.enable";

v1::ConfigSource ToProto(ConfigSource source) {
  switch (source) {
    case ConfigSource::kTopic:
      return v1::CONFIG_SOURCE_TOPIC;
    case ConfigSource::kDynamicBroker:
      return v1::CONFIG_SOURCE_DYNAMIC_BROKER;
    case ConfigSource::kDynamicDefaultBroker:
      return v1::CONFIG_SOURCE_DYNAMIC_DEFAULT_BROKER;
    case ConfigSource::kStaticBroker:
      return v1::CONFIG_SOURCE_STATIC_BROKER;
    case ConfigSource::kDefault:
      return v1::CONFIG_SOURCE_DEFAULT;
  }
  return v1::CONFIG_SOURCE_UNSPECIFIED;
}

absl::string_view TypeName(ConfigType type) {
  switch (type) {
    case ConfigType::kBool:
      return "boolean";
    case ConfigType::kInt:
      return "int";
    case ConfigType::kDouble:
      return "double";
    case ConfigType::kString:
      return "string";
    case ConfigType::kList:
      return "list";
  }
  return "";
}

absl::Status Invalid(absl::string_view key, const std::string& why, const std::string& value) {
  return MakeError(ErrorCode::kInvalidConfig, absl::StrCat("config key '", key, "': ", why),
                   {.name = std::string(key), .value = value});
}

void Describe(const FoundResource& resource, const ConfigKey& key, v1::ConfigDescription* out) {
  const metadata::ResolvedConfig resolved = Resolve(resource, key);
  out->set_name(key.name);
  out->set_value(resolved.value);
  out->set_source(ToProto(resolved.source));
  out->set_read_only(!key.dynamic);
  out->set_type(std::string(TypeName(key.type)));
  out->set_documentation(key.doc);
  out->set_default_value(key.default_value);
  for (const metadata::ConfigSynonym& synonym : resolved.synonyms) {
    v1::ConfigSynonym* message = out->add_synonyms();
    message->set_name(synonym.name);
    message->set_value(synonym.value);
    message->set_source(ToProto(synonym.source));
  }
  // What another process's own file says of them, only that one knows: it may not be the default.
  const bool of_other = !resource.is_topic() && resource.layers.static_broker == nullptr;
  if (of_other && !key.dynamic) {
    out->clear_value();
    out->set_source(v1::CONFIG_SOURCE_UNSPECIFIED);
  }
}

std::string IdentityOf(const v1::ConfigResource& resource) {
  return absl::StrCat(resource.type(), ":", resource.name());
}

absl::Status NamedTwice(const v1::ConfigResource& resource) {
  return MakeError(ErrorCode::kInvalidRequest,
                   absl::StrCat("resource '", resource.name(), "' is in this request twice"),
                   {.name = "resource", .value = resource.name()});
}

// The descriptions of one request. What they have in common is made once: all topics have the same
// keys, and so have all brokers.
class Descriptions {
 public:
  Descriptions(const State& state, const v1::DescribeConfigsRequest& request)
      : state_(state), names_(request.names().begin(), request.names().end()) {}

  absl::Status Add(const v1::ConfigResource& asked, v1::DescribeConfigsResult* result) {
    ASSIGN_OR_RETURN(const FoundResource resource, FindResource(state_, asked));
    if (!seen_.insert(IdentityOf(asked)).second) return NamedTwice(asked);
    std::optional<AskedKeys>& known = resource.is_topic() ? of_topics_ : of_brokers_;
    if (!known.has_value()) known = KeysAskedFor(resource);
    RETURN_IF_ERROR(known->unknown_name);
    const bool all_brokers = resource.owner == metadata::ConfigOwner::AllBrokers();
    for (const ConfigKey& key : known->keys) {
      // The default of all brokers is what is set for them, not what each makes of it.
      if (all_brokers && !resource.layers.dynamic_default_broker->contains(key.name)) continue;
      Describe(resource, key, result->add_configs());
    }
    return absl::OkStatus();
  }

 private:
  struct AskedKeys {
    std::vector<ConfigKey> keys;
    // INVALID_CONFIG, where one is asked for that is none of them.
    absl::Status unknown_name;
  };

  AskedKeys KeysAskedFor(const FoundResource& resource) const {
    const std::vector<ConfigKey> all = KeysOf(state_, resource);
    if (names_.empty()) return {all, absl::OkStatus()};
    AskedKeys asked;
    std::set<std::string> unknown = names_;
    for (const ConfigKey& key : all) {
      if (unknown.erase(key.name) > 0) asked.keys.push_back(key);
    }
    if (!unknown.empty()) asked.unknown_name = UnknownConfigKey(all, *unknown.begin());
    return asked;
  }

  const State& state_;
  // None: all keys.
  const std::set<std::string> names_;
  std::set<std::string> seen_;
  std::optional<AskedKeys> of_topics_;
  std::optional<AskedKeys> of_brokers_;
};

// The new value of a list after elements were added or taken away.
absl::StatusOr<std::string> AlteredList(const ConfigKey& key, const std::string& current,
                                        const v1::ConfigAlteration& alteration) {
  if (key.type != ConfigType::kList) {
    return Invalid(key.name,
                   absl::StrCat("is a ", TypeName(key.type),
                                ", not a list: it can be set or deleted, not appended to or "
                                "subtracted from"),
                   alteration.value());
  }
  ASSIGN_OR_RETURN(std::vector<std::string> elements, ParseConfigList(key, current));
  ASSIGN_OR_RETURN(const std::vector<std::string> given, ParseConfigList(key, alteration.value()));
  for (const std::string& element : given) {
    const auto there = std::find(elements.begin(), elements.end(), element);
    if (alteration.operation() == v1::CONFIG_OPERATION_SUBTRACT) {
      if (there != elements.end()) elements.erase(there);
    } else if (there == elements.end()) {
      elements.push_back(element);
    }
  }
  return absl::StrJoin(elements, ",");
}

absl::Status AlterOne(const State& state, const FoundResource& resource,
                      const v1::ConfigAlteration& alteration, ConfigValues* values) {
  const std::string& name = alteration.name();
  const std::optional<ConfigKey> key = FindKey(state, resource, name);
  if (!key.has_value()) return UnknownConfigKey(KeysOf(state, resource), name);
  // The metadata does not know all of them.
  if (!resource.is_topic() && !key->dynamic && !values->contains(name)) {
    return metadata::ReadAtStartOnly(name, alteration.value());
  }
  if (alteration.value().size() > kConfigValueBytesMax) {
    return Invalid(name,
                   absl::StrCat("the value has ", alteration.value().size(), " bytes; at most ",
                                kConfigValueBytesMax, " are allowed"),
                   "");
  }
  switch (alteration.operation()) {
    case v1::CONFIG_OPERATION_SET:
      (*values)[name] = alteration.value();
      return absl::OkStatus();
    case v1::CONFIG_OPERATION_DELETE:
      values->erase(name);
      return absl::OkStatus();
    case v1::CONFIG_OPERATION_APPEND:
    case v1::CONFIG_OPERATION_SUBTRACT: {
      auto own = values->find(name);
      const std::string current =
          own != values->end() ? own->second : Resolve(resource, *key).value;
      ASSIGN_OR_RETURN((*values)[name], AlteredList(*key, current, alteration));
      return absl::OkStatus();
    }
    default:
      return MakeError(ErrorCode::kInvalidRequest,
                       absl::StrCat("config key '", name, "': operation ", alteration.operation(),
                                    " is not known; use SET, DELETE, APPEND or SUBTRACT"),
                       {.name = "operation", .value = absl::StrCat(alteration.operation())});
  }
}

absl::StatusOr<ConfigValues> AlteredValues(const State& state, const FoundResource& resource,
                                           const v1::AlterConfigsResource& asked) {
  ConfigValues values = state.image.ConfigsOf(resource.owner);
  std::set<std::string> seen;
  for (const v1::ConfigAlteration& alteration : asked.alterations()) {
    if (!seen.insert(alteration.name()).second) {
      return Invalid(alteration.name(), "is altered twice in one request", alteration.value());
    }
    if (resource.is_topic() && metadata::IsIgnoredTopicConfig(alteration.name())) continue;
    RETURN_IF_ERROR(AlterOne(state, resource, alteration, &values));
  }
  return values;
}

// The rules for what a topic fixes at creation, and the records that a change of them needs beside
// the config itself.
absl::Status AlterFixedConfigs(const State& state, const metadata::TopicImage& topic,
                               const ConfigValues& before, ConfigValues* after, Entry::Part* part) {
  const int replicas = topic.FindPartition(PartitionIndex(0))->replication_factor();
  int min_isr = 0;
  // A topic never goes without its own value: "back to the default" is a new fact (S-16).
  if (!after->contains(std::string(kMinIsr))) {
    CHECK(absl::SimpleAtoi(InheritedTopicConfig(state, kMinIsr), &min_isr));
    (*after)[std::string(kMinIsr)] = absl::StrCat(std::min(min_isr, replicas));
  }
  const std::string& min_isr_text = after->at(std::string(kMinIsr));
  CHECK(absl::SimpleAtoi(min_isr_text, &min_isr));
  const bool min_isr_changed =
      !before.contains(std::string(kMinIsr)) || before.at(std::string(kMinIsr)) != min_isr_text;
  if (min_isr_changed && min_isr > replicas) {
    return Invalid(kMinIsr,
                   absl::StrCat(min_isr, " in-sync replicas cannot be had: topic '", topic.name,
                                "' has ", replicas),
                   min_isr_text);
  }
  after->emplace(kDurability, InheritedTopicConfig(state, kDurability));
  const bool durable = after->at(std::string(kDurability)) == "durable";
  const bool level_changed = durable != TopicRulesOf(state, topic.id).durable;
  if (level_changed && durable) {
    RETURN_IF_ERROR(CheckFeatureLevel(state.image, metadata::kRaisedDurabilityLevel,
                                      "raising the durability of a topic that exists"));
  }
  if (!min_isr_changed && !level_changed) return absl::OkStatus();
  topic.ForEachPartition([&](PartitionIndex index, const metadata::PartitionImage& partition) {
    metadata::PartitionImage changed = partition;
    // As long as too few are in sync, nothing is committed without the eligible leaders.
    const bool enough = static_cast<int>(partition.isr.size()) >= std::min(min_isr, replicas);
    if (min_isr_changed && enough && !MUTANT("controller.eligible-under-a-lowered-minimum")) {
      changed.elr.clear();
    }
    // S-07: until the leader says that what was acknowledged before is on all disks. To lower the
    // level takes effect at once.
    if (level_changed) changed.raising = durable;
    AddPartitionChange({topic.id, index}, partition, std::move(changed), part);
  });
  return absl::OkStatus();
}

absl::Status AlterResource(const State& state, const v1::AlterConfigsResource& asked,
                           Entry* entry) {
  ASSIGN_OR_RETURN(const FoundResource resource, FindResource(state, asked.resource()));
  const ConfigValues& before = state.image.ConfigsOf(resource.owner);
  ASSIGN_OR_RETURN(ConfigValues after, AlteredValues(state, resource, asked));
  RETURN_IF_ERROR(resource.is_topic() ? metadata::CheckTopicConfigs(after)
                                      : metadata::CheckDynamicBrokerConfigs(after));
  Entry::Part part;
  if (resource.is_topic()) {
    RETURN_IF_ERROR(AlterFixedConfigs(state, *resource.topic, before, &after, &part));
  }
  for (const auto& [key, value] : before) {
    if (!after.contains(key)) {
      part.emplace_back(metadata::ConfigRecordOf(resource.owner, key, nullptr));
    }
  }
  for (const auto& [key, value] : after) {
    auto old = before.find(key);
    if (old == before.end() || old->second != value) {
      part.emplace_back(metadata::ConfigRecordOf(resource.owner, key, &value));
    }
  }
  return entry->Add(part, absl::StrCat("altering configs of '", asked.resource().name(), "'"));
}

// Names the altered keys that change nothing; empty if there are none.
std::string WarningOf(const v1::AlterConfigsResource& asked) {
  const bool is_topic = asked.resource().type() == v1::CONFIG_RESOURCE_TYPE_TOPIC;
  ConfigValues given;
  for (const v1::ConfigAlteration& alteration : asked.alterations()) {
    const bool sets = alteration.operation() == v1::CONFIG_OPERATION_SET;
    if (sets || (is_topic && metadata::IsIgnoredTopicConfig(alteration.name()))) {
      given.emplace(alteration.name(), alteration.value());
    }
  }
  return is_topic ? metadata::TopicConfigWarning(given) : metadata::BrokerConfigWarning(given);
}

bool Alters(absl::string_view key, const v1::AlterConfigsResource& asked) {
  return std::any_of(asked.alterations().begin(), asked.alterations().end(),
                     [&](const v1::ConfigAlteration& each) { return each.name() == key; });
}

absl::Status CheckSize(const v1::DescribeConfigsRequest& request) {
  RETURN_IF_ERROR(CheckNamed("resources", request.resources_size(), kConfigResourcesPerRequestMax));
  return CheckNamed("config keys", request.names_size(), kConfigNamesPerRequestMax);
}

absl::Status CheckSize(const v1::IncrementalAlterConfigsRequest& request) {
  // Those that nothing is altered of cost as much.
  RETURN_IF_ERROR(
      CheckNamed("resources", request.resources_size(), kConfigAlterationsPerRequestMax));
  int alterations = 0;
  for (const auto& asked : request.resources()) alterations += asked.alterations_size();
  return CheckNamed("alterations", alterations, kConfigAlterationsPerRequestMax);
}

}  // namespace

rsm::Decision<v1::DescribeConfigsResponse> DescribeConfigs(
    const State& state, const v1::DescribeConfigsRequest& request) {
  absl::Status size = CheckSize(request);
  if (!size.ok()) return {std::move(size), {}};
  v1::DescribeConfigsResponse response;
  response.set_metadata_index(state.image.index().value());
  Descriptions descriptions(state, request);
  for (const v1::ConfigResource& resource : request.resources()) {
    v1::DescribeConfigsResult* result = response.add_resources();
    *result->mutable_resource() = resource;
    const absl::Status status = descriptions.Add(resource, result);
    if (!status.ok()) SetError(status, result);
  }
  return {std::move(response), {}};
}

rsm::Decision<v1::IncrementalAlterConfigsResponse> IncrementalAlterConfigs(
    const State& state, const v1::IncrementalAlterConfigsRequest& request) {
  absl::Status size = CheckSize(request);
  if (!size.ok()) return {std::move(size), {}};
  v1::IncrementalAlterConfigsResponse response;
  response.set_metadata_index(state.image.index().value());
  Entry entry;
  bool alters_elections = false;
  std::set<std::string> seen;
  for (const v1::AlterConfigsResource& asked : request.resources()) {
    v1::AlterConfigsResult* result = response.add_resources();
    *result->mutable_resource() = asked.resource();
    const absl::Status status = seen.insert(IdentityOf(asked.resource())).second
                                    ? AlterResource(state, asked, &entry)
                                    : NamedTwice(asked.resource());
    if (status.ok()) {
      alters_elections |= Alters(kUncleanElection, asked);
      result->set_message(WarningOf(asked));
    } else {
      SetError(status, result);
    }
  }
  if (request.validate_only()) return {response, {}};
  // Set where a partition waits for it, it must not wait on for the next broker to come or go.
  if (alters_elections) ElectWhereConfigsAllow(state, &entry);
  return {response, std::move(entry).Take()};
}

}  // namespace millrace::controller
