#include "node/listener_security.h"

#include <string>

#include "base/status_matchers.h"
#include "gmock/gmock.h"

namespace millrace::node {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

absl::StatusOr<NodeConfig> Parse(const ConfigValues& base, const ConfigValues& more) {
  ConfigValues values = base;
  for (const auto& [key, value] : more) values[key] = value;
  return ParseNodeConfig(values, "d");
}

const ConfigValues kFiles = {{"ssl.keystore.location", "node.pem"},
                             {"ssl.truststore.location", "ca.pem"}};

ConfigValues With(ConfigValues values, const ConfigValues& more) {
  values.insert(more.begin(), more.end());
  return values;
}

absl::StatusOr<NodeConfig> Controller(const ConfigValues& more) {
  return Parse({{"node.id", "2"},
                {"process.roles", "controller"},
                {"controller.quorum.voters", "1@a:9093,2@b:9093,3@c:9093"},
                {"listeners", "CLIENT://b:9092,CONTROLLER://0.0.0.0:9093"},
                {"controller.listener.names", "CONTROLLER"}},
               more);
}

absl::StatusOr<NodeConfig> Broker(const ConfigValues& more) {
  return Parse({{"node.id", "101"},
                {"process.roles", "broker"},
                {"controller.quorum.voters", "1@a:9093"},
                {"controller.listener.names", "CONTROLLER"},
                {"listeners", "INTERNAL://b:9092,OPEN://b:9094"}},
               more);
}

TEST(ListenerSecurityTest, AProcessAloneMayListenInPlaintextAnywhere) {
  ASSERT_OK_AND_ASSIGN(const NodeConfig config,
                       Parse({}, {{"listeners", "A://0.0.0.0:9092"},
                                  {"advertised.listeners", "A://broker.example:9092"}}));
  EXPECT_THAT(config.tls_listeners, IsEmpty());
}

TEST(ListenerSecurityTest, PlaintextBetweenNodesIsForOneMachineUnlessItIsAllowed) {
  EXPECT_THAT(Controller({}).status(),
              IsError(ErrorCode::kInvalidConfig, "allow.plaintext.between.nodes"));
  EXPECT_THAT(Controller({}).status(), IsError(ErrorCode::kInvalidConfig, "CONTROLLER:SSL"));
  EXPECT_OK(Controller({{"allow.plaintext.between.nodes", "true"}}));
  for (const char* host : {"localhost", "127.0.0.2", "[::1]"}) {
    const std::string listeners = std::string("CLIENT://b:9092,CONTROLLER://") + host + ":9093";
    EXPECT_OK(Controller({{"listeners", listeners}})) << host;
  }
  EXPECT_THAT(Broker({}).status(), IsError(ErrorCode::kInvalidConfig, "INTERNAL://b:9092"));
  // Only the one that other brokers use.
  EXPECT_THAT(Broker({{"inter.broker.listener.name", "OPEN"}}).status(),
              IsError(ErrorCode::kInvalidConfig, "OPEN://b:9094"));
}

TEST(ListenerSecurityTest, TheMapSaysWhichListenersTakeTls) {
  ASSERT_OK_AND_ASSIGN(
      const NodeConfig config,
      Controller(With(kFiles, {{"listener.security.protocol.map",
                                "CONTROLLER:SSL,CLIENT:PLAINTEXT,ELSEWHERE:SSL"}})));
  EXPECT_THAT(config.tls_listeners, ElementsAre("CONTROLLER"));
  EXPECT_TRUE(config.controllers_by_tls);
  ASSERT_OK_AND_ASSIGN(const NodeConfig broker,
                       Broker(With(kFiles, {{"listener.security.protocol.map",
                                             "INTERNAL:SSL,OPEN:PLAINTEXT,CONTROLLER:SSL"}})));
  EXPECT_TRUE(broker.controllers_by_tls);
  EXPECT_TRUE(broker.brokers_by_tls);
  EXPECT_THAT(broker.tls_listeners, ElementsAre("CONTROLLER", "INTERNAL"));
  for (const char* bad : {"CONTROLLER", ":SSL", "CONTROLLER:SASL_SSL", "CONTROLLER:ssl"}) {
    EXPECT_THAT(Controller({{"listener.security.protocol.map", bad}}).status(),
                IsError(ErrorCode::kInvalidConfig, bad));
  }
}

// Each of these would be in plaintext where TLS was meant.
TEST(ListenerSecurityTest, AMistypedNameInTheMapIsRefusedAndNamed) {
  constexpr char kMap[] = "listener.security.protocol.map";
  const ConfigValues alone = With(kFiles, {{"listeners", "CLIENTS://127.0.0.1:9092"}});
  const absl::Status custom = Parse(alone, {{kMap, "CLIENTZ:SSL"}}).status();
  EXPECT_THAT(custom, IsError(ErrorCode::kInvalidConfig, "add CLIENTS:SSL or CLIENTS:PLAINTEXT"));
  EXPECT_THAT(custom, IsError(ErrorCode::kInvalidConfig, "CLIENTZ in the map is no listener"));
  EXPECT_THAT(Parse(alone, {{kMap, "clients:SSL"}}).status(), HasCode(ErrorCode::kInvalidConfig));
  const ConfigValues plain = With(kFiles, {{"listeners", "PLAINTEXT://127.0.0.1:9092"}});
  EXPECT_THAT(Parse(plain, {{kMap, "PLAINTXT:SSL"}}).status(),
              IsError(ErrorCode::kInvalidConfig, "'PLAINTXT' is no listener of this process"));
  // How it finds the controllers counts as a listener of a broker.
  EXPECT_THAT(Broker(With(kFiles, {{kMap, "INTERNAL:SSL,OPEN:SSL,CONTROLER:SSL"}})).status(),
              IsError(ErrorCode::kInvalidConfig, "add CONTROLLER:SSL"));
  EXPECT_THAT(Broker(With(kFiles, {{"controller.listener.names", ""},
                                   {kMap, "INTERNAL:SSL,OPEN:SSL,CONTROLLER:SSL"}}))
                  .status(),
              IsError(ErrorCode::kInvalidConfig, "controller.listener.names"));
}

TEST(ListenerSecurityTest, AMapThatNamesAllListenersMayNameThoseOfOtherProcesses) {
  const ConfigValues shared =
      With(kFiles, {{"listener.security.protocol.map",
                     "CLIENT:SSL,INTERNAL:SSL,OPEN:PLAINTEXT,CONTROLLER:SSL"}});
  EXPECT_OK(Controller(shared));
  EXPECT_OK(Broker(shared));
  // The defaults of Kafka, which say nothing new.
  EXPECT_OK(Parse({{"listeners", "PLAINTEXT://127.0.0.1:9092"}},
                  {{"listener.security.protocol.map", "PLAINTEXT:PLAINTEXT,SSL:SSL"}}));
}

TEST(ListenerSecurityTest, AListenerNamedSslNeedsNoEntry) {
  ASSERT_OK_AND_ASSIGN(const NodeConfig config,
                       Parse(kFiles, {{"listeners", "SSL://localhost:9092"}}));
  EXPECT_THAT(config.tls_listeners, ElementsAre("SSL"));
}

TEST(ListenerSecurityTest, WhatTlsNeedsIsAskedForByName) {
  const ConfigValues map = {{"listener.security.protocol.map", "CLIENT:PLAINTEXT,CONTROLLER:SSL"}};
  EXPECT_THAT(Controller(map).status(),
              IsError(ErrorCode::kInvalidConfig, "ssl.keystore.location"));
  EXPECT_THAT(Controller(With(map, {{"ssl.keystore.location", "k.pem"}})).status(),
              IsError(ErrorCode::kInvalidConfig, "ssl.truststore.location"));
  // A server alone believes nobody, unless its clients have to show something.
  const ConfigValues alone = {{"listeners", "SSL://localhost:9092"},
                              {"ssl.keystore.location", "k.pem"}};
  EXPECT_OK(Parse(alone, {}));
  EXPECT_THAT(Parse(alone, {{"ssl.client.auth", "required"}}).status(),
              IsError(ErrorCode::kInvalidConfig, "ssl.truststore.location"));
  EXPECT_THAT(Parse(alone, {{"ssl.cluster.name", "a/b"}}).status(),
              IsError(ErrorCode::kInvalidConfig, "ssl.cluster.name"));
  EXPECT_THAT(Parse(alone, {{"ssl.keystore.type", "JKS"}}).status(),
              HasCode(ErrorCode::kInvalidConfig));
}

}  // namespace
}  // namespace millrace::node
