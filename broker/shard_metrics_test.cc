#include "broker/shard_metrics.h"

#include <map>
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

TEST(ShardMetricsTest, EachStageOfAProduceIsTimedForItself) {
  MetricRegistry registry;
  ShardMetrics metrics(&registry);
  const MonotonicTime staged = MonotonicTime() + absl::Milliseconds(10);
  const auto after = [&](int ms) { return staged + absl::Milliseconds(ms); };
  metrics.Acknowledged(staged, MonotonicTime(), after(3));
  metrics.Acknowledged(staged, after(1), after(8));
  std::map<std::string, double> sums;
  for (const MetricSample& sample : registry.Collect()) {
    if (sample.name == "millrace_broker_produce_stage_seconds") {
      sums[sample.labels.at(0).second] = sample.value;
    }
  }
  EXPECT_EQ(sums.size(), 5u);
  EXPECT_DOUBLE_EQ(sums["sync"], 0.004);
  EXPECT_DOUBLE_EQ(sums["replicate"], 0.007);
  EXPECT_EQ(sums["queue"], 0);
}

TEST(ShardMetricsTest, EachStageOfAFetchIsTimedForItself) {
  MetricRegistry registry;
  ShardMetrics metrics(&registry);
  metrics.Stage(FetchStage::kWait, absl::Milliseconds(3));
  std::map<std::string, double> sums;
  for (const MetricSample& sample : registry.Collect()) {
    if (sample.name == "millrace_broker_fetch_stage_seconds") {
      sums[sample.labels.at(0).second] = sample.value;
    }
  }
  EXPECT_EQ(sums, (std::map<std::string, double>{
                      {"queue", 0}, {"read", 0}, {"reply", 0}, {"wait", 0.003}}));
}

TEST(ShardMetricsTest, APartitionIsServedAsLongAsItIsHeld) {
  MetricRegistry registry;
  {
    PartitionMetrics metrics(&registry, "orders", PartitionIndex(7));
    metrics.Set(1000, Offset(1), Offset(6));
    metrics.high_watermark()->Set(5);
    EXPECT_EQ(ValueOf(registry, "millrace_log_size_bytes"), 1000);
    EXPECT_EQ(ValueOf(registry, "millrace_log_start_offset"), 1);
    EXPECT_EQ(ValueOf(registry, "millrace_log_high_watermark"), 5);
    EXPECT_EQ(ValueOf(registry, "millrace_log_end_offset"), 6);
    EXPECT_EQ(registry.Collect()[0].labels,
              (MetricLabels{{"partition", "7"}, {"topic", "orders"}}));
  }
  EXPECT_TRUE(registry.Collect().empty());
}

TEST(ShardMetricsTest, WithoutARegistryNothingIsCounted) {
  ShardMetrics metrics(nullptr);
  metrics.fetch.Answered(ErrorCode::kNone, absl::Milliseconds(1), 1);
  metrics.fetch.Records(1);
  metrics.Stage(ProduceStage::kQueue, absl::Milliseconds(1));
  EXPECT_EQ(metrics.leaders, nullptr);
}

}  // namespace
}  // namespace millrace::broker
