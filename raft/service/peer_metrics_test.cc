#include "raft/service/peer_metrics.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::raft {
namespace {

TEST(PeerMetricsTest, CountsPerPeer) {
  MetricRegistry registry;
  PeerMetrics metrics(&registry);
  metrics.Of(NodeId(1)).messages_sent.Add(2);
  metrics.Of(NodeId(2)).messages_sent.Add(3);
  metrics.Of(NodeId(1)).messages_sent.Add(5);
  double of_one = 0;
  for (const MetricSample& sample : registry.Collect()) {
    if (sample.name != "millrace_raft_messages_sent_total") continue;
    if (sample.labels == MetricLabels{{"peer", "1"}}) of_one = sample.value;
  }
  EXPECT_EQ(of_one, 7);
}

TEST(PeerMetricsTest, InventedNodeIdsMakeNoEndOfMetrics) {
  MetricRegistry registry;
  PeerMetrics metrics(&registry);
  for (int32_t node = 0; node < 1000; ++node) metrics.Of(NodeId(node)).messages_dropped.Add();
  size_t samples = 0;
  for (const MetricSample& sample : registry.Collect()) {
    if (sample.name == "millrace_raft_messages_dropped_total") ++samples;
  }
  EXPECT_EQ(samples, PeerMetrics::kPeersMax + 1);
  EXPECT_EQ(metrics.Of(NodeId(999)).messages_dropped.value(), 1000 - PeerMetrics::kPeersMax);
}

}  // namespace
}  // namespace millrace::raft
