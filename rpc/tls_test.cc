#include "rpc/tls.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <memory>
#include <string>

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "rpc/peer_identity.h"
#include "rpc/status_mapping.h"
#include "rpc/testing/echo_server.h"

namespace millrace::rpc {
namespace {

using testdata::EchoServer;
using testdata::EchoText;
using testdata::OpenLogged;
using testdata::StreamLog;
using testdata::Watched;
using Callers = ListenerSecurity::Callers;

std::string File(const std::string& name) { return "rpc/testing/tls/" + name; }

std::shared_ptr<const Tls> Load(const std::string& keystore,
                                const std::string& truststore = "authority.pem") {
  absl::StatusOr<std::shared_ptr<const Tls>> tls =
      Tls::Create({.keystore = keystore.empty() ? "" : File(keystore),
                   .truststore = truststore.empty() ? "" : File(truststore)},
                  /*renews=*/false);
  EXPECT_OK(tls);
  return *tls;
}

// Node 1 of the cluster "test".
class TlsTest : public ::testing::Test {
 protected:
  void Serve(Callers callers, absl::Duration handshake = absl::Seconds(10)) {
    ServerOptions options;
    options.tls = Load("node1.pem");
    options.cluster = "test";
    options.handshake_timeout = handshake;
    options.listeners.push_back(
        {.name = "SECURE", .host = "127.0.0.1", .security = {.tls = true, .callers = callers}});
    server_ = std::make_unique<EchoServer>(options);
  }
  absl::Status Call(std::shared_ptr<grpc::ChannelCredentials> credentials) {
    server_->ConnectWith(std::move(credentials));
    return server_->Echo("Echo", "hello", {.timeout = absl::Seconds(20)}).status();
  }
  absl::Status CallNode(const std::string& keystore, const std::string& cluster, int node) {
    return Call(Load(keystore)->ForNode({.cluster = cluster, .node = NodeId(node)}));
  }
  CallContext Seen() {
    CallContext seen;
    server_->last_context().Change([&](CallContext& context) { seen = context; });
    return seen;
  }

