#include "broker/topic_settings.h"

#include <algorithm>
#include <string>
#include <vector>

namespace millrace::broker {

TopicSettings SettingsOf(const metadata::TopicConfig& config) {
  TopicSettings settings;
  settings.durable = config.durable();
  settings.message_bytes_max = static_cast<size_t>(config.max_message_bytes);
  settings.min_insync_replicas = static_cast<int>(config.min_insync_replicas);
  settings.log_append_time = config.log_append_time();
  settings.timestamp_before_ms_max = config.message_timestamp_before_max_ms;
  settings.timestamp_after_ms_max = config.message_timestamp_after_max_ms;
  return settings;
}

storage::LogConfig LogConfigOf(const metadata::TopicConfig& config,
                               const metadata::BrokerConfig& broker, int64_t tail_cache_bytes_max) {
  storage::LogConfig log;
  log.segment_bytes = config.segment_bytes;
  log.segment_ms = config.segment_ms;
  log.segment_jitter_ms = config.segment_jitter_ms;
  log.segment_index_bytes = config.segment_index_bytes;
  log.index_interval_bytes = config.index_interval_bytes;
  const std::vector<std::string>& policy = config.cleanup_policy;
  if (std::find(policy.begin(), policy.end(), "delete") != policy.end()) {
    log.retention_ms = config.retention_ms;
    log.retention_bytes = config.retention_bytes;
  } else {
    // Kept for ever, whatever those say.
    log.retention_ms = log.retention_bytes = -1;
  }
  log.file_delete_delay_ms = config.file_delete_delay_ms;
  log.durability =
      config.durable() ? storage::Durability::kDurable : storage::Durability::kReplicated;
  log.flush_messages = config.flush_messages;
  log.flush_ms = config.flush_ms;
  log.producer_id_expiration_ms = broker.producer_id_expiration_ms;
  log.tail_cache_bytes_max = tail_cache_bytes_max;
  return log;
}

}  // namespace millrace::broker
