// TopicSettings: what a replica needs of its topic's configuration, in its own units; and the part
// of it that the log needs.
//
// Keys, defaults and documentation are metadata/topic_config's. Thread: any (values).
#ifndef BROKER_TOPIC_SETTINGS_H_
#define BROKER_TOPIC_SETTINGS_H_

#include <cstddef>
#include <cstdint>
#include <limits>

#include "metadata/broker_config.h"
#include "metadata/topic_config.h"
#include "storage/log_config.h"

namespace millrace::broker {

struct TopicSettings {
  // Acknowledged means on disk, not only in the page cache.
  bool durable = true;
  // max.message.bytes: of a whole batch.
  size_t message_bytes_max = 1048588;
  int min_insync_replicas = 1;
  // message.timestamp.type=LogAppendTime.
  bool log_append_time = false;
  // How far a producer's timestamps may lie before and after the leader's clock.
  int64_t timestamp_before_ms_max = std::numeric_limits<int64_t>::max();
  int64_t timestamp_after_ms_max = 3600000;

  friend bool operator==(const TopicSettings&, const TopicSettings&) = default;
};

TopicSettings SettingsOf(const metadata::TopicConfig& config);
// `broker`: those in force on the broker that has the log.
storage::LogConfig LogConfigOf(const metadata::TopicConfig& config,
                               const metadata::BrokerConfig& broker, int64_t tail_cache_bytes_max);

}  // namespace millrace::broker

#endif  // BROKER_TOPIC_SETTINGS_H_
