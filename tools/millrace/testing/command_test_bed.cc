#include "tools/millrace/testing/command_test_bed.h"

#include <utility>

#include "CLI/CLI.hpp"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "rpc/listen_socket.h"
#include "rpc/unary_call.h"

namespace millrace::tools {

LineResult RunLine(const std::function<void(CLI::App*, GlobalOptions*)>& add,
                   std::vector<std::string> words) {
  GlobalOptions global;
  CLI::App app("Millrace", "millrace");
  app.require_subcommand(1);
  add(&app, &global);
  std::vector<const char*> argv = {"millrace"};
  for (const std::string& word : words) argv.push_back(word.c_str());
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  LineResult result;
  result.exit_code = ParseAndRun(&app, global, static_cast<int>(argv.size()), argv.data());
  result.out = testing::internal::GetCapturedStdout();
  result.err = testing::internal::GetCapturedStderr();
  return result;
}

template <typename Method, typename Request, typename Response>
void FakeAdminServer::Answer(Method method, FakeAnswer<Request, Response>* answer) {
  rpc::RegisterUnary(
      &server_, server_.queue(0), &service_, method,
      [answer](const rpc::CallContext&, Request request, rpc::Reply<Response> reply) {
        answer->request = std::move(request);
        if (!answer->refusal.ok()) return reply(answer->refusal);
        reply(answer->response);
      });
}

FakeAdminServer::FakeAdminServer()
    : server_({.listeners = {{.name = "FAKE", .host = "127.0.0.1", .port = 0}}}, &clock_, nullptr,
              &metrics_) {
  server_.AddService(&service_, v1::AdminService::service_full_name());
  using Async = v1::AdminService::AsyncService;
  Answer(&Async::RequestCreateTopics, &create_topics);
  Answer(&Async::RequestDeleteTopics, &delete_topics);
  Answer(&Async::RequestListTopics, &list_topics);
  Answer(&Async::RequestDescribeTopics, &describe_topics);
  Answer(&Async::RequestCreatePartitions, &create_partitions);
  Answer(&Async::RequestElectLeaders, &elect_leaders);
  Answer(&Async::RequestAlterPartitionReassignments, &alter_reassignments);
  Answer(&Async::RequestListPartitionReassignments, &list_reassignments);
  Answer(&Async::RequestCordonBroker, &cordon_broker);
  Answer(&Async::RequestDecommissionBroker, &decommission_broker);
  Answer(&Async::RequestUnregisterBroker, &unregister_broker);
  Answer(&Async::RequestDescribeConfigs, &describe_configs);
  Answer(&Async::RequestIncrementalAlterConfigs, &alter_configs);
  Answer(&Async::RequestDescribeCluster, &describe_cluster);
  Answer(&Async::RequestDescribeLogDirs, &describe_log_dirs);
  Answer(&Async::RequestChecksumReplica, &checksum_replica);
  Answer(&Async::RequestDescribeFeatures, &describe_features);
  Answer(&Async::RequestRaiseFeatureLevel, &raise_feature_level);
  Answer(&Async::RequestDescribeQuorum, &describe_quorum);
  Answer(&Async::RequestAddController, &add_controller);
  Answer(&Async::RequestRemoveController, &remove_controller);
  Answer(&Async::RequestTransferControllerLeadership, &transfer_leadership);
  EXPECT_OK(server_.Start());
}

FakeAdminServer::~FakeAdminServer() {
  server_.Shutdown(absl::ZeroDuration());
  server_.StopQueues();
}

}  // namespace millrace::tools
