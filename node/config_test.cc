#include "node/config.h"

#include "base/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::node {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

absl::Status ErrorOf(const ConfigValues& values) { return ParseNodeConfig(values, "d").status(); }

TEST(NodeConfig, WithNothingGivenIsOneProcessOnLocalhostBelowTheDataDirectory) {
  const NodeConfig config = ParseNodeConfig({}, "data").value();
  EXPECT_EQ(config.node_id, NodeId(1));
  ASSERT_EQ(config.listeners.size(), 1u);
  EXPECT_EQ(config.listeners[0].ToString(), "PLAINTEXT://localhost:9092");
  EXPECT_THAT(config.log_dirs, ElementsAre("data/logs"));
  EXPECT_EQ(config.metadata_dir, "data/metadata");
  EXPECT_TRUE(config.warnings.empty());
}

TEST(NodeConfig, AnUnknownKeyIsAnErrorThatNamesTheNearest) {
  const absl::Status status = ErrorOf({{"log.retention.hour", "1"}});
  EXPECT_EQ(CodeOf(status), ErrorCode::kInvalidConfig);
  EXPECT_THAT(std::string(status.message()), HasSubstr("log.retention.hours"));
}

TEST(NodeConfig, AKeyOfKafkaWithoutMeaningIsAcceptedWithAWarning) {
  const NodeConfig config = ParseNodeConfig({{"num.io.threads", "8"}}, "d").value();
  EXPECT_THAT(config.warnings, ElementsAre(HasSubstr("num.io.threads")));
  EXPECT_TRUE(config.given.empty());
}

TEST(NodeConfig, ValuesOutOfRangeAreRefusedByName) {
  EXPECT_THAT(std::string(ErrorOf({{"node.id", "-1"}}).message()), HasSubstr("node.id"));
  EXPECT_THAT(std::string(ErrorOf({{"log.segment.bytes", "12"}}).message()),
              HasSubstr("log.segment.bytes"));
}

TEST(NodeConfig, AdvertisedListenersReplaceTheAddressOfTheirName) {
  const NodeConfig config = ParseNodeConfig({{"listeners", "A://0.0.0.0:1,B://[::1]:0"},
                                             {"advertised.listeners", "A://broker.example:11"}},
                                            "d")
                                .value();
  EXPECT_EQ(config.advertised[0].ToString(), "A://broker.example:11");
  EXPECT_EQ(config.advertised[1].host, "::1");
  EXPECT_EQ(config.advertised[1].port, 0);
}

TEST(NodeConfig, AnAddressThatNobodyCanReachIsNotAdvertised) {
  EXPECT_THAT(std::string(ErrorOf({{"listeners", "A://0.0.0.0:1"}}).message()),
              HasSubstr("advertised.listeners"));
  EXPECT_FALSE(ErrorOf({{"listeners", "A://h:1"}, {"advertised.listeners", "B://h:1"}}).ok());
}

TEST(NodeConfig, MalformedListenersAreNamed) {
  for (const char* bad : {"localhost", "A://h:70000", "A://h:x", "://h:1", "::1:9092"}) {
    const absl::Status status = ErrorOf({{"listeners", bad}});
    EXPECT_EQ(CodeOf(status), ErrorCode::kInvalidConfig) << bad;
    EXPECT_THAT(std::string(status.message()), HasSubstr(bad));
  }
  EXPECT_FALSE(ErrorOf({{"listeners", "A://h:1,A://h:2"}}).ok());
}

TEST(NodeConfig, WhatIsNotBuiltYetIsRefusedInsteadOfIgnored) {
  EXPECT_FALSE(ErrorOf({{"process.roles", "broker"}}).ok());
  EXPECT_FALSE(ErrorOf({{"auto.create.topics.enable", "true"}}).ok());
  EXPECT_FALSE(ErrorOf({{"controller.quorum.voters", "1@h:1"}}).ok());
}

TEST(NodeConfig, DirectoriesMayNotCoincide) {
  EXPECT_FALSE(ErrorOf({{"log.dirs", "a,b,a"}}).ok());
  EXPECT_FALSE(ErrorOf({{"log.dirs", "a"}, {"metadata.log.dir", "a"}}).ok());
}

}  // namespace
}  // namespace millrace::node
