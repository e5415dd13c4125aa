#include "base/service_link.h"

#include "gtest/gtest.h"

namespace millrace {
namespace {

TEST(ServiceLinkTest, KnowsWhatKubernetesSetsForAService) {
  EXPECT_TRUE(IsServiceLink("MILLRACE_SERVICE_HOST", "10.96.0.17"));
  EXPECT_TRUE(IsServiceLink("MILLRACE_SERVICE_HOST", "fd00:10:96::a1"));
  EXPECT_TRUE(IsServiceLink("MILLRACE_SERVICE_PORT", "9092"));
  EXPECT_TRUE(IsServiceLink("MILLRACE_SERVICE_PORT_CLIENT", "9092"));
  EXPECT_TRUE(IsServiceLink("MILLRACE_SERVICE_PORT_HTTP_METRICS", "9464"));
  EXPECT_TRUE(IsServiceLink("MILLRACE_PORT", "tcp://10.96.0.17:9092"));
  EXPECT_TRUE(IsServiceLink("MILLRACE_PORT", "tcp://[fd00:10:96::a1]:9092"));
  EXPECT_TRUE(IsServiceLink("MILLRACE_PORT_9092_TCP", "tcp://10.96.0.17:9092"));
  EXPECT_TRUE(IsServiceLink("MILLRACE_PORT_9092_TCP_PROTO", "tcp"));
  EXPECT_TRUE(IsServiceLink("MILLRACE_PORT_9092_TCP_PORT", "9092"));
  EXPECT_TRUE(IsServiceLink("MILLRACE_PORT_9092_TCP_ADDR", "10.96.0.17"));
  EXPECT_TRUE(IsServiceLink("MILLRACE_PORT_53_UDP_ADDR", "10.96.0.17"));
}

TEST(ServiceLinkTest, TheServicesNameMayGoOn) {
  EXPECT_TRUE(IsServiceLink("MILLRACE_LOG_SERVICE_HOST", "10.96.0.17"));
  EXPECT_TRUE(IsServiceLink("MILLRACE_0_SERVICE_PORT", "9092"));
  EXPECT_TRUE(IsServiceLink("MILLRACE_PORT_1_PORT_9092_TCP_PROTO", "tcp"));
}

TEST(ServiceLinkTest, WhatSomebodyWroteIsNone) {
  EXPECT_FALSE(IsServiceLink("MILLRACE_PORT", "9092"));
  EXPECT_FALSE(IsServiceLink("MILLRACE_PORT", "PLAINTEXT://:9092"));
  EXPECT_FALSE(IsServiceLink("MILLRACE_PORT_9092_TCP", "true"));
  EXPECT_FALSE(IsServiceLink("MILLRACE_PORT_9092_TCP_NAME", "tcp"));
  EXPECT_FALSE(IsServiceLink("MILLRACE_PORT_9092_TCP_ADDR", "somewhere"));
  EXPECT_FALSE(IsServiceLink("MILLRACE_PORT_0_TCP_PROTO", "tcp"));
  EXPECT_FALSE(IsServiceLink("MILLRACE_PORT_CLIENT", "9092"));
  EXPECT_FALSE(IsServiceLink("MILLRACE_SERVICE_HOST", "broker-1"));
  EXPECT_FALSE(IsServiceLink("MILLRACE_SERVICE_PORT", "tcp://10.96.0.17:9092"));
  EXPECT_FALSE(IsServiceLink("MILLRACE_LISTENER", "tcp://10.96.0.17:9092"));
  EXPECT_FALSE(IsServiceLink("MILLRACE_HTTP_LISTENER", "10.96.0.17:9092"));
}

}  // namespace
}  // namespace millrace
