#include "broker/topic_settings.h"

#include "gtest/gtest.h"
#include "metadata/topic_config.h"

namespace millrace::broker {
namespace {

metadata::TopicConfig Resolve(const ConfigValues& topic) {
  metadata::ConfigLayers layers;
  layers.topic = &topic;
  return metadata::ResolveTopicConfigs(layers);
}

TEST(TopicSettings, DefaultsAreDurableAndTheLeadersClockIsNotUsed) {
  const TopicSettings settings = SettingsOf(Resolve({}));
  EXPECT_TRUE(settings.durable);
  EXPECT_FALSE(settings.log_append_time);
  EXPECT_EQ(settings.message_bytes_max, 1048588u);
}

TEST(TopicSettings, TakeWhatTheTopicSays) {
  const metadata::TopicConfig config = Resolve({{"durability", "replicated"},
                                                {"max.message.bytes", "2000"},
                                                {"message.timestamp.type", "LogAppendTime"},
                                                {"flush.messages", "70"},
                                                {"flush.ms", "900"},
                                                {"retention.ms", "5000"},
                                                {"segment.jitter.ms", "60"},
                                                {"segment.bytes", "1048576"}});
  const TopicSettings settings = SettingsOf(config);
  EXPECT_FALSE(settings.durable);
  EXPECT_TRUE(settings.log_append_time);
  EXPECT_EQ(settings.message_bytes_max, 2000u);
  const storage::LogConfig log = LogConfigOf(config, {.producer_id_expiration_ms = 6000}, 777);
  EXPECT_EQ(log.durability, storage::Durability::kReplicated);
  EXPECT_EQ(log.flush_messages, 70);
  EXPECT_EQ(log.flush_ms, 900);
  EXPECT_EQ(log.retention_ms, 5000);
  EXPECT_EQ(log.segment_jitter_ms, 60);
  EXPECT_EQ(log.segment_bytes, 1048576);
  EXPECT_EQ(log.producer_id_expiration_ms, 6000);
  EXPECT_EQ(log.tail_cache_bytes_max, 777);
}

TEST(TopicSettings, WithoutTheDeletePolicyNothingIsRetiredByTimeOrSize) {
  const metadata::TopicConfig config =
      Resolve({{"cleanup.policy", ""}, {"retention.ms", "5000"}, {"retention.bytes", "5000"}});
  const storage::LogConfig log = LogConfigOf(config, {}, 777);
  EXPECT_EQ(log.retention_ms, -1);
  EXPECT_EQ(log.retention_bytes, -1);
}

}  // namespace
}  // namespace millrace::broker
