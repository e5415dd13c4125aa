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

TEST(NodeConfig, AKeyThatIsKeptAndHasNoEffectIsWarnedOf) {
  const NodeConfig config = ParseNodeConfig({{"compression.type", "gzip"}}, "d").value();
  EXPECT_THAT(config.warnings, ElementsAre(HasSubstr("compression.type has no effect")));
  EXPECT_EQ(config.given.at("compression.type"), "gzip");
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
  EXPECT_FALSE(ErrorOf({{"process.roles", ""}}).ok());
  EXPECT_FALSE(ErrorOf({{"auto.create.topics.enable", "true"}}).ok());
}

// A config of node 2 of three controllers, with `more` over it.
ConfigValues Controller(const ConfigValues& more = {}) {
  ConfigValues values = {{"node.id", "2"},
                         {"process.roles", "controller"},
                         {"controller.quorum.voters", "1@a:9093,2@b:9093,3@c:9093"},
                         {"listeners", "PLAINTEXT://b:9092,CONTROLLER://0.0.0.0:9093"},
                         {"controller.listener.names", "CONTROLLER"},
                         {"allow.plaintext.between.nodes", "true"}};
  for (const auto& [key, value] : more) values[key] = value;
  return values;
}

TEST(NodeConfig, AControllerOfAQuorumHasVotersAListenerForThemAndNoLogDirectories) {
  const NodeConfig config = ParseNodeConfig(Controller(), "d").value();
  EXPECT_TRUE(config.is_controller);
  EXPECT_FALSE(config.is_broker);
  EXPECT_TRUE(config.in_quorum());
  EXPECT_FALSE(config.has_remote_session());
  EXPECT_THAT(config.quorum_voters,
              ElementsAre(raft::Peer{NodeId(1), "a:9093"}, raft::Peer{NodeId(2), "b:9093"},
                          raft::Peer{NodeId(3), "c:9093"}));
  ASSERT_EQ(config.controller_listeners.size(), 1u);
  EXPECT_EQ(config.controller_listeners[0].ToString(), "CONTROLLER://0.0.0.0:9093");
  EXPECT_TRUE(config.log_dirs.empty());
  EXPECT_EQ(config.metadata_dir, "d/metadata");
  EXPECT_THAT(config.warnings, ElementsAre());
}

TEST(NodeConfig, ListenersOfTheQuorumAreNotAdvertised) {
  const NodeConfig config = ParseNodeConfig(Controller(), "d").value();
  ASSERT_EQ(config.listeners.size(), 1u);
  ASSERT_EQ(config.advertised.size(), 1u);
  EXPECT_EQ(config.advertised[0].ToString(), "PLAINTEXT://b:9092");
  EXPECT_EQ(DetailOf(ErrorOf(Controller({{"advertised.listeners", "CONTROLLER://b:1"}}))).value,
            "CONTROLLER://b:1");
}

TEST(NodeConfig, SeveralVotersNeedAListenerOfTheirOwn) {
  const absl::Status status = ErrorOf(Controller({{"controller.listener.names", ""}}));
  EXPECT_EQ(CodeOf(status), ErrorCode::kInvalidConfig);
  EXPECT_EQ(DetailOf(status).name, "controller.listener.names");
  EXPECT_EQ(DetailOf(ErrorOf(Controller({{"controller.listener.names", "OTHER"}}))).value, "OTHER");
  EXPECT_FALSE(ErrorOf(Controller({{"controller.listener.names", "CONTROLLER,CONTROLLER"}})).ok());
  // A broker needs one for clients, and one for other brokers.
  EXPECT_FALSE(
      ErrorOf({{"listeners", "C://localhost:1"}, {"controller.listener.names", "C"}}).ok());
  EXPECT_THAT(std::string(ErrorOf({{"listeners", "PLAINTEXT://localhost:1,C://localhost:2"},
                                   {"controller.listener.names", "C"},
                                   {"inter.broker.listener.name", "C"}})
                              .message()),
              HasSubstr("inter.broker.listener.name"));
}

TEST(NodeConfig, AControllerMustBeOneOfTheVoters) {
  const absl::Status status = ErrorOf(Controller({{"node.id", "4"}}));
  EXPECT_EQ(CodeOf(status), ErrorCode::kInvalidConfig);
  EXPECT_EQ(DetailOf(status).value, "1@a:9093,2@b:9093,3@c:9093");
  EXPECT_THAT(std::string(status.message()), HasSubstr("node.id 4"));
}

TEST(NodeConfig, ABrokerAloneIsToldWhereTheControllersAreAndIsNoneOfThem) {
  const ConfigValues values = {{"node.id", "101"},
                               {"process.roles", "broker"},
                               {"controller.quorum.voters", "1@a:9093"},
                               {"controller.listener.names", "CONTROLLER"}};
  const NodeConfig config = ParseNodeConfig(values, "d").value();
  EXPECT_FALSE(config.in_quorum());
  EXPECT_TRUE(config.has_remote_session());
  EXPECT_TRUE(config.controller_listeners.empty());
  EXPECT_THAT(config.log_dirs, ElementsAre("d/logs"));

  const auto error_with = [&values](const std::string& key, const std::string& value) {
    ConfigValues changed = values;
    changed[key] = value;
    return ErrorOf(changed);
  };
  EXPECT_EQ(DetailOf(error_with("controller.quorum.voters", "")).name, "controller.quorum.voters");
  EXPECT_THAT(std::string(error_with("node.id", "1").message()), HasSubstr("names this process"));
  EXPECT_EQ(DetailOf(error_with("listeners", "CONTROLLER://localhost:1")).name,
            "controller.listener.names");
}

