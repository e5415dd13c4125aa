// The broker keys that belong to the metadata: the defaults of new topics, the broker-wide defaults
// of topic configs, and what can be changed on a running broker.
//
// A node's own keys (roles, listeners, directories) are declared where they are used; the node adds
// BrokerMetadataKeys() to what its file may say.
//
// Thread: any (values and immutable declarations).
#ifndef METADATA_BROKER_CONFIG_H_
#define METADATA_BROKER_CONFIG_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/config.h"
#include "base/ids.h"
#include "metadata/delta.h"
#include "metadata/image.h"
#include "metadata/topic_config.h"

namespace millrace::metadata {

struct BrokerConfig {
  int64_t default_replication_factor = 0;
  bool delete_topic_enable = false;
  int64_t log_retention_check_interval_ms = 0;
  int64_t log_scrub_interval_ms = 0;
  int64_t log_scrub_max_bytes_per_second = 0;
  int64_t max_connections = 0;
  int64_t max_connections_per_ip = 0;
  int64_t max_connection_creation_rate = 0;
  int64_t num_partitions = 0;
  int64_t producer_id_expiration_ms = 0;
  int64_t replica_lag_time_max_ms = 0;

  friend bool operator==(const BrokerConfig&, const BrokerConfig&) = default;
};

// Keys that are the broker's own. Those marked dynamic may be set in the metadata.
const ConfigSchema<BrokerConfig>& BrokerConfigSchema();

// All broker keys of the metadata, in order of name: the schema's, and the broker-level names of
// topic keys (log.retention.ms: dynamic; log.retention.hours and its like: file only).
const std::vector<ConfigKey>& BrokerMetadataKeys();

// Checks values that are set at run time on a broker or all brokers. Errors: INVALID_CONFIG for an
// unknown key, a value out of range, or a key that only a restart can change.
absl::Status CheckDynamicBrokerConfigs(const ConfigValues& values);

// INVALID_CONFIG, for a key that a broker reads when it starts, and not again.
absl::Status ReadAtStartOnly(const std::string& name, const std::string& value);

// Checks those of `values`, from a file, whose keys are in BrokerMetadataKeys(); others are
// skipped.
absl::Status CheckStaticBrokerConfigs(const ConfigValues& values);

// Where `key` gets its value from on a broker; `layers.topic` is ignored.
ResolvedConfig ResolveBrokerConfig(const ConfigKey& key, const ConfigLayers& layers);

// Those in force on `broker`, whose own file says `static_broker` (keys of others are skipped).
BrokerConfig BrokerConfigOf(const Image& image, NodeId broker, const ConfigValues& static_broker);

// Whether they may be others behind `delta`.
bool MayChangeBrokerConfig(const Delta& delta, NodeId broker);

}  // namespace millrace::metadata

#endif  // METADATA_BROKER_CONFIG_H_
