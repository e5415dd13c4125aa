#include "metadata/broker_config.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status.h"

namespace millrace::metadata {

namespace {

constexpr int64_t kInt32Max = std::numeric_limits<int32_t>::max();

using Config = BrokerConfig;

ConfigSchema<Config> MakeSchema() {
  ConfigSchema<Config> schema;
  schema
      .Int(&Config::num_partitions, {.name = "num.partitions",
                                     .default_value = "1",
                                     .doc = "Partitions of a new topic that does not say how many.",
                                     .min = 1,
                                     .max = 10'000,
                                     .dynamic = true})
      .Int(&Config::default_replication_factor,
           {.name = "default.replication.factor",
            .default_value = "3",
            .doc = "Replicas of a new topic that does not say how many; lowered, once, to the "
                   "number of brokers there are.",
            .min = 1,
            .max = 32,
            .dynamic = true})
      .Bool(&Config::delete_topic_enable, {.name = "delete.topic.enable",
                                           .default_value = "true",
                                           .doc = "Whether topics can be deleted at all.",
                                           .dynamic = true})
      .Int(&Config::log_retention_check_interval_ms,
           {.name = "log.retention.check.interval.ms",
            .default_value = "300000",
            .doc = "How often segments are checked against their retention.",
            .min = 1,
            .max = kInt32Max,
            .dynamic = false})
      .Int(
          &Config::log_scrub_interval_ms,
          {.name = "log.scrub.interval.ms",
           .default_value = "604800000",
           .doc = "How often a broker reads all of its logs to find damage, which is then repaired "
                  "from other replicas; -1: never by itself.",
           .min = -1,
           .dynamic = true})
      .Int(&Config::log_scrub_max_bytes_per_second,
           {.name = "log.scrub.max.bytes.per.second",
            .default_value = "10485760",
            .doc = "Bytes that it reads per second at most for that, over all log directories.",
            .min = 1024,
            .dynamic = true})
      .Int(
          &Config::max_connections,
          {.name = "max.connections",
           .default_value = "2147483647",
           .doc =
               "Connections a broker accepts at most, over all listeners; in any case no more than "
               "half of its open files (ulimit -n) are enough for. Where brokers have a listener "
               "of their own (inter.broker.listener.name, beside others), connections by that are "
               "counted, but neither this nor max.connections.per.ip or "
               "max.connection.creation.rate refuses or delays one.",
           .min = 0,
           .max = kInt32Max,
           .dynamic = true})
      .Int(&Config::max_connections_per_ip,
           {.name = "max.connections.per.ip",
            .default_value = "2147483647",
            .doc = "Connections a broker accepts at most from one address.",
            .min = 0,
            .max = kInt32Max,
            .dynamic = true})
      .Int(&Config::max_connection_creation_rate,
           {.name = "max.connection.creation.rate",
            .default_value = "2147483647",
            .doc = "Connections a broker accepts per second at most.",
            .min = 0,
            .max = kInt32Max,
            .dynamic = true})
      .Int(&Config::producer_id_expiration_ms,
           {.name = "producer.id.expiration.ms",
            .default_value = "86400000",
            .doc = "How long a partition remembers an idle producer.",
            .min = 1,
            .max = kInt32Max,
            .dynamic = true})
      .Int(&Config::replica_lag_time_max_ms,
           {.name = "replica.lag.time.max.ms",
            .default_value = "5000",
            .doc = "A follower that has not caught up for so long leaves the in-sync replicas.",
            .min = 100,
            .dynamic = false});
  return schema;
}

// The broker-wide names of one topic key.
void AddTopicDefaults(const ConfigKey& topic_key, std::vector<ConfigKey>* keys) {
  for (const BrokerSynonym& synonym : BrokerSynonymsOf(topic_key)) {
    ConfigKey key = topic_key;
    key.name = synonym.name;
    key.broker_name.clear();
    if (synonym.factor == 1) {
      key.doc = absl::StrCat("Default of the topic config ", topic_key.name, ". ", topic_key.doc);
    } else {
      // One spelling can be changed at run time; the coarser ones are for files.
      key.dynamic = false;
      key.default_value = "";
      key.min = topic_key.min < 0 ? -1 : topic_key.min;
      key.max = kInt32Max;
      key.doc = absl::StrCat("As ", topic_key.broker_name, ", in a coarser unit and weaker.");
    }
    keys->push_back(std::move(key));
  }
}

std::vector<ConfigKey> MakeKeys() {
  std::vector<ConfigKey> keys = BrokerConfigSchema().keys();
  for (const ConfigKey& topic_key : TopicConfigSchema().keys()) AddTopicDefaults(topic_key, &keys);
  std::sort(keys.begin(), keys.end(),
            [](const ConfigKey& a, const ConfigKey& b) { return a.name < b.name; });
  return keys;
}

const ConfigKey* FindKey(absl::string_view name) {
  for (const ConfigKey& key : BrokerMetadataKeys()) {
    if (key.name == name) return &key;
  }
  return nullptr;
}

absl::Status CheckBrokerValue(const ConfigKey& key, const std::string& value) {
  RETURN_IF_ERROR(CheckConfigValue(key, value));
  if (key.name == "log.cleanup.policy") {
    // The topic key's own rules hold for its default too.
    return CheckTopicConfigs({{"cleanup.policy", value}});
  }
  return absl::OkStatus();
}

}  // namespace

const ConfigSchema<BrokerConfig>& BrokerConfigSchema() {
  // Immutable and never destroyed.
  static const auto* const kSchema = new ConfigSchema<BrokerConfig>(MakeSchema());
  return *kSchema;
}

const std::vector<ConfigKey>& BrokerMetadataKeys() {
  // Immutable and never destroyed.
  static const auto* const kKeys = new std::vector<ConfigKey>(MakeKeys());
  return *kKeys;
}

absl::Status CheckDynamicBrokerConfigs(const ConfigValues& values) {
  for (const auto& [name, value] : values) {
    const ConfigKey* key = FindKey(name);
    if (key == nullptr) return UnknownConfigKey(BrokerMetadataKeys(), name);
    if (!key->dynamic) return ReadAtStartOnly(name, value);
    RETURN_IF_ERROR(CheckBrokerValue(*key, value));
  }
  return absl::OkStatus();
}

absl::Status ReadAtStartOnly(const std::string& name, const std::string& value) {
  return MakeError(ErrorCode::kInvalidConfig,
                   absl::StrCat("config key '", name,
                                "' cannot be changed on a running broker; set it in the broker's "
                                "file and restart it"),
                   {.name = name, .value = value});
}

absl::Status CheckStaticBrokerConfigs(const ConfigValues& values) {
  for (const auto& [name, value] : values) {
    const ConfigKey* key = FindKey(name);
    if (key != nullptr) RETURN_IF_ERROR(CheckBrokerValue(*key, value));
  }
  return absl::OkStatus();
}

ResolvedConfig ResolveBrokerConfig(const ConfigKey& key, const ConfigLayers& layers) {
  // A topic key's default has several names: what is in force is its topic key's business.
  for (const ConfigKey& topic_key : TopicConfigSchema().keys()) {
    if (topic_key.broker_name != key.name) continue;
    ConfigLayers broker_layers = layers;
    broker_layers.topic = nullptr;
    return ResolveTopicConfig(topic_key, broker_layers);
  }
  ResolvedConfig resolved;
  const std::pair<const ConfigValues*, ConfigSource> sources[] = {
      {layers.dynamic_broker, ConfigSource::kDynamicBroker},
      {layers.dynamic_default_broker, ConfigSource::kDynamicDefaultBroker},
      {layers.static_broker, ConfigSource::kStaticBroker},
  };
  for (const auto& [values, source] : sources) {
    if (values == nullptr) continue;
    auto it = values->find(key.name);
    if (it == values->end() || !CheckConfigValue(key, it->second).ok()) continue;
    if (resolved.synonyms.empty()) {
      resolved.value = it->second;
      resolved.source = source;
    }
    resolved.synonyms.push_back({key.name, it->second, source});
  }
  if (resolved.synonyms.empty()) resolved.value = key.default_value;
  resolved.synonyms.push_back({key.name, key.default_value, ConfigSource::kDefault});
  return resolved;
}

BrokerConfig BrokerConfigOf(const Image& image, NodeId broker, const ConfigValues& static_broker) {
  const ConfigLayers layers{.dynamic_broker = &image.ConfigsOf(ConfigOwner::Broker(broker)),
                            .dynamic_default_broker = &image.ConfigsOf(ConfigOwner::AllBrokers()),
                            .static_broker = &static_broker};
  ConfigValues values;
  for (const ConfigKey& key : BrokerConfigSchema().keys()) {
    ResolvedConfig resolved = ResolveBrokerConfig(key, layers);
    if (resolved.source != ConfigSource::kDefault) values[key.name] = std::move(resolved.value);
  }
  absl::StatusOr<BrokerConfig> config = BrokerConfigSchema().Parse(values);
  // Resolution passes over every value that its key does not allow.
  CHECK(config.ok()) << std::string(config.status().message());
  return *std::move(config);
}

bool MayChangeBrokerConfig(const Delta& delta, NodeId broker) {
  return delta.configs_changed.contains(ConfigOwner::AllBrokers()) ||
         delta.configs_changed.contains(ConfigOwner::Broker(broker));
}

}  // namespace millrace::metadata
