#include "node/service/admin_service.h"

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "node/service/service_test_bed.h"
#include "rpc/channel_pool.h"
#include "rpc/client_call.h"

namespace millrace::node {
namespace {

using ::testing::HasSubstr;

// AdminService in front of a node of its own.
class AdminServiceTest : public ServedNodeTest {
 protected:
  AdminServiceTest() : service_(node_.get(), &authorizer_, access()) {
    service_.Register(server_.get());
    EXPECT_OK(server_->Start());
    stub_ = v1::AdminService::NewStub(Connect());
  }
  ~AdminServiceTest() override { StopAll(); }

  template <class Request, class Response>
  absl::StatusOr<Response> Call(grpc::Status (v1::AdminService::StubInterface::*method)(
                                    grpc::ClientContext*, const Request&, Response*),
                                const Request& request) {
    return CallOn(stub_.get(), method, request);
  }
  v1::CreateTopicsResponse Create(const std::string& name, int partitions) {
    v1::CreateTopicsRequest request;
    request.add_topics()->set_name(name);
    request.mutable_topics(0)->set_partitions(partitions);
    auto response = Call(&v1::AdminService::StubInterface::CreateTopics, request);
    EXPECT_OK(response);
    return response.ok() ? *response : v1::CreateTopicsResponse();
  }

