#include "rpc/tls.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "base/counters.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "rpc/peer_identity.h"
#include "rpc/status_mapping.h"
#include "rpc/testing/echo_server.h"
#include "rpc/testing/tls_files.h"

namespace millrace::rpc {
namespace {

using testdata::CertificateOf;
using testdata::EchoServer;
using testdata::EchoText;
using testdata::KeyOf;
using testdata::OpenLogged;
using testdata::ReadTlsFile;
using testdata::StreamLog;
using testdata::TlsFile;
using testdata::Watched;
using testdata::WrittenFile;
using Callers = ListenerSecurity::Callers;

std::shared_ptr<const Tls> Load(const std::string& keystore,
                                const std::string& truststore = "authority.pem") {
  absl::StatusOr<std::shared_ptr<const Tls>> tls =
      Tls::Create({.keystore = keystore.empty() ? "" : TlsFile(keystore),
                   .truststore = truststore.empty() ? "" : TlsFile(truststore)});
  EXPECT_OK(tls);
  return *tls;
}

// One that reads its files again as often as can be.
std::shared_ptr<const Tls> LoadRenewed(const std::string& keystore_path) {
  absl::StatusOr<std::shared_ptr<const Tls>> tls = Tls::CreateRenewed(
      {.keystore = keystore_path, .truststore = TlsFile("authority.pem")},
      {.checked_every = absl::Milliseconds(20), .handed_on_every = absl::Seconds(1)});
  EXPECT_OK(tls);
  return *tls;
}

// Node 1 of the cluster "test".
class TlsTest : public ::testing::Test {
 protected:
  void Serve(Callers callers, absl::Duration handshake = absl::Seconds(10),
             std::shared_ptr<const Tls> tls = nullptr) {
    ServerOptions options;
    options.tls = tls == nullptr ? Load("node1.pem") : std::move(tls);
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

// The value of a metric, or of one of several with that name.
double ValueOf(const MetricRegistry& metrics, const std::string& name, const std::string& file) {
  for (const MetricSample& sample : metrics.Collect()) {
    if (sample.name != name) continue;
    if (file.empty() || sample.labels == MetricLabels{{"file", file}}) return sample.value;
  }
  ADD_FAILURE() << "there is no " << name;
  return -1;
}

// Whether it comes true while one connection after the other is made, none of which may fail to
// find a node 1 or 2.
bool AwaitConnecting(const std::function<bool()>& condition, const std::function<void()>& connect) {
  const auto deadline = std::chrono::steady_clock::now() + testdata::kPatience;
  while (std::chrono::steady_clock::now() < deadline) {
    if (condition()) return true;
    connect();
  }
  return false;
}

TEST_F(TlsTest, ABadFileKeepsNobodyOutAndAGoodOneIsTakenUp) {
  WrittenFile keystore(ReadTlsFile("node1.pem"));
  const std::shared_ptr<const Tls> tls = LoadRenewed(keystore.path());
  MetricRegistry metrics;
  tls->AddMetrics(&metrics);
  const auto refused = [&] { return ValueOf(metrics, "millrace_tls_file_refused", "keystore"); };
  Serve(Callers::kNodes, absl::Seconds(10), tls);
  // Both ends show what they read again.
  const auto connects = [&](int node) {
    return Call(tls->ForNode({.cluster = "test", .node = NodeId(node)})).ok();
  };
  const auto must_connect = [&] { EXPECT_TRUE(connects(1)) << "with the file that was good"; };
  EXPECT_EQ(ValueOf(metrics, "millrace_tls_certificate_expiry_timestamp_seconds", ""),
            4733510400);  // 2120-01-01
  must_connect();
  EXPECT_EQ(refused(), 0);

  keystore.Write(KeyOf(ReadTlsFile("node1.pem")) + CertificateOf(ReadTlsFile("node2.pem")));
  ASSERT_TRUE(AwaitConnecting([&] { return refused() == 1; }, must_connect));
  // gRPC looks twice in this time.
  const auto enough = std::chrono::steady_clock::now() + std::chrono::milliseconds(2200);
  ASSERT_TRUE(
      AwaitConnecting([&] { return std::chrono::steady_clock::now() > enough; }, must_connect));
  EXPECT_EQ(refused(), 1);

  keystore.Write(ReadTlsFile("node2.pem"));
  ASSERT_TRUE(AwaitConnecting([&] { return connects(2); }, [] {})) << "with the new file";
  EXPECT_EQ(refused(), 0);
}

TEST_F(TlsTest, HandshakesAreCountedWhenTheyBeginAndWhenTheyAreDone) {
  const std::shared_ptr<const Tls> tls = Load("node1.pem");
  MetricRegistry metrics;
  tls->AddMetrics(&metrics);
  const auto begun = [&] { return ValueOf(metrics, "millrace_tls_handshakes_begun_total", ""); };
  const auto completed = [&] {
    return ValueOf(metrics, "millrace_tls_handshakes_completed_total", "");
  };
  Serve(Callers::kAnyone, absl::Seconds(10), tls);
  ASSERT_OK(Call(Load("")->ForServersByName()));
  EXPECT_EQ(begun(), 1);
  EXPECT_EQ(completed(), 1);
  // In plaintext there is none.
  EXPECT_FALSE(Call(nullptr).ok());
  EXPECT_EQ(begun(), 1);
  // This server's authority is not believed, nor is that of the client.
  EXPECT_FALSE(Call(Load("", "stranger.pem")->ForServersByName()).ok());
  EXPECT_FALSE(CallNode("stranger1.pem", "test", 1).ok());
  EXPECT_GE(begun(), 3);
  EXPECT_EQ(completed(), 1);
}

TEST(TlsFilesTest, WhatIsWrongWithAFileIsSaid) {
  const auto status = [](const TlsFiles& files) { return Tls::Create(files).status(); };
  EXPECT_THAT(status({.keystore = "/no/such"}),
              IsError(ErrorCode::kInvalidConfig, "ssl.keystore.location: '/no/such' cannot be"));
  EXPECT_THAT(status({.keystore = TlsFile("authority.pem")}),
              IsError(ErrorCode::kInvalidConfig, "holds no private key"));
  EXPECT_THAT(status({.truststore = "/dev/null"}),
              IsError(ErrorCode::kInvalidConfig, "holds no certificate"));
}

}  // namespace
}  // namespace millrace::rpc
