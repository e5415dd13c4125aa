// From start to stop: probes, metrics, health and reflection while it serves; a clean stop under
// load in bounded time that loses nothing and leaves nothing to recover.
#include <atomic>
#include <csignal>
#include <cstring>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/check.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "health.grpc.pb.h"
#include "reflection.grpc.pb.h"
#include "rpc/listen_socket.h"
#include "test/cluster/api_client.h"
#include "test/cluster/server_process.h"
#include "test/cluster/tcp_connection.h"
#include "test/cluster/wait_until.h"

namespace millrace::test {
namespace {

// One that nobody has now.
int FreePort() {
  const auto sockets = rpc::Listen({.name = "A", .host = "127.0.0.1", .port = 0});
  CHECK_OK(sockets.status());
  return sockets->front().address.port;
}

using testing::HasSubstr;
using testing::IsSupersetOf;
using testing::Not;

constexpr char kTopic[] = "lived";

// Produces until the server refuses or is gone. Returns what was acknowledged, by offset.
std::map<int64_t, std::string> ProduceUntilRefused(const std::string& address, int partition,
                                                   std::atomic<int>* acknowledged) {
  std::map<int64_t, std::string> kept;
  ApiClient client(address);
  for (int i = 0;; ++i) {
    const std::string value = absl::StrCat("partition ", partition, " record ", i);
    const auto produced = client.ProduceValues(kTopic, partition, {value});
    if (!produced.ok()) return kept;
    kept[produced->base_offset()] = value;
    acknowledged->fetch_add(1);
  }
}

TEST(LifecycleTest, ATerminatedServerStopsInFiveSecondsAndKeepsAllItAcknowledged) {
  constexpr int kPartitions = 4;
  ServerProcess server;
  ASSERT_OK(server.Start());
  ASSERT_OK(ApiClient(server.address()).CreateTopic(kTopic, kPartitions));
  std::atomic<int> acknowledged{0};
  std::vector<std::map<int64_t, std::string>> kept(kPartitions);
  std::vector<std::thread> clients;
  for (int i = 0; i < kPartitions; ++i) {
    clients.emplace_back(
        [&, i] { kept[i] = ProduceUntilRefused(server.address(), i, &acknowledged); });
  }
  // A reader that waits for what does not come must not hold the stop up either.
  std::thread reader([&] {
    ApiClient client(server.address());
    v1::FetchRequest request;
    request.set_max_wait_ms(25'000);
    request.set_min_bytes(50 << 20);
    v1::FetchPartition* from = request.add_partitions();
    from->set_topic(kTopic);
    v1::FetchResponse response;
    client.log().Fetch(NewContext().get(), request, &response);
  });
  while (acknowledged.load() < 200) std::this_thread::yield();
  const ServerProcess::Exit exit = server.Stop();
  EXPECT_EQ(exit.code, 0);
  EXPECT_LT(exit.took, absl::Seconds(5));
  for (std::thread& client : clients) client.join();
  reader.join();

  ASSERT_OK(server.Start());
  ApiClient client(server.address());
  for (int i = 0; i < kPartitions; ++i) {
    const auto values = client.ReadValues(kTopic, i);
    ASSERT_OK(values);
    ASSERT_GE(values->size(), kept[i].size());
    for (const auto& [offset, value] : kept[i]) {
      EXPECT_EQ((*values)[static_cast<size_t>(offset)], value);
    }
  }
}

TEST(LifecycleTest, AStartAfterACleanStopRecoversNothing) {
  ServerProcess server;
  ASSERT_OK(server.Start());
  ASSERT_OK(ApiClient(server.address()).CreateTopic(kTopic));
  ASSERT_OK(ApiClient(server.address()).ProduceValues(kTopic, 0, {"x"}));
  ASSERT_EQ(server.Stop().code, 0);
  ASSERT_OK(server.Start());
  const std::string opened = "message=\"log directory opened\" path=";
  const std::string found = absl::StrCat(opened, server.data_dir(), "/logs new=false clean=");
  EXPECT_THAT(server.log(), HasSubstr(found + "true replicas=1 torn_bytes_cut=0"));
  EXPECT_THAT(server.log(), Not(HasSubstr(found + "false")));
  server.Kill();
  ASSERT_OK(server.Start());
  EXPECT_THAT(server.log(), HasSubstr(found + "false replicas=1"));
}

TEST(LifecycleTest, AnInterruptStopsItAsATerminationDoes) {
  ServerProcess server;
  ASSERT_OK(server.Start());
  EXPECT_EQ(server.Stop(SIGINT).code, 0);
  EXPECT_THAT(server.log(), HasSubstr("message=stopped clean=true"));
}

TEST(LifecycleTest, ProbesSayOkWhileItServes) {
  ServerProcess server;
  ASSERT_OK(server.Start());
  EXPECT_EQ(HttpGet(server.http_port(), "/healthz").status, 200);
  // It serves before it is ready: what it leads must be open too.
  EXPECT_TRUE(WaitUntil([&] { return HttpGet(server.http_port(), "/readyz").status == 200; }));
  EXPECT_EQ(HttpGet(server.http_port(), "/nothing").status, 404);
}

// Scripts wait for either, and then look for the other.
TEST(LifecycleTest, ReadyIsToldOnlyOnceTheLogSaysThatItServes) {
  const TemporaryDirectory directory;
  const std::string log = directory.path() + "/log";
  const int port = FreePort();
  for (int start = 0; start < 5; ++start) {
    ChildProcess server({"/bin/bash", "-c",
                         absl::StrCat("exec ", MillraceBinary(), " server --data-dir ",
                                      directory.path(), "/data --listen 127.0.0.1:0 --set ",
                                      "http.listener=127.0.0.1:", port, " 2>", log)});
    const absl::Time deadline = absl::Now() + absl::Seconds(30);
    // As often as it can be: what lies between the two is short.
    while (HttpGet(port, "/readyz").status != 200) ASSERT_LT(absl::Now(), deadline);
    std::stringstream said;
    said << std::ifstream(log).rdbuf();
    EXPECT_THAT(said.str(), HasSubstr("message=serving"));
    server.Signal(SIGTERM);
    EXPECT_EQ(server.WaitForExit(absl::Seconds(30)), 0);
  }
}

TEST(LifecycleTest, MetricsFollowPrometheusConventions) {
  ServerProcess server;
  ASSERT_OK(server.Start());
  ApiClient client(server.address());
  ASSERT_OK(client.CreateTopic(kTopic));
  ASSERT_OK(client.ProduceValues(kTopic, 0, {"x"}));
  ASSERT_OK(client.Fetch(kTopic, 0, 0));
  const HttpResponse response = HttpGet(server.http_port(), "/metrics");
  ASSERT_EQ(response.status, 200);
  std::set<std::string> described;
  std::map<std::string, std::string> types;
  // Base units only: seconds and bytes, never milliseconds or kilobytes.
  const std::regex name_rule("millrace(_[a-z0-9]+)+");
  const std::regex other_unit(
      ".*_(ms|millis|milliseconds|us|micros|ns|nanos|kb|kib|mb|mib|percent)(_.*)?");
  const std::vector<std::string> lines = absl::StrSplit(response.body, '\n', absl::SkipEmpty());
  for (const std::string& line : lines) {
    const std::vector<std::string> words = absl::StrSplit(line, ' ');
    if (absl::StartsWith(line, "# HELP ")) {
      described.insert(words[2]);
      EXPECT_GT(words.size(), 3u) << "without a description: " << line;
    } else if (absl::StartsWith(line, "# TYPE ")) {
      types[words[2]] = words[3];
      EXPECT_EQ(described.count(words[2]), 1u) << "without HELP: " << line;
      EXPECT_TRUE(std::regex_match(words[2], name_rule)) << line;
      EXPECT_FALSE(std::regex_match(words[2], other_unit)) << line;
      EXPECT_EQ(words[3] == "counter", absl::EndsWith(words[2], "_total")) << line;
    } else {
      std::string name = line.substr(0, line.find_first_of("{ "));
      for (const char* suffix : {"_bucket", "_sum", "_count"}) {
        const std::string family = name.substr(0, name.size() - strlen(suffix));
        if (absl::EndsWith(name, suffix) && types.count(family) == 1) name = family;
      }
      EXPECT_EQ(types.count(name), 1u) << "without TYPE: " << line;
    }
  }
  EXPECT_EQ(MetricValue(server.http_port(), "millrace_build_info"), 1);
  EXPECT_GE(MetricValue(server.http_port(), "millrace_memory_budget_limit_bytes"), 1 << 20);
}

TEST(LifecycleTest, GrpcHealthSaysServing) {
  ServerProcess server;
  ASSERT_OK(server.Start());
  ApiClient client(server.address());
  const auto health = grpc::health::v1::Health::NewStub(client.channel());
  for (const char* service : {"", "millrace.v1.LogService", "millrace.v1.AdminService"}) {
    grpc::health::v1::HealthCheckRequest request;
    request.set_service(service);
    grpc::health::v1::HealthCheckResponse response;
    EXPECT_TRUE(health->Check(NewContext().get(), request, &response).ok()) << service;
    EXPECT_EQ(response.status(), grpc::health::v1::HealthCheckResponse::SERVING) << service;
  }
  grpc::health::v1::HealthCheckRequest unknown;
  unknown.set_service("millrace.v1.NoService");
  grpc::health::v1::HealthCheckResponse response;
  EXPECT_EQ(health->Check(NewContext().get(), unknown, &response).error_code(),
            grpc::StatusCode::NOT_FOUND);
}

TEST(LifecycleTest, ReflectionListsAllServices) {
  ServerProcess server;
  ASSERT_OK(server.Start());
  ApiClient client(server.address());
  const auto stub = grpc::reflection::v1alpha::ServerReflection::NewStub(client.channel());
  const auto context = NewContext();
  auto stream = stub->ServerReflectionInfo(context.get());
  grpc::reflection::v1alpha::ServerReflectionRequest request;
  request.set_list_services("");
  ASSERT_TRUE(stream->Write(request));
  grpc::reflection::v1alpha::ServerReflectionResponse response;
  ASSERT_TRUE(stream->Read(&response));
  std::vector<std::string> names;
  for (const auto& service : response.list_services_response().service()) {
    names.push_back(service.name());
  }
  EXPECT_THAT(names, IsSupersetOf({"millrace.v1.LogService", "millrace.v1.AdminService",
                                   "grpc.health.v1.Health"}));
  request.set_file_containing_symbol("millrace.v1.LogService");
  ASSERT_TRUE(stream->Write(request));
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_GE(response.file_descriptor_response().file_descriptor_proto_size(), 2);
  stream->WritesDone();
  EXPECT_TRUE(stream->Finish().ok());
}

}  // namespace
}  // namespace millrace::test
