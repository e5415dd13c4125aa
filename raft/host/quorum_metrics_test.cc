#include "raft/host/quorum_metrics.h"

#include <map>
#include <string>

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "raft/host/testing/quorum_bed.h"

namespace millrace::raft {
namespace {

std::map<std::string, double> Values(const MetricRegistry& registry) {
  std::map<std::string, double> values;
  for (const MetricSample& sample : registry.Collect()) {
    values[sample.labels.empty() ? sample.name : sample.name + "/" + sample.labels[0].second] =
        sample.value;
  }
  return values;
}

TEST(QuorumMetricsTest, ALeaderShowsItsTermAndHowFarItsFollowersAre) {
  testing::QuorumBed bed;
  ASSERT_TRUE(bed.Settle());
  MetricRegistry registry;
  QuorumMetrics metrics(registry);
  EXPECT_EQ(Values(registry)["millrace_quorum_leader_id"], -1);
  const Node& leader = bed.log(bed.leader()).node();
  metrics.Update(leader);
  auto values = Values(registry);
  EXPECT_EQ(values["millrace_quorum_term"], leader.term().value());
  EXPECT_EQ(values["millrace_quorum_role"], 2);
  EXPECT_EQ(values["millrace_quorum_leader_id"], bed.leader());
  EXPECT_EQ(values["millrace_quorum_commit_index"], leader.commit().value());
  const int follower = bed.leader() == 1 ? 2 : 1;
  EXPECT_EQ(values.count("millrace_quorum_follower_lag_entries/" + std::to_string(follower)), 1u);
  metrics.Update(bed.log(follower).node());
  values = Values(registry);
  EXPECT_EQ(values["millrace_quorum_role"], 0);
  EXPECT_EQ(values.count("millrace_quorum_follower_lag_entries/" + std::to_string(follower)), 0u);
}

TEST(QuorumMetricsTest, CommitLatencyIsOfTheLeadersOwnEntriesOnly) {
  MetricRegistry registry;
  QuorumMetrics metrics(registry);
  const MonotonicTime start = MonotonicTime::FromNanos(1'000'000'000);
  metrics.OnAppended(LogIndex(5), start);
  metrics.OnAppended(LogIndex(6), start);
  metrics.OnCommitted(LogIndex(5), start + absl::Seconds(2));
  EXPECT_EQ(Values(registry)["millrace_quorum_commit_seconds"], 2);
  metrics.OnLostLeadership();
  metrics.OnCommitted(LogIndex(6), start + absl::Seconds(3));
  EXPECT_EQ(Values(registry)["millrace_quorum_commit_seconds"], 2);
}

}  // namespace
}  // namespace millrace::raft
