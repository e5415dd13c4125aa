// The configs of a topic: their declaration, and which value is in force and why.
//
// A key is looked up on the topic, then (mostly under another name: retention.ms is
// log.retention.ms there) on the broker as set at run time for it, for all brokers, and in its own
// file; then comes the built-in default. Names and meanings are Kafka's; `durability` is ours.
//
// Thread: any (values and immutable declarations).
#ifndef METADATA_TOPIC_CONFIG_H_
#define METADATA_TOPIC_CONFIG_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/config.h"
#include "base/ids.h"
#include "metadata/image.h"

namespace millrace::metadata {

// Defaults stand in the schema, nowhere else.
struct TopicConfig {
  std::vector<std::string> cleanup_policy;
  std::string compression_type;
  int64_t delete_retention_ms = 0;
  // "durable" or "replicated": what an acknowledgement means.
  std::string durability;
  int64_t file_delete_delay_ms = 0;
  int64_t flush_messages = 0;
  int64_t flush_ms = 0;
  int64_t index_interval_bytes = 0;
  int64_t max_message_bytes = 0;
  int64_t message_timestamp_after_max_ms = 0;
  int64_t message_timestamp_before_max_ms = 0;
  std::string message_timestamp_type;
  int64_t min_insync_replicas = 0;
  // Accepted and ignored: segments always are.
  bool preallocate = false;
  // -1: no limit.
  int64_t retention_bytes = 0;
  int64_t retention_ms = 0;
  int64_t segment_bytes = 0;
  int64_t segment_index_bytes = 0;
  int64_t segment_jitter_ms = 0;
  int64_t segment_ms = 0;
  bool unclean_leader_election_enable = false;

  bool durable() const { return durability == "durable"; }
  bool log_append_time() const { return message_timestamp_type == "LogAppendTime"; }
  friend bool operator==(const TopicConfig&, const TopicConfig&) = default;
};

// The declaration of all topic keys.
const ConfigSchema<TopicConfig>& TopicConfigSchema();

// REQUIRES: ignored keys (config_warning.h) are left out. Errors: INVALID_CONFIG for an unknown
// key, a value out of range, a key of Kafka that is not supported here (naming it), or values that
// contradict each other.
absl::Status CheckTopicConfigs(const ConfigValues& values);

// The min.insync.replicas of a topic, which each has of its own (S-16); nullopt if there is no such
// topic. In one image with its partitions: their in-sync sets were decided by this number.
std::optional<int> MinInsyncReplicasOf(const Image& image, TopicId topic);

// From the strongest to the weakest.
enum class ConfigSource : uint8_t {
  kTopic,
  kDynamicBroker,
  kDynamicDefaultBroker,
  kStaticBroker,
  kDefault,
};

struct ConfigSynonym {
  // The name it has at its source: "log.retention.hours".
  std::string name;
  // As set there: "168".
  std::string value;
  ConfigSource source = ConfigSource::kDefault;
};

struct ResolvedConfig {
  // In the key's own unit: "604800000" for a log.retention.hours of 168.
  std::string value;
  ConfigSource source = ConfigSource::kDefault;
  // All places that set it, the one in force first, the default last.
  std::vector<ConfigSynonym> synonyms;
};

// Where values may come from; all borrowed.
struct ConfigLayers {
  // Null for what no topic has.
  const ConfigValues* topic = nullptr;
  const ConfigValues* dynamic_broker = nullptr;
  const ConfigValues* dynamic_default_broker = nullptr;
  const ConfigValues* static_broker = nullptr;
};

// The layers of one topic as seen by `broker`, whose own file says `static_broker` (borrowed).
ConfigLayers LayersOf(const Image& image, TopicId topic, NodeId broker,
                      const ConfigValues& static_broker);

// A value that was in range when it was set but cannot be read is passed over.
ResolvedConfig ResolveTopicConfig(const ConfigKey& key, const ConfigLayers& layers);

// All of a topic's configs.
TopicConfig ResolveTopicConfigs(const ConfigLayers& layers);

// Shorthand of both: what a broker and the controller use.
TopicConfig TopicConfigOf(const Image& image, TopicId topic, NodeId broker,
                          const ConfigValues& static_broker);

// Broker-level names of a topic key, with the factor to the key's own unit, strongest first:
// log.retention.ms x 1, log.retention.minutes x 60,000, log.retention.hours x 3,600,000.
struct BrokerSynonym {
  std::string name;
  int64_t factor = 1;
};
std::vector<BrokerSynonym> BrokerSynonymsOf(const ConfigKey& topic_key);

}  // namespace millrace::metadata

#endif  // METADATA_TOPIC_CONFIG_H_
