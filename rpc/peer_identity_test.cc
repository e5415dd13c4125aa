#include "rpc/peer_identity.h"

#include "base/status_matchers.h"
#include "gmock/gmock.h"

namespace millrace::rpc {
namespace {

using Callers = ListenerSecurity::Callers;

TEST(PeerIdentityTest, ANodesUriIsReadAsItIsWritten) {
  const NodeIdentity node{"orders-eu", NodeId(12)};
  EXPECT_EQ(NodeUri(node), "millrace://orders-eu/node/12");
  EXPECT_EQ(ParseNodeUri(NodeUri(node)), node);
}

TEST(PeerIdentityTest, WhatIsNoNodesUriIsNone) {
  for (const char* other :
       {"", "millrace://", "millrace://c", "millrace:///node/1", "millrace://c/node/",
        "millrace://c/node/-1", "millrace://c/node/01", "millrace://c/node/1/2",
        "millrace://c/node/ 1", "millrace://c/node/4294967297", "spiffe://c/node/1"}) {
    EXPECT_EQ(ParseNodeUri(other), std::nullopt) << other;
  }
}

class CallPolicyTest : public ::testing::Test {
 protected:
  absl::Status Check(const std::string& listener, bool encrypted, const std::string& certificate,
                     NodeId node = kNoNode) {
    CallContext context;
    context.listener = listener;
    context.encrypted = encrypted;
    context.certificate = certificate;
    context.node = node;
    return policy_.Check(context);
  }
  CallPolicy policy_{.listeners = {{"OPEN", {}},
                                   {"ANY", {.tls = true}},
                                   {"KNOWN", {.tls = true, .callers = Callers::kWithCertificate}},
                                   {"NODES", {.tls = true, .callers = Callers::kNodes}}},
                     .cluster = "c"};
};

TEST_F(CallPolicyTest, EachListenerAsksForWhatItsConfigSays) {
  EXPECT_OK(Check("OPEN", false, ""));
  EXPECT_OK(Check("ANY", true, ""));
  EXPECT_OK(Check("KNOWN", true, "CN=alice"));
  EXPECT_OK(Check("NODES", true, "millrace://c/node/2", NodeId(2)));
}

TEST_F(CallPolicyTest, WhoIsRefusedIsToldWhatWasNeededAndWhatWasFound) {
  for (const char* listener : {"ANY", "KNOWN", "NODES"}) {
    EXPECT_THAT(Check(listener, false, ""),
                IsError(ErrorCode::kAuthorizationFailed, "takes TLS only"));
  }
  EXPECT_THAT(Check("KNOWN", true, ""), IsError(ErrorCode::kAuthorizationFailed, "none was shown"));
  EXPECT_THAT(
      Check("NODES", true, "CN=alice"),
      IsError(ErrorCode::kAuthorizationFailed,
              "is for the nodes of millrace://c/node/, and the certificate of CN=alice was shown"));
  EXPECT_THAT(Check("NODES", true, "millrace://d/node/2"),
              IsError(ErrorCode::kAuthorizationFailed, "millrace://d/node/2"));
  EXPECT_THAT(Check("NODES", true, ""),
              IsError(ErrorCode::kAuthorizationFailed, "no certificate was shown"));
}

TEST_F(CallPolicyTest, OfAConnectionThatHasEndedNothingIsBelieved) {
  EXPECT_THAT(Check("", true, "millrace://c/node/2", NodeId(2)), HasCode(ErrorCode::kCancelled));
  policy_.listeners.clear();
  EXPECT_OK(Check("", false, ""));
}

TEST(CheckClaimTest, OneWhoShowsAnotherNodesCertificateIsNotThatNode) {
  CallContext context;
  EXPECT_OK(CheckClaim(context, NodeId(2), "a follower"));
  context.encrypted = true;
  EXPECT_THAT(CheckClaim(context, NodeId(2), "a follower"),
              IsError(ErrorCode::kAuthorizationFailed, "has shown no certificate"));
  context.certificate = "millrace://c/node/3";
  context.node = NodeId(3);
  EXPECT_THAT(CheckClaim(context, NodeId(2), "a follower"),
              IsError(ErrorCode::kAuthorizationFailed,
                      "a follower says that it is node 2 and has shown the certificate of "
                      "millrace://c/node/3"));
  EXPECT_OK(CheckClaim(context, NodeId(3), "a follower"));
}

}  // namespace
}  // namespace millrace::rpc
