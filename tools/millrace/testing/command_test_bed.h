// What the tests of the commands share: running a command line in the test's process, and an
// AdminService on a local port that answers as the test says.
//
// Only tests include it.
//
// Thread: the test's; answers of the FakeAdminServer are called on its own strand, and are set
// before a command runs.
#ifndef TOOLS_MILLRACE_TESTING_COMMAND_TEST_BED_H_
#define TOOLS_MILLRACE_TESTING_COMMAND_TEST_BED_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/counters.h"
#include "base/system_clock.h"
#include "millrace/v1/admin_service.grpc.pb.h"
#include "rpc/server.h"
#include "tools/millrace/command.h"

namespace millrace::tools {

struct LineResult {
  int exit_code = -1;
  std::string out;
  std::string err;
};

// Runs "millrace <words>" in a tree with the commands that `add` adds.
LineResult RunLine(const std::function<void(CLI::App*, GlobalOptions*)>& add,
                   std::vector<std::string> words);

// An answer of the fake, and the last request that it was given.
template <typename Request, typename Response>
struct FakeAnswer {
  Response response;
  Request request;
  // The answer, unless it is OK.
  absl::Status refusal;
};

class FakeAdminServer {
 public:
  FakeAdminServer();
  ~FakeAdminServer();

  std::string address() const {
    return absl::StrCat("127.0.0.1:", server_.listeners().front().port);
  }
  // `words` with --bootstrap at the end.
  std::vector<std::string> At(std::vector<std::string> words) const {
    words.push_back(absl::StrCat("--bootstrap=", address()));
    return words;
  }

  FakeAnswer<v1::CreateTopicsRequest, v1::CreateTopicsResponse> create_topics;
  FakeAnswer<v1::DeleteTopicsRequest, v1::DeleteTopicsResponse> delete_topics;
  FakeAnswer<v1::ListTopicsRequest, v1::ListTopicsResponse> list_topics;
  FakeAnswer<v1::DescribeTopicsRequest, v1::DescribeTopicsResponse> describe_topics;
  FakeAnswer<v1::CreatePartitionsRequest, v1::CreatePartitionsResponse> create_partitions;
  FakeAnswer<v1::ElectLeadersRequest, v1::ElectLeadersResponse> elect_leaders;
  FakeAnswer<v1::AlterPartitionReassignmentsRequest, v1::AlterPartitionReassignmentsResponse>
      alter_reassignments;
  FakeAnswer<v1::ListPartitionReassignmentsRequest, v1::ListPartitionReassignmentsResponse>
      list_reassignments;
  FakeAnswer<v1::CordonBrokerRequest, v1::CordonBrokerResponse> cordon_broker;
  FakeAnswer<v1::DecommissionBrokerRequest, v1::DecommissionBrokerResponse> decommission_broker;
  FakeAnswer<v1::UnregisterBrokerRequest, v1::UnregisterBrokerResponse> unregister_broker;
  FakeAnswer<v1::DescribeConfigsRequest, v1::DescribeConfigsResponse> describe_configs;
  FakeAnswer<v1::IncrementalAlterConfigsRequest, v1::IncrementalAlterConfigsResponse> alter_configs;
  FakeAnswer<v1::DescribeClusterRequest, v1::DescribeClusterResponse> describe_cluster;
  FakeAnswer<v1::DescribeLogDirsRequest, v1::DescribeLogDirsResponse> describe_log_dirs;
  FakeAnswer<v1::ChecksumReplicaRequest, v1::ChecksumReplicaResponse> checksum_replica;
  FakeAnswer<v1::DescribeFeaturesRequest, v1::DescribeFeaturesResponse> describe_features;
  FakeAnswer<v1::RaiseFeatureLevelRequest, v1::RaiseFeatureLevelResponse> raise_feature_level;
  FakeAnswer<v1::DescribeQuorumRequest, v1::DescribeQuorumResponse> describe_quorum;
  FakeAnswer<v1::AddControllerRequest, v1::AddControllerResponse> add_controller;
  FakeAnswer<v1::RemoveControllerRequest, v1::RemoveControllerResponse> remove_controller;
  FakeAnswer<v1::TransferControllerLeadershipRequest, v1::TransferControllerLeadershipResponse>
      transfer_leadership;

 private:
  template <typename Method, typename Request, typename Response>
  void Answer(Method method, FakeAnswer<Request, Response>* answer);

  const SystemClock clock_{};
  MetricRegistry metrics_;
  v1::AdminService::AsyncService service_;
  rpc::Server server_;
};

}  // namespace millrace::tools

#endif  // TOOLS_MILLRACE_TESTING_COMMAND_TEST_BED_H_
