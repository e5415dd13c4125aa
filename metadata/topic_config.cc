#include "metadata/topic_config.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status.h"

namespace millrace::metadata {

namespace {

constexpr int64_t kForever = std::numeric_limits<int64_t>::max();
constexpr int64_t kInt32Max = std::numeric_limits<int32_t>::max();
constexpr absl::string_view kForeverText = "9223372036854775807";
constexpr int64_t kMinuteMs = 60'000;
constexpr int64_t kHourMs = 3'600'000;

using Config = TopicConfig;

void DeclareRetention(ConfigSchema<Config>* schema) {
  schema
      ->List(&Config::cleanup_policy,
             {.name = "cleanup.policy",
              .default_value = "delete",
              .doc = "What happens to old segments: 'delete' drops them by retention.ms and "
                     "retention.bytes; an empty list keeps them for ever. 'compact' is not "
                     "supported yet.",
              .allowed = {"delete", "compact"},
              .dynamic = true,
              .broker_name = "log.cleanup.policy"})
      .Int(&Config::retention_ms,
           {.name = "retention.ms",
            .default_value = "604800000",
            .doc = "How long records are kept; whole segments are dropped when their newest record "
                   "is older, the one that is written to as well. -1: for ever.",
            .min = -1,
            .dynamic = true,
            .broker_name = "log.retention.ms"})
      .Int(&Config::retention_bytes,
           {.name = "retention.bytes",
            .default_value = "-1",
            .doc = "How many bytes of a partition are kept, in whole closed segments. -1: no "
                   "limit.",
            .min = -1,
            .dynamic = true,
            .broker_name = "log.retention.bytes"})
      .Int(&Config::delete_retention_ms,
           {.name = "delete.retention.ms",
            .default_value = "86400000",
            .doc = "How long a compacted topic keeps deletion markers; without effect until "
                   "'compact' is supported.",
            .min = 0,
            .dynamic = true,
            .broker_name = "log.cleaner.delete.retention.ms"})
      .Int(&Config::file_delete_delay_ms,
           {.name = "file.delete.delay.ms",
            .default_value = "60000",
            .doc = "How long a dropped segment's files stay on disk.",
            .min = 0,
            .dynamic = true,
            .broker_name = "log.segment.delete.delay.ms"});
}

void DeclareSegments(ConfigSchema<Config>* schema) {
  schema
      ->Int(&Config::segment_bytes,
            {.name = "segment.bytes",
             .default_value = "1073741824",
             .doc = "Size at which a segment is closed and the next one begun.",
             .min = 1 << 20,
             .max = kInt32Max,
             .dynamic = true,
             .broker_name = "log.segment.bytes"})
      .Int(&Config::segment_ms, {.name = "segment.ms",
                                 .default_value = "604800000",
                                 .doc = "Age at which a segment is closed although it is not full.",
                                 .min = 1,
                                 .dynamic = true,
                                 .broker_name = "log.roll.ms"})
      .Int(&Config::segment_jitter_ms,
           {.name = "segment.jitter.ms",
            .default_value = "0",
            .doc = "Up to this much is taken off segment.ms, so that segments of many partitions "
                   "do not close at once.",
            .min = 0,
            .dynamic = true,
            .broker_name = "log.roll.jitter.ms"})
      .Int(&Config::segment_index_bytes,
           {.name = "segment.index.bytes",
            .default_value = "10485760",
            .doc = "Largest size of a segment's offset index; a full index closes the segment.",
            .min = 64,
            .max = kInt32Max,
            .dynamic = true,
            .broker_name = "log.index.size.max.bytes"})
      .Int(&Config::index_interval_bytes, {.name = "index.interval.bytes",
                                           .default_value = "4096",
                                           .doc = "Bytes of log per index entry.",
                                           .min = 0,
                                           .max = kInt32Max,
                                           .dynamic = true,
                                           .broker_name = "log.index.interval.bytes"})
      .Bool(&Config::preallocate, {.name = "preallocate",
                                   .default_value = "false",
                                   .doc = "Accepted and ignored: segments are always preallocated.",
                                   .dynamic = true,
                                   .broker_name = "log.preallocate"});
}

void DeclareDurability(ConfigSchema<Config>* schema) {
  schema
      ->String(&Config::durability,
               {.name = "durability",
                .default_value = "durable",
                .doc = "What an acknowledgement means: 'durable': on the disks of all in-sync "
                       "replicas; 'replicated': in the memory of all of them. Fixed per topic at "
                       "creation; altered afterwards, it is lowered at once, and raised for each "
                       "partition as soon as all that it has acknowledged is on those disks.",
                .allowed = {"durable", "replicated"},
                .dynamic = true,
                .broker_name = "log.durability"})
      .Int(&Config::min_insync_replicas,
           {.name = "min.insync.replicas",
            .default_value = "2",
            .doc = "How many in-sync replicas an acknowledgement of acks=all needs. Fixed per "
                   "topic at creation, lowered to its replication factor.",
            .min = 1,
            .max = kInt32Max,
            .dynamic = true,
            .broker_name = "min.insync.replicas"})
      .Bool(&Config::unclean_leader_election_enable,
            {.name = "unclean.leader.election.enable",
             .default_value = "false",
             .doc = "Whether a replica that may lack acknowledged records may lead when no other "
                    "can.",
             .dynamic = true,
             .broker_name = "unclean.leader.election.enable"})
      .Int(&Config::flush_messages,
           {.name = "flush.messages",
            .default_value = std::string(kForeverText),
            .doc = "Records after which a log is synced besides what 'durability' asks for.",
            .min = 1,
            .dynamic = true,
            .broker_name = "log.flush.interval.messages"})
      .Int(&Config::flush_ms,
           {.name = "flush.ms",
            .default_value = std::string(kForeverText),
            .doc = "Time after which a log is synced besides what 'durability' asks for.",
            .min = 0,
            .dynamic = true,
            .broker_name = "log.flush.interval.ms"});
}

void DeclareMessages(ConfigSchema<Config>* schema) {
  schema
      ->Int(&Config::max_message_bytes,
            {.name = "max.message.bytes",
             .default_value = "1048588",
             .doc = "Largest record batch a producer may send, as it is compressed.",
             .min = 0,
             .max = kInt32Max,
             .dynamic = true,
             .broker_name = "message.max.bytes"})
      .String(&Config::compression_type,
              {.name = "compression.type",
               .default_value = "producer",
               .doc = "Accepted and without effect: a broker stores batches as they come and never "
                      "recompresses one; set the codec in the producers.",
               .allowed = {"producer", "none", "uncompressed", "gzip", "snappy", "lz4", "zstd"},
               .dynamic = true,
               .broker_name = "compression.type"})
      .String(&Config::message_timestamp_type,
              {.name = "message.timestamp.type",
               .default_value = "CreateTime",
               .doc = "Whether a record's timestamp is the producer's or the time of append.",
               .allowed = {"CreateTime", "LogAppendTime"},
               .dynamic = true,
               .broker_name = "log.message.timestamp.type"})
      .Int(&Config::message_timestamp_before_max_ms,
           {.name = "message.timestamp.before.max.ms",
            .default_value = std::string(kForeverText),
            .doc = "How far a producer's timestamp may lie before the broker's clock.",
            .min = 0,
            .dynamic = true,
            .broker_name = "log.message.timestamp.before.max.ms"})
      .Int(&Config::message_timestamp_after_max_ms,
           {.name = "message.timestamp.after.max.ms",
            .default_value = "3600000",
            .doc = "How far a producer's timestamp may lie after the broker's clock.",
            .min = 0,
            .dynamic = true,
            .broker_name = "log.message.timestamp.after.max.ms"});
}

ConfigSchema<Config> MakeSchema() {
  ConfigSchema<Config> schema;
  DeclareRetention(&schema);
  DeclareSegments(&schema);
  DeclareDurability(&schema);
  DeclareMessages(&schema);
  return schema;
}

// `value` in the unit of `key`, or nothing if it cannot be read or does not fit.
bool Convert(const ConfigKey& key, const BrokerSynonym& synonym, const std::string& value,
             std::string* converted) {
  *converted = value;
  if (synonym.factor != 1) {
    int64_t number = 0;
    if (!absl::SimpleAtoi(value, &number)) return false;
    // Negative means "no limit" in every unit.
    number = number < 0                           ? -1
             : number > kForever / synonym.factor ? kForever
                                                  : number * synonym.factor;
    *converted = absl::StrCat(number);
  }
  return CheckConfigValue(key, *converted).ok();
}

// Adds what `layer` says about `key` under any of its names there.
void AddFrom(const ConfigKey& key, const ConfigValues* layer, ConfigSource source,
             absl::Span<const BrokerSynonym> names, ResolvedConfig* resolved) {
  if (layer == nullptr) return;
  for (const BrokerSynonym& synonym : names) {
    auto it = layer->find(synonym.name);
    std::string converted;
    if (it == layer->end() || !Convert(key, synonym, it->second, &converted)) continue;
    if (resolved->synonyms.empty()) {
      resolved->value = converted;
      resolved->source = source;
    }
    resolved->synonyms.push_back({synonym.name, it->second, source});
  }
}

}  // namespace

const ConfigSchema<TopicConfig>& TopicConfigSchema() {
  // Immutable and never destroyed.
  static const auto* const kSchema = new ConfigSchema<TopicConfig>(MakeSchema());
  return *kSchema;
}

std::optional<int> MinInsyncReplicasOf(const Image& image, TopicId topic) {
  const ConfigValues& own = image.ConfigsOf(ConfigOwner::Topic(topic));
  const auto found = own.find("min.insync.replicas");
  int min = 0;
  if (found == own.end() || !absl::SimpleAtoi(found->second, &min)) return std::nullopt;
  return min;
}

absl::Status CheckTopicConfigs(const ConfigValues& values) {
  for (const auto& [name, value] : values) {
    if (!absl::StartsWith(name, "remote.") && !absl::StartsWith(name, "local.retention.")) continue;
    return MakeError(
        ErrorCode::kInvalidConfig,
        absl::StrCat("config key '", name, "': tiered storage is not supported yet; leave it out"),
        {.name = name, .value = value});
  }
  // A batch larger than segment.bytes is no contradiction: it gets a segment of its own.
  ASSIGN_OR_RETURN(const TopicConfig config, TopicConfigSchema().Parse(values));
  const auto& policy = config.cleanup_policy;
  if (std::find(policy.begin(), policy.end(), "compact") != policy.end()) {
    return MakeError(ErrorCode::kInvalidConfig,
                     "config key 'cleanup.policy': 'compact' is not supported yet; use 'delete'",
                     {.name = "cleanup.policy", .value = values.at("cleanup.policy")});
  }
  return absl::OkStatus();
}

ConfigLayers LayersOf(const Image& image, TopicId topic, NodeId broker,
                      const ConfigValues& static_broker) {
  return {.topic = &image.ConfigsOf(ConfigOwner::Topic(topic)),
          .dynamic_broker = &image.ConfigsOf(ConfigOwner::Broker(broker)),
          .dynamic_default_broker = &image.ConfigsOf(ConfigOwner::AllBrokers()),
          .static_broker = &static_broker};
}

ResolvedConfig ResolveTopicConfig(const ConfigKey& key, const ConfigLayers& layers) {
  ResolvedConfig resolved;
  AddFrom(key, layers.topic, ConfigSource::kTopic, {{key.name, 1}}, &resolved);
  const std::vector<BrokerSynonym> names = BrokerSynonymsOf(key);
  AddFrom(key, layers.dynamic_broker, ConfigSource::kDynamicBroker, names, &resolved);
  AddFrom(key, layers.dynamic_default_broker, ConfigSource::kDynamicDefaultBroker, names,
          &resolved);
  AddFrom(key, layers.static_broker, ConfigSource::kStaticBroker, names, &resolved);
  if (resolved.synonyms.empty()) resolved.value = key.default_value;
  const std::string& default_name = key.broker_name.empty() ? key.name : key.broker_name;
  resolved.synonyms.push_back({default_name, key.default_value, ConfigSource::kDefault});
  return resolved;
}

TopicConfig ResolveTopicConfigs(const ConfigLayers& layers) {
  const ConfigSchema<TopicConfig>& schema = TopicConfigSchema();
  ConfigValues values;
  for (const ConfigKey& key : schema.keys()) {
    ResolvedConfig resolved = ResolveTopicConfig(key, layers);
    if (resolved.source != ConfigSource::kDefault) values[key.name] = std::move(resolved.value);
  }
  absl::StatusOr<TopicConfig> config = schema.Parse(values);
  // Resolution passes over every value that its key does not allow.
  CHECK(config.ok()) << std::string(config.status().message());
  return *std::move(config);
}

TopicConfig TopicConfigOf(const Image& image, TopicId topic, NodeId broker,
                          const ConfigValues& static_broker) {
  return ResolveTopicConfigs(LayersOf(image, topic, broker, static_broker));
}

std::vector<BrokerSynonym> BrokerSynonymsOf(const ConfigKey& topic_key) {
  std::vector<BrokerSynonym> names;
  if (topic_key.broker_name.empty()) return names;
  names.push_back({topic_key.broker_name, 1});
  if (topic_key.name == "retention.ms") {
    names.push_back({"log.retention.minutes", kMinuteMs});
    names.push_back({"log.retention.hours", kHourMs});
  } else if (topic_key.name == "segment.ms") {
    names.push_back({"log.roll.hours", kHourMs});
  } else if (topic_key.name == "segment.jitter.ms") {
    names.push_back({"log.roll.jitter.hours", kHourMs});
  }
  return names;
}

}  // namespace millrace::metadata
