#include "node/service/admin_service.h"

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
#include "node/service/fake_quorum.h"
#include "rpc/channel_pool.h"
#include "rpc/client_call.h"
#include "rpc/status_mapping.h"

namespace millrace::node {
namespace {

using ::testing::HasSubstr;

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

// A node of its own behind a real socket, on a real disk.
class AdminServiceTest : public ::testing::Test {
 protected:
  AdminServiceTest() {
    path_ = absl::StrCat(std::getenv("TEST_TMPDIR"), "/admin_service_", random_.Next());
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
    env.cold_reads = &cold_;
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
    service_ = std::make_unique<AdminService>(node_.get(), &authorizer_,
                                              QuorumAccess{.self = config->node_id,
                                                           .control = &quorum_,
                                                           .leaders = &quorum_.leaders(),
                                                           .executor = &controller_});
    service_->Register(server_.get());
    EXPECT_OK(server_->Start());
    stub_ = v1::AdminService::NewStub(
        grpc::CreateChannel(address(), grpc::InsecureChannelCredentials()));
  }
  ~AdminServiceTest() override {
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

  std::string address() const {
    return absl::StrCat("127.0.0.1:", server_->listeners().at(0).port);
  }
  template <class Request, class Response>
  absl::StatusOr<Response> Call(grpc::Status (v1::AdminService::StubInterface::*method)(
                                    grpc::ClientContext*, const Request&, Response*),
                                const Request& request) {
    grpc::ClientContext context;
    Response response;
    const grpc::Status status = (*stub_.*method)(&context, request, &response);
    if (!status.ok()) return rpc::FromGrpcStatus(status);
    return response;
  }
  v1::CreateTopicsResponse Create(const std::string& name, int partitions) {
    v1::CreateTopicsRequest request;
    request.add_topics()->set_name(name);
    request.mutable_topics(0)->set_partitions(partitions);
    auto response = Call(&v1::AdminService::StubInterface::CreateTopics, request);
    EXPECT_OK(response);
    return response.ok() ? *response : v1::CreateTopicsResponse();
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
  std::unique_ptr<AdminService> service_;
  std::unique_ptr<v1::AdminService::StubInterface> stub_;
};

TEST_F(AdminServiceTest, WhatWasDecidedIsSeenByTheNextCall) {
  const v1::CreateTopicsResponse created = Create("orders", 3);
  ASSERT_EQ(created.topics(0).code(), v1::ERROR_CODE_UNSPECIFIED) << created.topics(0).message();
  EXPECT_GT(created.metadata_index(), 0);
  ASSERT_OK_AND_ASSIGN(const v1::ListTopicsResponse listed,
                       Call(&v1::AdminService::StubInterface::ListTopics, v1::ListTopicsRequest()));
  ASSERT_EQ(listed.topics_size(), 1);
  EXPECT_EQ(listed.topics(0).partitions(), 3);
  EXPECT_GE(listed.metadata_index(), created.metadata_index());

  v1::CreatePartitionsRequest more;
  more.add_topics()->set_name("orders");
  more.mutable_topics(0)->set_total_count(5);
  ASSERT_OK(Call(&v1::AdminService::StubInterface::CreatePartitions, more));
  v1::DescribeTopicsRequest describe;
  describe.add_names("orders");
  describe.add_names("nope");
  ASSERT_OK_AND_ASSIGN(const v1::DescribeTopicsResponse described,
                       Call(&v1::AdminService::StubInterface::DescribeTopics, describe));
  ASSERT_EQ(described.topics_size(), 2);
  EXPECT_EQ(described.topics(0).partitions_size(), 5);
  EXPECT_EQ(described.topics(1).code(), v1::ERROR_CODE_UNKNOWN_TOPIC_OR_PARTITION);

  v1::DeleteTopicsRequest erase;
  erase.add_names("orders");
  ASSERT_OK(Call(&v1::AdminService::StubInterface::DeleteTopics, erase));
  ASSERT_OK_AND_ASSIGN(const v1::ListTopicsResponse none,
                       Call(&v1::AdminService::StubInterface::ListTopics, v1::ListTopicsRequest()));
  EXPECT_EQ(none.topics_size(), 0);
}

TEST_F(AdminServiceTest, ARefusalIsTheResultOfItsTopicAlone) {
  Create("orders", 1);
  v1::CreateTopicsRequest request;
  request.add_topics()->set_name("orders");
  request.add_topics()->set_name("payments");
  ASSERT_OK_AND_ASSIGN(const v1::CreateTopicsResponse response,
                       Call(&v1::AdminService::StubInterface::CreateTopics, request));
  EXPECT_EQ(response.topics(0).code(), v1::ERROR_CODE_TOPIC_ALREADY_EXISTS);
  EXPECT_THAT(response.topics(0).message(), HasSubstr("orders"));
  EXPECT_EQ(response.topics(1).code(), v1::ERROR_CODE_UNSPECIFIED);
}

TEST_F(AdminServiceTest, AnAlteredConfigIsDescribed) {
  Create("orders", 1);
  v1::IncrementalAlterConfigsRequest alter;
  v1::AlterConfigsResource* resource = alter.add_resources();
  resource->mutable_resource()->set_type(v1::CONFIG_RESOURCE_TYPE_TOPIC);
  resource->mutable_resource()->set_name("orders");
  v1::ConfigAlteration* change = resource->add_alterations();
  change->set_name("retention.ms");
  change->set_operation(v1::CONFIG_OPERATION_SET);
  change->set_value("1234567");
  ASSERT_OK_AND_ASSIGN(const v1::IncrementalAlterConfigsResponse altered,
                       Call(&v1::AdminService::StubInterface::IncrementalAlterConfigs, alter));
  EXPECT_EQ(altered.resources(0).code(), v1::ERROR_CODE_UNSPECIFIED)
      << altered.resources(0).message();
  v1::DescribeConfigsRequest describe;
  *describe.add_resources() = resource->resource();
  describe.add_names("retention.ms");
  ASSERT_OK_AND_ASSIGN(const v1::DescribeConfigsResponse described,
                       Call(&v1::AdminService::StubInterface::DescribeConfigs, describe));
  ASSERT_EQ(described.resources(0).configs_size(), 1);
  EXPECT_EQ(described.resources(0).configs(0).value(), "1234567");
}

TEST_F(AdminServiceTest, TheClusterAndTheDirectoriesAreThisNodes) {
  ASSERT_OK_AND_ASSIGN(
      const v1::DescribeClusterResponse cluster,
      Call(&v1::AdminService::StubInterface::DescribeCluster, v1::DescribeClusterRequest()));
  EXPECT_FALSE(cluster.cluster_id().empty());
  EXPECT_EQ(cluster.brokers_size(), 1);
  ASSERT_OK_AND_ASSIGN(
      const v1::DescribeLogDirsResponse dirs,
      Call(&v1::AdminService::StubInterface::DescribeLogDirs, v1::DescribeLogDirsRequest()));
  ASSERT_EQ(dirs.log_dirs_size(), 1);
  EXPECT_THAT(dirs.log_dirs(0).path(), HasSubstr(path_));
}

TEST_F(AdminServiceTest, TheQuorumIsDescribed) {
  ASSERT_OK_AND_ASSIGN(
      const v1::DescribeQuorumResponse quorum,
      Call(&v1::AdminService::StubInterface::DescribeQuorum, v1::DescribeQuorumRequest()));
  EXPECT_EQ(quorum.leader_id(), 1);
}

TEST_F(AdminServiceTest, TheLeaderOfTheQuorumIsFollowed) {
  // The other node is this one under another name: it answers what was passed on to it.
  controller_.Post([this] {
    quorum_.SetLeader({.leader = NodeId(2), .leader_epoch = LeaderEpoch(7), .address = address()});
  });
  const absl::Status refused =
      Call(&v1::AdminService::StubInterface::DescribeQuorum, v1::DescribeQuorumRequest()).status();
  EXPECT_THAT(refused, IsError(ErrorCode::kNotController, "does not lead"));
  EXPECT_EQ(DetailOf(refused).leader->address, address());
  Outcome elected;
  controller_.Post([this, &elected] {
    quorum_.SetLeader({.leader = NodeId(1), .leader_epoch = LeaderEpoch(8)});
    elected.Set(absl::OkStatus());
  });
  EXPECT_OK(elected.Wait());
  EXPECT_OK(Call(&v1::AdminService::StubInterface::DescribeQuorum, v1::DescribeQuorumRequest()));
}

TEST_F(AdminServiceTest, WhoMayNotIsTold) {
  authorizer_.refused = static_cast<int>(metadata::Operation::kCreate);
  v1::CreateTopicsRequest request;
  request.add_topics()->set_name("orders");
  const auto refused = Call(&v1::AdminService::StubInterface::CreateTopics, request);
  EXPECT_THAT(refused.status(), IsError(ErrorCode::kAuthorizationFailed, "User:ANONYMOUS"));
  EXPECT_EQ(DetailOf(refused.status()).name, "principal");
  EXPECT_OK(Call(&v1::AdminService::StubInterface::ListTopics, v1::ListTopicsRequest()));
  authorizer_.refused = static_cast<int>(metadata::Operation::kDescribe);
  EXPECT_THAT(Call(&v1::AdminService::StubInterface::DescribeLogDirs, v1::DescribeLogDirsRequest())
                  .status(),
              HasCode(ErrorCode::kAuthorizationFailed));
}

TEST_F(AdminServiceTest, BytesThatAreNoRequestAreRefusedByEveryMethodWithItsType) {
  rpc::CompletionQueueExecutor client(&clock_, "client");
  rpc::ChannelPool channels{rpc::ChannelOptions{}};
  for (const std::string method :
       {"CreateTopics", "CreatePartitions", "DeleteTopics", "ListTopics", "DescribeTopics",
        "DescribeConfigs", "IncrementalAlterConfigs", "DescribeCluster", "DescribeLogDirs",
        "DescribeQuorum", "AddController", "RemoveController", "TransferControllerLeadership"}) {
    Outcome done;
    rpc::StartUnary(&client, channels.Get("test", address()),
                    absl::StrCat("/millrace.v1.AdminService/", method),
                    {Bytes::Copy("\xff\xff\xff")}, {},
                    [&](absl::StatusOr<Bytes> response) { done.Set(response.status()); });
    const absl::Status status = done.Wait();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << method;
    EXPECT_THAT(status, IsError(ErrorCode::kInvalidRequest, "cannot be parsed")) << method;
    EXPECT_EQ(DetailOf(status).name, absl::StrCat("millrace.v1.", method, "Request"));
  }
  client.Shutdown();
}

}  // namespace
}  // namespace millrace::node
