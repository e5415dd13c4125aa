#include "node/service/quorum_admin.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/counters.h"
#include "base/status_matchers.h"
#include "base/system_clock.h"
#include "base/thread_executor.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "node/service/fake_quorum.h"
#include "rpc/server.h"
#include "rpc/status_mapping.h"

namespace millrace::node {
namespace {

using controller::QuorumMember;
using Stub = v1::AdminService::StubInterface;

const DirectoryId kFirstDirectory{Uuid(1, 1)};
const DirectoryId kSecondDirectory{Uuid(2, 2)};

// Refuses changes while told so.
class ReadOnlyAuthorizer final : public metadata::Authorizer {
 public:
  bool Allows(const metadata::Principal&, metadata::Operation operation,
              const metadata::Resource&) const override {
    return operation == metadata::Operation::kDescribe;
  }
};

// Node 1, which leads, behind a socket; node 2 is a voter too.
class QuorumAdminTest : public ::testing::Test {
 protected:
  QuorumAdminTest() {
    controller::QuorumDescription& description = quorum_.description();
    description.term = Term(4);
    description.commit = LogIndex(17);
    description.log_start = LogIndex(11);
    description.log_end = LogIndex(18);
    description.snapshot = LogIndex(10);
    description.members = {{.node = NodeId(1),
                            .directory = kFirstDirectory,
                            .address = "one:9093",
                            .state = "leader",
                            .log_end = LogIndex(18),
                            .last_contact_ms = 0},
                           {.node = NodeId(2),
                            .directory = kSecondDirectory,
                            .address = "127.0.0.1:1",
                            .state = "replicate",
                            .log_end = LogIndex(15),
                            .lag = 3,
                            .last_contact_ms = 40}};
  }
  ~QuorumAdminTest() override {
    server_.Shutdown(absl::ZeroDuration());
    server_.StopQueues();
    executor_.Shutdown();
  }

  void Start(const metadata::Authorizer* authorizer, controller::QuorumControl* control) {
    admin_ = std::make_unique<QuorumAdmin>(
        QuorumAccess{.self = NodeId(1), .control = control, .executor = &executor_}, authorizer);
    server_.AddService(&service_, v1::AdminService::service_full_name());
    admin_->Register({.server = &server_, .queue = server_.queue(0), .forwarder = &forwarder_},
                     &service_);
    ASSERT_OK(server_.Start());
    stub_ = v1::AdminService::NewStub(
        grpc::CreateChannel(absl::StrCat("127.0.0.1:", server_.listeners().front().port),
                            grpc::InsecureChannelCredentials()));
  }
  void Start() { Start(&allow_all_, &quorum_); }

  template <class Request, class Response>
  absl::StatusOr<Response> Call(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                             Response*),
                                const Request& request) {
    grpc::ClientContext context;
    Response response;
    const grpc::Status status = (*stub_.*method)(&context, request, &response);
    if (!status.ok()) return rpc::FromGrpcStatus(status);
    return response;
  }
  absl::StatusOr<v1::DescribeQuorumResponse> Describe() {
    return Call(&Stub::DescribeQuorum, v1::DescribeQuorumRequest());
  }
  absl::Status Add(int node, const std::string& directory, const std::string& address) {
    v1::AddControllerRequest request;
    request.set_node_id(node);
    request.set_directory_id(directory);
    request.set_address(address);
    return Call(&Stub::AddController, request).status();
  }
  absl::Status Remove(int node, const std::string& directory) {
    v1::RemoveControllerRequest request;
    request.set_node_id(node);
    request.set_directory_id(directory);
    return Call(&Stub::RemoveController, request).status();
  }
  absl::Status Transfer(int node) {
    v1::TransferControllerLeadershipRequest request;
    request.set_node_id(node);
    return Call(&Stub::TransferControllerLeadership, request).status();
  }