TEST(NodeConfig, ABrokerBesideItsControllerFindsTheActiveOneOverTheNetworkIfThereAreOthers) {
  const NodeConfig config =
      ParseNodeConfig(Controller({{"process.roles", "controller,broker"}}), "d").value();
  EXPECT_TRUE(config.in_quorum());
  EXPECT_TRUE(config.has_remote_session());
  const NodeConfig whole = ParseNodeConfig({{"controller.quorum.voters", "1@h:1"}}, "d").value();
  EXPECT_FALSE(whole.in_quorum());
  EXPECT_FALSE(whole.has_remote_session());
}

// Kafka's usual small cluster: one node is both, others are brokers.
TEST(NodeConfig, OneVoterWithAListenerForOthersIsAQuorumThatBrokersJoin) {
  ConfigValues values = Controller(
      {{"process.roles", "controller,broker"}, {"controller.quorum.voters", "2@b:9093"}});
  const NodeConfig config = ParseNodeConfig(values, "d").value();
  EXPECT_TRUE(config.in_quorum());
  EXPECT_TRUE(config.has_remote_session());
  EXPECT_THAT(config.warnings, ElementsAre());
  // What others see is not plaintext unless that is meant.
  values["allow.plaintext.between.nodes"] = "false";
  EXPECT_EQ(DetailOf(ErrorOf(values)).name, "listeners");
}

TEST(NodeConfig, WhatKeepsOthersFromAControllerWithABrokerIsSaid) {
  const NodeConfig no_voters =
      ParseNodeConfig(
          Controller({{"process.roles", "controller,broker"}, {"controller.quorum.voters", ""}}),
          "d")
          .value();
  EXPECT_FALSE(no_voters.in_quorum());
  EXPECT_THAT(no_voters.warnings, ElementsAre(HasSubstr("CONTROLLER://0.0.0.0:9093")));
  const NodeConfig no_listener =
      ParseNodeConfig({{"controller.quorum.voters", "1@h:1"}}, "d").value();
  EXPECT_FALSE(no_listener.in_quorum());
  EXPECT_THAT(no_listener.warnings, ElementsAre(HasSubstr("no listener for them")));
}

TEST(NodeConfig, AControllerAloneIsAQuorumThatOthersSee) {
  ConfigValues values = Controller({{"controller.quorum.voters", "2@b:9093"}});
  EXPECT_TRUE(ParseNodeConfig(values, "d")->in_quorum());
  values["controller.quorum.voters"] = "";
  EXPECT_EQ(DetailOf(ErrorOf(values)).name, "controller.quorum.voters");
}

TEST(NodeConfig, TheListenerBetweenBrokersIsOneOfThem) {
  EXPECT_TRUE(ErrorOf({{"inter.broker.listener.name", "PLAINTEXT"}}).ok());
  EXPECT_EQ(DetailOf(ErrorOf({{"inter.broker.listener.name", "OTHER"}})).value, "OTHER");
}

TEST(NodeConfig, WhatWouldKeepTheQuorumOrItsUsersWaitingIsWarnedOf) {
  const auto warnings = [](const ConfigValues& more) {
    return ParseNodeConfig(Controller(more), "d").value().warnings;
  };
  EXPECT_THAT(warnings({{"controller.quorum.voters", "1@a:9093,2@b:9999,3@c:9093"}}),
              ElementsAre(HasSubstr("b:9999")));
  EXPECT_THAT(warnings({{"listeners", "CONTROLLER://0.0.0.0:9093"}}),
              ElementsAre(HasSubstr("add one to listeners")));
}

TEST(NodeConfig, TimesOfTheQuorumMustFitEachOther) {
  const NodeConfig config =
      ParseNodeConfig({{"controller.quorum.election.timeout.ms", "1000"}}, "d").value();
  EXPECT_EQ(config.raft.heartbeat_interval, absl::Milliseconds(300));
  EXPECT_EQ(config.raft.election_timeout_min, absl::Seconds(1));
  EXPECT_EQ(config.raft.election_timeout_max, absl::Milliseconds(1375));
  const absl::Status status = ErrorOf({{"controller.quorum.heartbeat.interval.ms", "301"}});
  EXPECT_EQ(DetailOf(status).name, "controller.quorum.heartbeat.interval.ms");
  EXPECT_EQ(DetailOf(status).value, "301");
}

// A stopped leader is replaced within a second and a half, and an idle quorum sleeps most of the
// time.
TEST(NodeConfig, TheDefaultTimesOfTheQuorum) {
  const raft::Options options = ParseNodeConfig({}, "d").value().raft;
  EXPECT_EQ(options.heartbeat_interval, absl::Milliseconds(300));
  EXPECT_EQ(options.election_timeout_min, absl::Milliseconds(900));
  EXPECT_LT(options.election_timeout_max, absl::Milliseconds(1300));
}

TEST(NodeConfig, ASegmentOfTheMetadataLogIsAMultipleOfABlock) {
  EXPECT_EQ(DetailOf(ErrorOf({{"metadata.log.segment.bytes", "16777217"}})).value, "16777217");
  EXPECT_FALSE(ErrorOf({{"metadata.log.segment.bytes", "8388608"}}).ok());
}

TEST(NodeConfig, AControllerLooksAtTheLogDirectoriesItIsGiven) {
  EXPECT_THAT(ParseNodeConfig(Controller({{"log.dirs", "a,b"}}), "d").value().log_dirs,
              ElementsAre("a", "b"));
}

TEST(NodeConfig, DirectoriesMayNotCoincide) {
  EXPECT_FALSE(ErrorOf({{"log.dirs", "a,b,a"}}).ok());
  EXPECT_FALSE(ErrorOf({{"log.dirs", "a"}, {"metadata.log.dir", "a"}}).ok());
}

}  // namespace
}  // namespace millrace::node
