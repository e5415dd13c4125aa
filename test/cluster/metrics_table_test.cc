// Every metric that a server serves stands in docs/metrics.md, with its kind, and the other way
// round: nothing is served that nobody can look up.
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "test/cluster/api_client.h"
#include "test/cluster/server_process.h"
#include "test/cluster/tcp_connection.h"

namespace millrace::test {
namespace {

// Name and kind of each row "| `name` | kind ... |".
std::map<std::string, std::string> Documented() {
  std::ifstream file("docs/metrics.md");
  std::stringstream text;
  text << file.rdbuf();
  std::map<std::string, std::string> kinds;
  const std::string content = text.str();
  for (absl::string_view line : absl::StrSplit(content, '\n')) {
    if (!absl::ConsumePrefix(&line, "| `")) continue;
    const std::vector<std::string> cells = absl::StrSplit(line, "` | ");
    if (cells.size() < 2) continue;
    const std::vector<std::string> words = absl::StrSplit(cells[1], absl::ByAnyChar(", |"));
    kinds[cells[0]] = words[0];
  }
  return kinds;
}

// From the lines "# TYPE name kind".
std::map<std::string, std::string> Served(int http_port) {
  std::map<std::string, std::string> kinds;
  const HttpResponse response = HttpGet(http_port, "/metrics");
  for (absl::string_view line : absl::StrSplit(response.body, '\n')) {
    if (!absl::ConsumePrefix(&line, "# TYPE ")) continue;
    const std::vector<std::string> words = absl::StrSplit(line, ' ');
    kinds[words.at(0)] = words.at(1);
  }
  return kinds;
}

TEST(MetricsTableTest, WhatIsServedIsDocumented) {
  ServerProcess server({"metrics.partitions.max=2"});
  ASSERT_OK(server.Start());
  ApiClient client(server.address());
  ASSERT_OK(client.CreateTopic("t", 5));
  ASSERT_OK(client.ProduceValues("t", 0, {"a", "b"}));
  ASSERT_OK(client.ReadValues("t", 0));
  // Refused, so that there are errors to count.
  EXPECT_FALSE(client.ProduceBatches("t", 0, "no batch").ok());
  EXPECT_FALSE(client.Fetch("t", 0, 1000).ok());

  const std::map<std::string, std::string> documented = Documented();
  const std::map<std::string, std::string> served = Served(server.http_port());
  ASSERT_GT(served.size(), 20u);
  for (const auto& [name, kind] : served) {
    const auto row = documented.find(name);
    ASSERT_NE(row, documented.end()) << name << " is not in docs/metrics.md";
    EXPECT_EQ(row->second, kind) << name;
    EXPECT_TRUE(absl::StartsWith(name, "millrace_")) << name;
    EXPECT_EQ(kind == "counter", absl::EndsWith(name, "_total")) << name;
  }
  for (const auto& [name, kind] : documented) {
    // What needs other nodes is held to the table by health_metrics_test.sh, TLS by tls_test.sh.
    if (absl::StartsWith(name, "millrace_raft_") || absl::StartsWith(name, "millrace_tls_") ||
        absl::StartsWith(name, "millrace_quorum_follower_") ||
        absl::StartsWith(name, "millrace_replication_follower_lag_")) {
      EXPECT_FALSE(served.contains(name)) << name;
      continue;
    }
    EXPECT_TRUE(served.contains(name)) << name << " is documented as a " << kind;
  }
  // Five partitions, two of them told of.
  const std::string text = HttpGet(server.http_port(), "/metrics").body;
  const std::vector<std::string> parts = absl::StrSplit(text, "millrace_log_end_offset{");
  EXPECT_LE(parts.size() - 1, 4u) << "rounded up to the shards";
  EXPECT_GE(MetricValue(server.http_port(), "millrace_broker_replicas_without_metrics"), 1);
  EXPECT_EQ(MetricValue(server.http_port(), "millrace_broker_produce_copied_bytes_total"), 0);
}

}  // namespace
}  // namespace millrace::test
