#include "broker/shard_metrics.h"

#include <string>

#include "gtest/gtest.h"

namespace millrace::broker {
namespace {

double ValueOf(const MetricRegistry& registry, const std::string& name) {
  for (const MetricSample& sample : registry.Collect()) {
    if (sample.name == name) return sample.value;
  }
  return -1;
}

TEST(ShardMetricsTest, CountsAnswersBytesAndErrorsByCode) {
  MetricRegistry registry;
  ShardMetrics metrics(&registry);
  metrics.produce.Answered(ErrorCode::kNone, absl::Milliseconds(1), 100);
  metrics.produce.Answered(ErrorCode::kCorruptMessage, absl::Milliseconds(1), 50);
  metrics.produce.Answered(ErrorCode::kCorruptMessage, absl::Milliseconds(1), 50);
  metrics.produce.Records(3);
  EXPECT_EQ(ValueOf(registry, "millrace_broker_produce_requests_total"), 3);
  EXPECT_EQ(ValueOf(registry, "millrace_broker_produce_bytes_total"), 100);
  EXPECT_EQ(ValueOf(registry, "millrace_broker_produce_records_total"), 3);
  EXPECT_EQ(ValueOf(registry, "millrace_broker_produce_errors_total"), 2);
  EXPECT_EQ(ValueOf(registry, "millrace_broker_fetch_requests_total"), 0);
}

TEST(ShardMetricsTest, WithoutARegistryNothingIsCounted) {
  ShardMetrics metrics(nullptr);
  metrics.fetch.Answered(ErrorCode::kNone, absl::Milliseconds(1), 1);
  metrics.fetch.Records(1);
  EXPECT_EQ(metrics.leaders, nullptr);
}

}  // namespace
}  // namespace millrace::broker
