#include "client/client_security.h"

#include "base/status_matchers.h"
#include "gmock/gmock.h"

namespace millrace::client {
namespace {

TEST(ClientSecurityTest, PlaintextNeedsNothing) {
  ASSERT_OK_AND_ASSIGN(const auto credentials, MakeCredentials({}));
  EXPECT_EQ(credentials, nullptr);
}

TEST(ClientSecurityTest, TlsBelievesTheSystemsAuthoritiesUnlessToldOthers) {
  ASSERT_OK_AND_ASSIGN(const auto credentials, MakeCredentials({.protocol = "SSL"}));
  EXPECT_NE(credentials, nullptr);
}

TEST(ClientSecurityTest, WhatIsWrongIsNamed) {
  EXPECT_THAT(MakeCredentials({.protocol = "SASL_SSL"}).status(),
              IsError(ErrorCode::kInvalidConfig, "SASL_SSL"));
  EXPECT_THAT(MakeCredentials({.protocol = "SSL", .truststore = "/no/such.pem"}).status(),
              IsError(ErrorCode::kInvalidConfig, "ssl.truststore.location: '/no/such.pem'"));
  EXPECT_THAT(MakeCredentials({.protocol = "SSL", .keystore = "/dev/null"}).status(),
              IsError(ErrorCode::kInvalidConfig, "ssl.keystore.location: '/dev/null' holds no"));
}

}  // namespace
}  // namespace millrace::client
