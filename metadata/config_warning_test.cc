#include "metadata/config_warning.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "metadata/topic_config.h"

namespace millrace::metadata {
namespace {

TEST(ConfigWarningTest, KeysOfKafkaWithoutMeaningHereAreKnownAndNamedInOneWarning) {
  EXPECT_TRUE(IsIgnoredTopicConfig("min.cleanable.dirty.ratio"));
  EXPECT_TRUE(IsIgnoredTopicConfig("leader.replication.throttled.replicas"));
  // What has a meaning, though it is not built yet, is refused and not ignored.
  for (const char* key : {"retention.ms", "cleanup.policy", "remote.storage.enable", "retention"}) {
    EXPECT_FALSE(IsIgnoredTopicConfig(key)) << key;
  }
  for (const ConfigKey& key : TopicConfigSchema().keys()) {
    EXPECT_FALSE(IsIgnoredTopicConfig(key.name)) << key.name;
  }
  EXPECT_EQ(TopicConfigWarning({}), "");
  EXPECT_EQ(TopicConfigWarning({{"message.format.version", "3"}, {"retention.ms", "1"}}),
            "config key message.format.version has no meaning here and is ignored");
  EXPECT_EQ(TopicConfigWarning({{"min.cleanable.dirty.ratio", "1"}, {"min.compaction.lag.ms", ""}}),
            "config keys min.cleanable.dirty.ratio, min.compaction.lag.ms have no meaning here and "
            "are ignored");
}

TEST(ConfigWarningTest, ValuesThatNothingActsOnAreTold) {
  EXPECT_EQ(TopicConfigWarning({{"compression.type", "zstd"}}),
            "config key compression.type has no effect: batches are stored as they come; set "
            "compression.type of the producers");
  EXPECT_THAT(TopicConfigWarning({{"delete.retention.ms", "1"}, {"preallocate", "false"}}),
              ::testing::AllOf(::testing::HasSubstr("delete.retention.ms has no effect"),
                               ::testing::HasSubstr("; config key preallocate has no effect")));
  // These ask for what is done anyway.
  EXPECT_EQ(TopicConfigWarning({{"compression.type", "producer"}, {"preallocate", "true"}}), "");
}

TEST(ConfigWarningTest, TheDefaultsOfTopicsAreToldByTheNamesThatBrokersHaveForThem) {
  EXPECT_EQ(BrokerConfigWarning({{"log.cleaner.delete.retention.ms", "1"}, {"node.id", "1"}}),
            "config key log.cleaner.delete.retention.ms has no effect: no topic is compacted yet");
  EXPECT_EQ(BrokerConfigWarning({{"compression.type", "producer"}, {"log.retention.ms", "1"}}), "");
}

}  // namespace
}  // namespace millrace::metadata