  const SystemClock clock_{};
  MetricRegistry metrics_;
  const metadata::AllowAllAuthorizer allow_all_;
  ThreadExecutor executor_{"controller"};
  FakeQuorum quorum_{NodeId(1)};
  AdminGrpc service_;
  std::unique_ptr<QuorumAdmin> admin_;
  rpc::Server server_{{.listeners = {{.name = "CONTROLLER", .host = "127.0.0.1", .port = 0}}},
                      &clock_,
                      nullptr,
                      &metrics_};
  AdminForwarder forwarder_{
      {.route = {.leader_wait_max = absl::Milliseconds(20)}}, NodeId(1), server_.queue(0)};
  std::unique_ptr<Stub> stub_;
};

TEST_F(QuorumAdminTest, DescribesWhoLeadsAndHowFarEachMemberIs) {
  quorum_.description().members.push_back({.node = NodeId(3),
                                           .address = "three:9093",
                                           .role = QuorumMember::Role::kObserver,
                                           .state = "probe"});
  Start();
  ASSERT_OK_AND_ASSIGN(const v1::DescribeQuorumResponse quorum, Describe());
  EXPECT_EQ(quorum.leader_id(), 1);
  EXPECT_EQ(quorum.term(), 4);
  EXPECT_EQ(quorum.commit_index(), 17);
  EXPECT_EQ(quorum.log_start_index(), 11);
  EXPECT_EQ(quorum.log_end_index(), 18);
  EXPECT_EQ(quorum.snapshot_index(), 10);
  ASSERT_EQ(quorum.members_size(), 3);
  const v1::QuorumMember& second = quorum.members(1);
  EXPECT_EQ(second.node_id(), 2);
  EXPECT_EQ(second.directory_id(), kSecondDirectory.ToBytes());
  EXPECT_EQ(second.address(), "127.0.0.1:1");
  EXPECT_EQ(second.role(), v1::QUORUM_MEMBER_ROLE_VOTER);
  EXPECT_EQ(second.state(), "replicate");
  EXPECT_EQ(second.log_end_index(), 15);
  EXPECT_EQ(second.lag_entries(), 3);
  EXPECT_EQ(second.last_contact_ms(), 40);
  EXPECT_EQ(quorum.members(2).role(), v1::QUORUM_MEMBER_ROLE_OBSERVER);
  EXPECT_FALSE(quorum.members(2).has_last_contact_ms());
  EXPECT_EQ(quorum.members(2).directory_id(), "");
}

TEST_F(QuorumAdminTest, MembersComeAndGo) {
  Start();
  const std::string third = DirectoryId(Uuid(3, 3)).ToBytes();
  EXPECT_OK(Add(3, third, "[::1]:9093"));
  EXPECT_THAT(Add(3, third, "three:9093"), IsError(ErrorCode::kInvalidRequest, "voter already"));
  ASSERT_OK_AND_ASSIGN(const v1::DescribeQuorumResponse quorum, Describe());
  ASSERT_EQ(quorum.members_size(), 3);
  EXPECT_EQ(quorum.members(2).address(), "[::1]:9093");
  EXPECT_OK(Remove(2, kSecondDirectory.ToBytes()));
  EXPECT_THAT(Remove(2, kSecondDirectory.ToBytes()), HasCode(ErrorCode::kInvalidRequest));
}

TEST_F(QuorumAdminTest, LeadershipIsHandedOver) {
  Start();
  EXPECT_THAT(Transfer(7), IsError(ErrorCode::kInvalidRequest, "node 7 is no voter"));
  EXPECT_OK(Transfer(2));
  EXPECT_THAT(Describe(), HasCode(ErrorCode::kNotController));
}

TEST_F(QuorumAdminTest, WhatCannotBeAMemberIsRefusedWithTheField) {
  Start();
  const std::string directory = kSecondDirectory.ToBytes();
  EXPECT_EQ(DetailOf(Add(-1, directory, "two:9093")).name, "node_id");
  EXPECT_EQ(DetailOf(Transfer(-1)).name, "node_id");
  for (const std::string wrong : {"", "short", "seventeen bytes !!"}) {
    EXPECT_EQ(DetailOf(Add(3, wrong, "two:9093")).name, "directory_id") << wrong;
    EXPECT_EQ(DetailOf(Remove(3, wrong)).name, "directory_id") << wrong;
  }
  EXPECT_EQ(DetailOf(Add(3, std::string(16, '\0'), "two:9093")).name, "directory_id");
  for (const std::string wrong : {"", "two", ":9093", "two:0", "two:65536", "two:x"}) {
    EXPECT_THAT(Add(3, directory, wrong), IsError(ErrorCode::kInvalidRequest, "host:port"))
        << wrong;
  }
}

TEST_F(QuorumAdminTest, ChangesNeedThePermission) {
  const ReadOnlyAuthorizer authorizer;
  Start(&authorizer, &quorum_);
  EXPECT_OK(Describe());
  EXPECT_THAT(Transfer(2), HasCode(ErrorCode::kAuthorizationFailed));
  EXPECT_THAT(Add(3, kSecondDirectory.ToBytes(), "three:9093"),
              HasCode(ErrorCode::kAuthorizationFailed));
  EXPECT_THAT(Remove(2, kSecondDirectory.ToBytes()), HasCode(ErrorCode::kAuthorizationFailed));
}

TEST_F(QuorumAdminTest, WithoutAQuorumTheCallsAreRefused) {
  Start(&allow_all_, nullptr);
  EXPECT_THAT(Describe(), HasCode(ErrorCode::kUnsupportedVersion));
}

}  // namespace
}  // namespace millrace::node
