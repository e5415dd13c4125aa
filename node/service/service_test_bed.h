// What the tests of node's services share: a Node of its own on a real disk, and a server on a real
// socket that a test registers services with.
//
// Only tests include it.
//
// Thread: the test's.
#ifndef NODE_SERVICE_SERVICE_TEST_BED_H_
#define NODE_SERVICE_SERVICE_TEST_BED_H_

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <atomic>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/counters.h"
#include "base/posix_file_system.h"
#include "base/status_matchers.h"
#include "base/system_clock.h"
#include "base/system_random.h"
#include "base/thread_executor.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "node/node.h"
#include "node/service/fake_quorum.h"
#include "node/service/quorum_access.h"
#include "rpc/server.h"
#include "rpc/status_mapping.h"

namespace millrace::node {

// A status that another thread gives.
class Outcome {
 public:
  void Set(absl::Status status) {
    status_ = std::move(status);
    ready_.store(true);
    ready_.notify_all();
  }
  absl::Status Wait() {
    ready_.wait(false);
    return *status_;
  }

 private:
  std::optional<absl::Status> status_;
  std::atomic<bool> ready_{false};
};

// Refuses one operation.
class OneRefusedAuthorizer final : public metadata::Authorizer {
 public:
  bool Allows(const metadata::Principal&, metadata::Operation operation,
              const metadata::Resource&) const override {
    return static_cast<int>(operation) != refused.load();
  }
  std::atomic<int> refused{-1};
};

// Node 1, started; the server is bound, and the test starts it.
class ServedNodeTest : public ::testing::Test {
 protected:
  ServedNodeTest() {
    path_ = absl::StrCat(std::getenv("TEST_TMPDIR"), "/served_node_", random_.Next());
    auto config = ParseNodeConfig({{"http.listener", ""},
                                   {"listeners", "PLAINTEXT://127.0.0.1:0"},
                                   {"log.dir.reserve.bytes", "0"}},
                                  path_);
    EXPECT_OK(config);
    rpc::ServerOptions options;
    options.listeners.push_back({.name = "PLAINTEXT", .host = "127.0.0.1", .port = 0});
    server_ = std::make_unique<rpc::Server>(options, &clock_, nullptr, &metrics_);
    Env env;
    env.clock = &clock_;
    env.files = &files_;
    env.random = &random_;
    env.metrics = &metrics_;
    env.budget = &budget_;
    env.shards.push_back(server_->queue(0));
    env.controller = &controller_;
    env.cold_reads_of = [this](const std::string&) { return &cold_; };
    env.make_disk_executor = [](const std::string& name) {
      return std::make_unique<ThreadExecutor>(name);
    };
    env.make_random = [] { return std::make_unique<SystemRandom>(); };
    node_ = std::make_unique<Node>(*config, env, &authorizer_, nullptr);
    EXPECT_OK(node_->Open());
    EXPECT_OK(server_->Bind());
    auto advertised = config->advertised;
    advertised.at(0).port = static_cast<uint16_t>(server_->listeners().at(0).port);
    Outcome started;
    node_->Start(advertised, [&](absl::Status status) { started.Set(std::move(status)); });
    EXPECT_OK(started.Wait());
  }
  // Ends all that runs: the first thing a test with services of its own does in its destructor.
  void StopAll() {
    Outcome stopped;
    node_->Stop(absl::Seconds(1), [&](absl::Status status) { stopped.Set(status); });
    EXPECT_OK(stopped.Wait());
    server_->Shutdown(absl::Seconds(1));
    server_->StopQueues();
    controller_.Shutdown();
    cold_.Shutdown();
    node_.reset();
    EXPECT_OK(RemoveTree(files_, path_));
  }

  // What services are given; node 1 leads unless the test says otherwise.
  QuorumAccess access() {
    return {.self = node_->config().node_id,
            .control = &quorum_,
            .leaders = &quorum_.leaders(),
            .executor = &controller_};
  }
  std::shared_ptr<grpc::Channel> Connect() const {
    return grpc::CreateChannel(address(), grpc::InsecureChannelCredentials());
  }
  std::string address() const {
    return absl::StrCat("127.0.0.1:", server_->listeners().at(0).port);
  }
  // Calls and waits.
  template <class Stub, class Request, class Response>
  static absl::StatusOr<Response> CallOn(Stub* stub,
                                         grpc::Status (Stub::*method)(grpc::ClientContext*,
                                                                      const Request&, Response*),
                                         const Request& request) {
    grpc::ClientContext context;
    Response response;
    const grpc::Status status = (*stub.*method)(&context, request, &response);
    if (!status.ok()) return rpc::FromGrpcStatus(status);
    return response;
  }

  SystemClock clock_;
  SystemRandom random_;
  PosixFileSystem files_;
  MetricRegistry metrics_;
  MemoryBudget budget_{64 << 20};
  OneRefusedAuthorizer authorizer_;
  FakeQuorum quorum_{NodeId(1)};
  ThreadExecutor controller_{"controller"};
  ThreadExecutor cold_{"cold"};
  std::string path_;
  std::unique_ptr<rpc::Server> server_;
  std::unique_ptr<Node> node_;
};

}  // namespace millrace::node

#endif  // NODE_SERVICE_SERVICE_TEST_BED_H_
