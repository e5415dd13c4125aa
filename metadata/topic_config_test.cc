#include "metadata/topic_config.h"

#include <string>

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "metadata/test_image.h"

namespace millrace::metadata {
namespace {

const ConfigKey& Key(const char* name) { return *TopicConfigSchema().Find(name); }

TEST(TopicConfigTest, DefaultsAreThoseOfTheReference) {
  ASSERT_OK_AND_ASSIGN(const TopicConfig config, TopicConfigSchema().Parse({}));
  EXPECT_EQ(config.retention_ms, 604'800'000);
  EXPECT_EQ(config.retention_bytes, -1);
  EXPECT_EQ(config.segment_bytes, 1 << 30);
  EXPECT_EQ(config.max_message_bytes, 1'048'588);
  EXPECT_EQ(config.min_insync_replicas, 2);
  EXPECT_EQ(config.message_timestamp_after_max_ms, 3'600'000);
  EXPECT_EQ(config.cleanup_policy, std::vector<std::string>{"delete"});
  EXPECT_TRUE(config.durable());
  EXPECT_FALSE(config.log_append_time());
  EXPECT_FALSE(config.unclean_leader_election_enable);
}

TEST(TopicConfigTest, DefaultsAreAllowedValues) {
  for (const ConfigKey& key : TopicConfigSchema().keys()) {
    EXPECT_OK(CheckConfigValue(key, key.default_value)) << key.name;
    EXPECT_FALSE(key.doc.empty()) << key.name;
    EXPECT_FALSE(key.broker_name.empty()) << key.name;
  }
}

TEST(TopicConfigTest, StrongerLayersWinAndWeakerOnesAreSynonyms) {
  const ConfigValues topic = {{"retention.ms", "1"}};
  const ConfigValues file = {{"log.retention.ms", "2"}, {"log.retention.hours", "3"}};
  ConfigLayers layers{.static_broker = &file};
  ResolvedConfig resolved = ResolveTopicConfig(Key("retention.ms"), layers);
  EXPECT_EQ(resolved.value, "2");
  EXPECT_EQ(resolved.source, ConfigSource::kStaticBroker);
  layers.topic = &topic;
  resolved = ResolveTopicConfig(Key("retention.ms"), layers);
  EXPECT_EQ(resolved.value, "1");
  ASSERT_EQ(resolved.synonyms.size(), 4u);
  EXPECT_EQ(resolved.synonyms[2].name, "log.retention.hours");
  EXPECT_EQ(resolved.synonyms[2].value, "3");
}

TEST(TopicConfigTest, CoarserUnitsAreConvertedAndBounded) {
  const auto value_of = [](const char* key, const ConfigValues& file) {
    return ResolveTopicConfig(Key(key), {.static_broker = &file}).value;
  };
  EXPECT_EQ(value_of("retention.ms", {{"log.retention.minutes", "2"}}), "120000");
  EXPECT_EQ(value_of("retention.ms", {{"log.retention.hours", "-1"}}), "-1");
  EXPECT_EQ(value_of("segment.ms", {{"log.roll.hours", "1"}}), "3600000");
  EXPECT_EQ(value_of("segment.jitter.ms", {{"log.roll.jitter.hours", "1"}}), "3600000");
  EXPECT_EQ(value_of("retention.ms", {{"log.retention.hours", "9223372036854775807"}}),
            "9223372036854775807");
}

TEST(TopicConfigTest, ValueThatCannotBeReadIsPassedOver) {
  const ConfigValues file = {{"log.retention.ms", "soon"}, {"log.retention.minutes", "1"}};
  EXPECT_EQ(ResolveTopicConfig(Key("retention.ms"), {.static_broker = &file}).value, "60000");
  const ConfigValues topic = {{"segment.bytes", "1"}};
  EXPECT_EQ(ResolveTopicConfigs({.topic = &topic}).segment_bytes, 1 << 30);
}

TEST(TopicConfigTest, ImageGivesTheLayers) {
  const Image image =
      Next(TestImage(), {Configured(ConfigOwner::AllBrokers(), "message.max.bytes", "7"),
                         Configured(ConfigOwner::Broker(NodeId(1)), "log.segment.ms", "1")});
  const TopicConfig config = TopicConfigOf(image, TestTopicId(1), NodeId(1), {});
  EXPECT_EQ(config.retention_ms, 1);
  EXPECT_EQ(config.max_message_bytes, 7);
}

TEST(TopicConfigTest, EachTopicHasItsOwnMinimum) {
  const Image image = Next(
      TestImage(), {Configured(ConfigOwner::Topic(TestTopicId(1)), "min.insync.replicas", "2")});
  EXPECT_EQ(MinInsyncReplicasOf(image, TestTopicId(1)), 2);
  EXPECT_EQ(MinInsyncReplicasOf(image, TestTopicId(9)), std::nullopt);
}

TEST(TopicConfigTest, WhatIsNotSupportedIsNamed) {
  const ErrorCode code = ErrorCode::kInvalidConfig;
  EXPECT_THAT(CheckTopicConfigs({{"cleanup.policy", "compact,delete"}}),
              IsError(code, "'compact' is not supported yet"));
  EXPECT_THAT(CheckTopicConfigs({{"remote.storage.enable", "true"}}),
              IsError(code, "tiered storage"));
  EXPECT_THAT(CheckTopicConfigs({{"retention", "1"}}), IsError(code, "unknown config key"));
  EXPECT_OK(CheckTopicConfigs({{"cleanup.policy", ""}, {"retention.ms", "-1"}}));
}

// Kafka takes it: such a batch gets a segment of its own.
TEST(TopicConfigTest, ABatchMayBeLargerThanASegment) {
  EXPECT_OK(CheckTopicConfigs({{"max.message.bytes", "2000000"}, {"segment.bytes", "1048576"}}));
}

}  // namespace
}  // namespace millrace::metadata