  AdminService service_;
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

TEST_F(AdminServiceTest, S39_RequestSentAgainUnderItsIdHasTheTopicOfTheFirstTime) {
  v1::CreateTopicsRequest request;
  request.add_topics()->set_name("orders");
  request.mutable_request_id()->set_client_id(std::string(16, 'c'));
  request.mutable_request_id()->set_sequence(1);
  ASSERT_OK_AND_ASSIGN(const auto first,
                       Call(&v1::AdminService::StubInterface::CreateTopics, request));
  request.mutable_request_id()->set_retry(true);
  ASSERT_OK_AND_ASSIGN(const auto second,
                       Call(&v1::AdminService::StubInterface::CreateTopics, request));
  EXPECT_EQ(second.topics(0).code(), v1::ERROR_CODE_UNSPECIFIED) << second.topics(0).message();
  EXPECT_EQ(second.topics(0).topic_id(), first.topics(0).topic_id());
  request.mutable_topics(0)->set_name("payments");
  EXPECT_THAT(Call(&v1::AdminService::StubInterface::CreateTopics, request),
              IsError(ErrorCode::kInvalidRequest, "give each request its own"));
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

TEST_F(AdminServiceTest, ElectionsAndReassignmentsAreDecided) {
  Create("orders", 1);
  v1::ElectLeadersRequest elect;
  elect.set_type(v1::ELECTION_TYPE_PREFERRED);
  elect.add_topics()->set_name("orders");
  elect.mutable_topics(0)->add_partitions(0);
  ASSERT_OK_AND_ASSIGN(const auto elected,
                       Call(&v1::AdminService::StubInterface::ElectLeaders, elect));
  ASSERT_EQ(elected.results_size(), 1);
  EXPECT_EQ(elected.results(0).leader_id(), 1);
  EXPECT_FALSE(elected.results(0).changed());
  EXPECT_GT(elected.metadata_index(), 0);

  v1::AlterPartitionReassignmentsRequest move;
  move.add_reassignments()->set_topic("orders");
  move.mutable_reassignments(0)->add_replicas(2);
  ASSERT_OK_AND_ASSIGN(const auto refused,
                       Call(&v1::AdminService::StubInterface::AlterPartitionReassignments, move));
  EXPECT_EQ(refused.results(0).code(), v1::ERROR_CODE_INVALID_REPLICA_ASSIGNMENT);
  EXPECT_THAT(refused.results(0).message(), HasSubstr("registered are 1"));
  ASSERT_OK_AND_ASSIGN(const auto listed,
                       Call(&v1::AdminService::StubInterface::ListPartitionReassignments,
                            v1::ListPartitionReassignmentsRequest()));
  EXPECT_EQ(listed.reassignments_size(), 0);
}

TEST_F(AdminServiceTest, ACordonedBrokerIsShownAndTheLastOneCannotLeave) {
  Create("orders", 1);
  v1::CordonBrokerRequest cordon;
  cordon.set_broker_id(1);
  cordon.set_cordoned(true);
  ASSERT_OK_AND_ASSIGN(const auto cordoned,
                       Call(&v1::AdminService::StubInterface::CordonBroker, cordon));
  EXPECT_TRUE(cordoned.changed());
  ASSERT_OK_AND_ASSIGN(
      const v1::DescribeClusterResponse cluster,
      Call(&v1::AdminService::StubInterface::DescribeCluster, v1::DescribeClusterRequest()));
  EXPECT_TRUE(cluster.brokers(0).cordoned());
  EXPECT_EQ(cluster.brokers(0).replicas(), 1);
  EXPECT_EQ(cluster.brokers(0).leaders(), 1);
  v1::DecommissionBrokerRequest decommission;
  decommission.set_broker_id(1);
  EXPECT_THAT(Call(&v1::AdminService::StubInterface::DecommissionBroker, decommission),
              IsError(ErrorCode::kInvalidReplicationFactor, "there are 0 active brokers"));
  v1::UnregisterBrokerRequest unregister;
  unregister.set_broker_id(1);
  EXPECT_THAT(Call(&v1::AdminService::StubInterface::UnregisterBroker, unregister),
              IsError(ErrorCode::kInvalidRequest, "holds 1 replicas"));
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
  for (const std::string method : {"CreateTopics",
                                   "CreatePartitions",
                                   "DeleteTopics",
                                   "ListTopics",
                                   "DescribeTopics",
                                   "ElectLeaders",
                                   "AlterPartitionReassignments",
                                   "ListPartitionReassignments",
                                   "CordonBroker",
                                   "DecommissionBroker",
                                   "UnregisterBroker",
                                   "DescribeConfigs",
                                   "IncrementalAlterConfigs",
                                   "DescribeCluster",
                                   "DescribeLogDirs",
                                   "ChecksumReplica",
                                   "DescribeQuorum",
                                   "AddController",
                                   "RemoveController",
                                   "TransferControllerLeadership"}) {
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

TEST_F(AdminServiceTest, FeatureLevelsAreDescribedAndRaisedByCommand) {
  ASSERT_OK_AND_ASSIGN(
      const v1::DescribeFeaturesResponse features,
      Call(&v1::AdminService::StubInterface::DescribeFeatures, v1::DescribeFeaturesRequest()));
  EXPECT_EQ(features.feature_level(), metadata::kFeatureLevelMax);
  ASSERT_EQ(features.nodes_size(), 2);
  EXPECT_EQ(features.nodes(0).role(), v1::NODE_ROLE_CONTROLLER);
  EXPECT_EQ(features.nodes(0).level_max(), metadata::kFeatureLevelMax);
  EXPECT_EQ(features.nodes(1).role(), v1::NODE_ROLE_BROKER);
  EXPECT_GT(features.metadata_index(), 0);

  v1::RaiseFeatureLevelRequest raise;
  raise.set_level(metadata::kFeatureLevelMax);
  ASSERT_OK_AND_ASSIGN(const v1::RaiseFeatureLevelResponse same,
                       Call(&v1::AdminService::StubInterface::RaiseFeatureLevel, raise));
  EXPECT_EQ(same.level_before(), metadata::kFeatureLevelMax);
  raise.set_level(metadata::kFeatureLevelMax + 1);
  EXPECT_THAT(Call(&v1::AdminService::StubInterface::RaiseFeatureLevel, raise),
              IsError(ErrorCode::kUnsupportedVersion, "controller 1 (levels 1 to "));
}

}  // namespace
}  // namespace millrace::node
