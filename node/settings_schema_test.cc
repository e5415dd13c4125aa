#include <set>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "metadata/broker_config.h"
#include "node/config.h"

namespace millrace::node {
namespace {

TEST(NodeSettingsSchema, EveryKeyHasADefaultThatIsAllowedAndASentenceOfDocumentation) {
  for (const ConfigKey& key : NodeSettingsSchema().keys()) {
    EXPECT_TRUE(CheckConfigValue(key, key.default_value).ok()) << key.name;
    ASSERT_FALSE(key.doc.empty()) << key.name;
    EXPECT_EQ(key.doc.back(), '.') << key.name;
  }
}

TEST(NodeSettingsSchema, NoKeyIsDeclaredBothHereAndInTheMetadata) {
  std::set<std::string> names;
  for (const ConfigKey& key : NodeSettingsSchema().keys()) names.insert(key.name);
  for (const ConfigKey& key : metadata::BrokerMetadataKeys()) {
    EXPECT_EQ(names.count(key.name), 0u) << key.name;
  }
}

// What is declared here is read at the start; what can be altered later is in the metadata.
TEST(NodeSettingsSchema, NoKeyClaimsToTakeEffectWithoutARestart) {
  for (const ConfigKey& key : NodeSettingsSchema().keys()) EXPECT_FALSE(key.dynamic) << key.name;
}

TEST(NodeSettingsSchema, TheDefaultsAreAConfigThatIsAccepted) {
  EXPECT_TRUE(NodeSettingsSchema().Parse({}).ok());
}

}  // namespace
}  // namespace millrace::node
