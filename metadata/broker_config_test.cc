#include "metadata/broker_config.h"

#include <set>
#include <string>

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "metadata/test_image.h"

namespace millrace::metadata {
namespace {

TEST(BrokerConfigTest, DefaultsAreThoseOfTheDesign) {
  const BrokerConfig config = BrokerConfigOf(Image(), NodeId(1), {});
  EXPECT_EQ(config.default_replication_factor, 3);
  EXPECT_EQ(config.num_partitions, 1);
  EXPECT_EQ(config.replica_lag_time_max_ms, 5000);
  EXPECT_TRUE(config.delete_topic_enable);
}

TEST(BrokerConfigTest, EveryKeyIsDeclaredOnce) {
  std::set<std::string> names;
  for (const ConfigKey& key : BrokerMetadataKeys()) {
    EXPECT_TRUE(names.insert(key.name).second) << key.name;
  }
  for (const char* name : {"log.retention.ms", "log.retention.minutes", "log.retention.hours",
                           "message.max.bytes", "min.insync.replicas", "num.partitions"}) {
    EXPECT_TRUE(names.contains(name)) << name;
  }
}

TEST(BrokerConfigTest, DynamicLayersWinOverTheFile) {
  const Image image =
      Next(TestImage(), {Configured(ConfigOwner::AllBrokers(), "max.connections", "20"),
                         Configured(ConfigOwner::Broker(NodeId(1)), "max.connections", "10")});
  const ConfigValues file = {{"max.connections", "30"}, {"some.node.key", "x"}};
  EXPECT_EQ(BrokerConfigOf(image, NodeId(1), file).max_connections, 10);
  EXPECT_EQ(BrokerConfigOf(image, NodeId(2), file).max_connections, 20);
  EXPECT_EQ(BrokerConfigOf(TestImage(), NodeId(1), file).max_connections, 30);
}

TEST(BrokerConfigTest, OnlyDynamicKeysCanBeSetAtRunTime) {
  const ErrorCode code = ErrorCode::kInvalidConfig;
  EXPECT_OK(CheckDynamicBrokerConfigs({{"log.retention.ms", "5"}, {"max.connections", "1"}}));
  EXPECT_THAT(CheckDynamicBrokerConfigs({{"log.retention.hours", "5"}}), IsError(code, "restart"));
  EXPECT_OK(CheckDynamicBrokerConfigs({{"producer.id.expiration.ms", "60000"}}));
  // As in Kafka: it is read once, at the start.
  EXPECT_THAT(CheckDynamicBrokerConfigs({{"log.retention.check.interval.ms", "1000"}}),
              IsError(code, "restart"));
  EXPECT_THAT(CheckDynamicBrokerConfigs({{"log.retention.msec", "5"}}),
              IsError(code, "did you mean 'log.retention.ms'"));
  EXPECT_THAT(CheckDynamicBrokerConfigs({{"log.cleanup.policy", "compact"}}),
              IsError(code, "not supported yet"));
  EXPECT_THAT(CheckDynamicBrokerConfigs({{"max.connections", "-1"}}), HasCode(code));
}

TEST(BrokerConfigTest, FilesAreCheckedForTheKeysKnownHere) {
  EXPECT_OK(CheckStaticBrokerConfigs({{"some.node.key", "x"}, {"log.retention.hours", "-1"}}));
  EXPECT_THAT(CheckStaticBrokerConfigs({{"log.segment.bytes", "3"}}),
              HasCode(ErrorCode::kInvalidConfig));
}

TEST(BrokerConfigTest, TopicDefaultsResolveThroughAllTheirNames) {
  const ConfigValues file = {{"log.retention.hours", "1"}};
  for (const ConfigKey& key : BrokerMetadataKeys()) {
    if (key.name != "log.retention.ms") continue;
    EXPECT_EQ(ResolveBrokerConfig(key, {.static_broker = &file}).value, "3600000");
  }
}

}  // namespace
}  // namespace millrace::metadata
