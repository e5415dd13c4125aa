#include "tools/millrace/server_process.h"

#include <pthread.h>
#include <unistd.h>

#include <csignal>
#include <future>
#include <memory>
#include <string>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/posix_file_system.h"
#include "base/status.h"
#include "base/status_matchers.h"
#include "client/admin.h"
#include "gmock/gmock.h"
#include "rpc/listen_socket.h"

namespace millrace::tools {
namespace {

using ::testing::HasSubstr;

// Bound and listening, so that nobody else gets the port.
rpc::ListenSocket Occupy() {
  auto sockets = rpc::Listen({.name = "TEST", .host = "127.0.0.1", .port = 0});
  EXPECT_OK(sockets);
  return std::move(sockets->front());
}

class ServerProcessTest : public ::testing::Test {
 protected:
  ServerProcessTest() { EXPECT_OK(RemoveTree(files_, directory_)); }
  ~ServerProcessTest() override { EXPECT_OK(RemoveTree(files_, directory_)); }

  // The signals are for the server's thread: no other may be ended by them.
  static void SetUpTestSuite() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
  }

  node::NodeConfig Config(int port) const {
    const auto config = node::ParseNodeConfig({{"listeners", absl::StrCat("127.0.0.1:", port)},
                                               {"http.listener", ""},
                                               {"memory.budget.bytes", "16777216"}},
                                              directory_);
    EXPECT_OK(config);
    return *config;
  }

  // Asks until a server answers: it binds its port before it can.
  static absl::Status AwaitServing(int port) {
    const auto admin =
        client::Admin::Create({absl::StrCat("127.0.0.1:", port)}, absl::Seconds(5)).value();
    const absl::Time deadline = absl::Now() + absl::Seconds(30);
    absl::Status status;
    do {
      status = admin->DescribeCluster({}).status();
    } while (!status.ok() && absl::Now() < deadline);
    return status;
  }

  PosixFileSystem files_;
  const std::string directory_ =
      ::testing::TempDir() + "server_process_" + std::to_string(getpid());
};

TEST_F(ServerProcessTest, ServesUntilTheSignalAndLeavesItsDirectoriesClean) {
  const int port = Occupy().address.port;
  for (const int signal : {SIGTERM, SIGINT}) {
    std::promise<absl::Status> ended;
    std::thread server([&] { ended.set_value(RunServerProcess(Config(port))); });
    EXPECT_OK(AwaitServing(port));
    kill(getpid(), signal);
    EXPECT_OK(ended.get_future().get());
    server.join();
    const auto entries = files_.ListDirectory(JoinPath(directory_, "logs"));
    ASSERT_OK(entries);
    bool clean = false;
    for (const DirectoryEntry& entry : *entries) {
      clean |= absl::StrContains(entry.name, "clean-shutdown");
    }
    EXPECT_TRUE(clean);
    EXPECT_OK(files_.Lock(JoinPath(directory_, "metadata/lock")).status());
  }
}

// KIP-402: clients may hold all connections, and brokers must reach each other all the same.
TEST_F(ServerProcessTest, NoLimitOfConnectionsIsForTheListenerBetweenBrokers) {
  const int clients = Occupy().address.port;
  const int brokers = Occupy().address.port;
  const auto config = node::ParseNodeConfig(
      {{"listeners",
        absl::StrCat("CLIENTS://127.0.0.1:", clients, ",BROKERS://127.0.0.1:", brokers)},
       {"inter.broker.listener.name", "BROKERS"},
       {"max.connections", "0"},
       {"http.listener", ""},
       {"memory.budget.bytes", "16777216"}},
      directory_);
  ASSERT_OK(config);
  std::promise<absl::Status> ended;
  std::thread server([&] { ended.set_value(RunServerProcess(*config)); });
  EXPECT_OK(AwaitServing(brokers));
  const auto admin =
      client::Admin::Create({absl::StrCat("127.0.0.1:", clients)}, absl::Seconds(1)).value();
  EXPECT_FALSE(admin->DescribeCluster({}).ok());
  kill(getpid(), SIGTERM);
  EXPECT_OK(ended.get_future().get());
  server.join();
}

TEST_F(ServerProcessTest, WhatKeepsItFromServingIsReturned) {
  const rpc::ListenSocket taken = Occupy();
  std::thread([&] {
    EXPECT_THAT(RunServerProcess(Config(taken.address.port)),
                IsError(ErrorCode::kAddressInUse, absl::StrCat(taken.address.port)));
    // What ends with it may take long: a signal ends that.
    sigset_t blocked;
    pthread_sigmask(SIG_SETMASK, nullptr, &blocked);
    EXPECT_FALSE(sigismember(&blocked, SIGTERM));
  }).join();
  const auto lock = files_.Lock(JoinPath(directory_, "metadata/lock"));
  ASSERT_OK(lock);
  std::thread([&] {
    EXPECT_THAT(RunServerProcess(Config(0)), IsError(ErrorCode::kDirectoryLocked, directory_));
  }).join();
}

}  // namespace
}  // namespace millrace::tools