  std::unique_ptr<EchoServer> server_;
};

TEST_F(TlsTest, ANodeReachesTheOneItMeansAndIsKnownThere) {
  Serve(Callers::kNodes);
  ASSERT_OK(CallNode("node2.pem", "test", 1));
  EXPECT_TRUE(Seen().encrypted);
  EXPECT_EQ(Seen().certificate, "millrace://test/node/2");
  EXPECT_EQ(Seen().node, NodeId(2));
  EXPECT_EQ(Seen().listener, "SECURE");
  // Any node of the cluster, where the id is not known beforehand.
  EXPECT_OK(Call(Load("node2.pem")->ForNode({.cluster = "test"})));
}

TEST_F(TlsTest, ANodeDoesNotTalkToAnotherThanItMeans) {
  Serve(Callers::kNodes);
  EXPECT_THAT(CallNode("node2.pem", "test", 3),
              IsError(ErrorCode::kBrokerNotAvailable,
                      "wrong certificate: expected millrace://test/node/3"));
  EXPECT_THAT(CallNode("node2.pem", "test", 3),
              IsError(ErrorCode::kBrokerNotAvailable, "found millrace://test/node/1"));
  EXPECT_EQ(DetailOf(CallNode("node2.pem", "test", 3)).name, kUntrustedName);
  EXPECT_THAT(CallNode("node2.pem", "production", 1),
              IsError(ErrorCode::kBrokerNotAvailable, "found millrace://test/node/1"));
}

TEST_F(TlsTest, ANodeOfAnotherClusterAndAClientAreNoNodesHere) {
  Serve(Callers::kNodes);
  EXPECT_THAT(CallNode("elsewhere2.pem", "test", 1),
              IsError(ErrorCode::kAuthorizationFailed, "millrace://elsewhere/node/2 was shown"));
  EXPECT_THAT(CallNode("alice.pem", "test", 1),
              IsError(ErrorCode::kAuthorizationFailed, "CN=alice was shown"));
  EXPECT_THAT(CallNode("", "test", 1),
              IsError(ErrorCode::kAuthorizationFailed, "no certificate was shown"));
}

TEST_F(TlsTest, CertificatesOfAStrangeAuthorityAreNotBelievedByEitherSide) {
  Serve(Callers::kNodes);
  EXPECT_FALSE(CallNode("stranger1.pem", "test", 1).ok());
  EXPECT_THAT(Call(Load("node2.pem", "stranger.pem")->ForNode({.cluster = "test"})),
              IsError(ErrorCode::kBrokerNotAvailable, "certificate verify failed"));
}

TEST_F(TlsTest, PlaintextIsToldThatTlsIsNeeded) {
  Serve(Callers::kAnyone);
  EXPECT_THAT(Call(nullptr),
              IsError(ErrorCode::kAuthorizationFailed, "listener SECURE takes TLS only"));
  Watched<StreamLog> log;
  OpenLogged(server_.get(), "Chat", &log)->Write(EchoText("a"));
  ASSERT_TRUE(log.Wait([](const StreamLog& l) { return l.done; }));
  log.Change([](StreamLog& l) {
    EXPECT_THAT(l.status, IsError(ErrorCode::kAuthorizationFailed, "takes TLS only"));
  });
}

TEST_F(TlsTest, AClientKnowsAServerByItsNameAndNeedsNoCertificate) {
  Serve(Callers::kAnyone);
  ASSERT_OK(Call(Load("")->ForServersByName()));
  EXPECT_TRUE(Seen().encrypted);
  EXPECT_EQ(Seen().certificate, "");
  EXPECT_EQ(Seen().principal.name, "ANONYMOUS");
  ASSERT_OK(Call(Load("alice.pem")->ForServersByName()));
  EXPECT_EQ(Seen().principal.name, "CN=alice");
  // Not believed: the system's authorities have nothing to do with this one.
  EXPECT_FALSE(Call(Load("", "")->ForServersByName()).ok());
}

TEST_F(TlsTest, ACertificateCanBeAskedOfClients) {
  Serve(Callers::kWithCertificate);
  EXPECT_THAT(Call(Load("")->ForServersByName()),
              IsError(ErrorCode::kAuthorizationFailed, "needs a certificate"));
  EXPECT_OK(Call(Load("alice.pem")->ForServersByName()));
}

// They would hold the places of others.
TEST_F(TlsTest, AConnectionThatSaysNothingIsClosedInTime) {
  Serve(Callers::kAnyone, absl::Milliseconds(50));
  const FileDescriptor fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(server_->server().listeners().front().port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  char byte = 0;
  EXPECT_LE(recv(fd.get(), &byte, 1, 0), 0);
  EXPECT_EQ(server_->server().open_connections(), 0);
}

TEST_F(TlsTest, FilesAreReadAgainWithoutAFaultInBetween) {
  absl::StatusOr<std::shared_ptr<const Tls>> renewed = Tls::Create(
      {.keystore = File("node2.pem"), .truststore = File("authority.pem")}, /*renews=*/true);
  ASSERT_OK(renewed);
  Serve(Callers::kNodes);
  EXPECT_OK(Call((*renewed)->ForNode({.cluster = "test", .node = NodeId(1)})));
}

TEST(TlsFilesTest, WhatIsWrongWithAFileIsSaid) {
  const auto status = [](const TlsFiles& files) { return Tls::Create(files, false).status(); };
  EXPECT_THAT(status({.keystore = "/no/such"}),
              IsError(ErrorCode::kInvalidConfig, "ssl.keystore.location: '/no/such' cannot be"));
  EXPECT_THAT(status({.keystore = File("authority.pem")}),
              IsError(ErrorCode::kInvalidConfig, "holds no private key"));
  EXPECT_THAT(status({.truststore = "/dev/null"}),
              IsError(ErrorCode::kInvalidConfig, "holds no certificate"));
}

}  // namespace
}  // namespace millrace::rpc
