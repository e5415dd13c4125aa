// Admin: the calls of AdminService, and LogService's DeleteRecords, with retries and clear errors;
// blocking, for programs and the command line.
//
// Requests and answers are the messages of millrace/v1/admin_service.proto and log_service.proto;
// see there for their meaning. A failure of the whole call is a Status with its ErrorCode; failures
// per resource are in the answer. Where a request has validate_only, everything is checked and
// nothing changes.
//
// Thread: one caller at a time, from any thread: calls must not overlap.
#ifndef CLIENT_ADMIN_H_
#define CLIENT_ADMIN_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/client_security.h"
#include "millrace/v1/admin_service.pb.h"
#include "millrace/v1/log_service.pb.h"

namespace millrace::client {

class Admin {
 public:
  // `bootstrap_servers`: "host:port", tried in turn. Errors: INVALID_CONFIG for a malformed
  // address, or files that `security` names and that are not what they should be.
  static absl::StatusOr<std::unique_ptr<Admin>> Create(std::vector<std::string> bootstrap_servers,
                                                       absl::Duration timeout,
                                                       const ClientSecurity& security = {});
  virtual ~Admin() = default;

  // Each call waits at most `timeout`. Errors of all: BROKER_NOT_AVAILABLE naming the addresses
  // tried; REQUEST_TIMED_OUT. Of changes also OUTCOME_UNKNOWN, when the server was lost before it
  // answered. Changes of topics and configs are given an id, if they have none, and sent again
  // under it until the timeout: they take effect once, and the answer is that of the first time
  // (S-39). Elections, reassignments, cordons, decommissions and raises of the feature level are
  // sent again as they are, since the second time they change nothing more. The others are not sent
  // again, since they may have taken effect.
  virtual absl::StatusOr<v1::CreateTopicsResponse> CreateTopics(
      const v1::CreateTopicsRequest& request) = 0;
  virtual absl::StatusOr<v1::DeleteTopicsResponse> DeleteTopics(
      const v1::DeleteTopicsRequest& request) = 0;
  virtual absl::StatusOr<v1::ListTopicsResponse> ListTopics(
      const v1::ListTopicsRequest& request) = 0;
  virtual absl::StatusOr<v1::DescribeTopicsResponse> DescribeTopics(
      const v1::DescribeTopicsRequest& request) = 0;
  virtual absl::StatusOr<v1::CreatePartitionsResponse> CreatePartitions(
      const v1::CreatePartitionsRequest& request) = 0;
  virtual absl::StatusOr<v1::ElectLeadersResponse> ElectLeaders(
      const v1::ElectLeadersRequest& request) = 0;
  virtual absl::StatusOr<v1::AlterPartitionReassignmentsResponse> AlterPartitionReassignments(
      const v1::AlterPartitionReassignmentsRequest& request) = 0;
  virtual absl::StatusOr<v1::ListPartitionReassignmentsResponse> ListPartitionReassignments(
      const v1::ListPartitionReassignmentsRequest& request) = 0;
  virtual absl::StatusOr<v1::CordonBrokerResponse> CordonBroker(
      const v1::CordonBrokerRequest& request) = 0;
  virtual absl::StatusOr<v1::DecommissionBrokerResponse> DecommissionBroker(
      const v1::DecommissionBrokerRequest& request) = 0;
  virtual absl::StatusOr<v1::UnregisterBrokerResponse> UnregisterBroker(
      const v1::UnregisterBrokerRequest& request) = 0;
  virtual absl::StatusOr<v1::DescribeConfigsResponse> DescribeConfigs(
      const v1::DescribeConfigsRequest& request) = 0;
  virtual absl::StatusOr<v1::IncrementalAlterConfigsResponse> IncrementalAlterConfigs(
      const v1::IncrementalAlterConfigsRequest& request) = 0;
  virtual absl::StatusOr<v1::DescribeClusterResponse> DescribeCluster(
      const v1::DescribeClusterRequest& request) = 0;
  virtual absl::StatusOr<v1::DescribeLogDirsResponse> DescribeLogDirs(
      const v1::DescribeLogDirsRequest& request) = 0;
  virtual absl::StatusOr<v1::ChecksumReplicaResponse> ChecksumReplica(
      const v1::ChecksumReplicaRequest& request) = 0;
  // The feature level of the cluster.
  virtual absl::StatusOr<v1::DescribeFeaturesResponse> DescribeFeatures(
      const v1::DescribeFeaturesRequest& request) = 0;
  virtual absl::StatusOr<v1::RaiseFeatureLevelResponse> RaiseFeatureLevel(
      const v1::RaiseFeatureLevelRequest& request) = 0;
  // The quorum of controllers.
  virtual absl::StatusOr<v1::DescribeQuorumResponse> DescribeQuorum(
      const v1::DescribeQuorumRequest& request) = 0;
  virtual absl::StatusOr<v1::AddControllerResponse> AddController(
      const v1::AddControllerRequest& request) = 0;
  virtual absl::StatusOr<v1::RemoveControllerResponse> RemoveController(
      const v1::RemoveControllerRequest& request) = 0;
  virtual absl::StatusOr<v1::TransferControllerLeadershipResponse> TransferControllerLeadership(
      const v1::TransferControllerLeadershipRequest& request) = 0;
  // Deletes the records of partitions below an offset.
  virtual absl::StatusOr<v1::DeleteRecordsResponse> DeleteRecords(
      const v1::DeleteRecordsRequest& request) = 0;
};

}  // namespace millrace::client

#endif  // CLIENT_ADMIN_H_
