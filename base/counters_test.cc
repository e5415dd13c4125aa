#include "base/counters.h"

#include <cmath>
#include <limits>
#include <numeric>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace {
namespace {

using Kind = MetricSample::Kind;

TEST(CountersTest, CellsOfEqualNameAndLabelsAreSummed) {
  MetricRegistry registry;
  registry.AddCounter("millrace_x_total", "X.", {{"a", "1"}, {"b", "2"}}).Add(3);
  registry.AddCounter("millrace_x_total", "X.", {{"b", "2"}, {"a", "1"}}).Add();
  registry.AddCounter("millrace_x_total", "X.", {{"a", "2"}}).Add(10);
  const std::vector<MetricSample> samples = registry.Collect();
  ASSERT_EQ(samples.size(), 2u);
  EXPECT_EQ(samples[0].value, 4);
  EXPECT_EQ(samples[0].labels, (MetricLabels{{"a", "1"}, {"b", "2"}}));
  EXPECT_EQ(samples[1].value, 10);
  EXPECT_EQ(samples[1].kind, Kind::kCounter);
}

TEST(CountersTest, SamplesComeSortedByNameThenLabels) {
  MetricRegistry registry;
  registry.AddGauge("millrace_b", "B.").Set(1);
  registry.AddCounter("millrace_c_total", "C.", {{"shard", "1"}}).Add(1);
  registry.AddCounter("millrace_c_total", "C.", {{"shard", "0"}}).Add(2);
  registry.AddCallback("millrace_a", "A.", Kind::kGauge, [] { return 7.0; });
  const std::vector<MetricSample> samples = registry.Collect();
  ASSERT_EQ(samples.size(), 4u);
  EXPECT_EQ(samples[0].name, "millrace_a");
  EXPECT_EQ(samples[0].value, 7);
  EXPECT_EQ(samples[0].help, "A.");
  EXPECT_EQ(samples[1].name, "millrace_b");
  EXPECT_EQ(samples[2].labels[0].second, "0");
  EXPECT_EQ(samples[3].labels[0].second, "1");
}

TEST(CountersTest, APassingGaugeIsServedAsLongAsItIsHeld) {
  MetricRegistry registry;
  std::vector<std::shared_ptr<Gauge>> held;
  for (int i = 0; i < 300; ++i) {
    std::shared_ptr<Gauge> gauge =
        registry.MakeGauge("millrace_log_bytes", "B.", {{"partition", std::to_string(i)}});
    gauge->Set(i);
    if (i % 100 == 7) held.push_back(std::move(gauge));
  }
  const std::vector<MetricSample> samples = registry.Collect();
  ASSERT_EQ(samples.size(), 3u);
  EXPECT_EQ(samples[0].value, 107);
  EXPECT_EQ(samples[1].value, 207);
  EXPECT_EQ(samples[2].value, 7);
  held.clear();
  EXPECT_TRUE(registry.Collect().empty());
}

TEST(CountersTest, ValueOnABoundBelongsToTheBucketItBounds) {
  Histogram histogram(0.5);
  histogram.Record(0);
  histogram.Record(0.5);
  histogram.Record(0.6);
  histogram.Record(1);
  histogram.Record(1.001);
  histogram.Record(2);
  EXPECT_EQ(histogram.bucket(0), 2);
  EXPECT_EQ(histogram.bucket(1), 2);
  EXPECT_EQ(histogram.bucket(2), 2);
  EXPECT_DOUBLE_EQ(histogram.sum(), 5.101);
}

TEST(CountersTest, EveryRecordedValueLiesWithinItsBucketsBounds) {
  MetricRegistry registry;
  Histogram& histogram = registry.AddHistogram("millrace_h_seconds", "H.", 0.00001);
  for (double value = 0.000001; value < 10'000; value *= 1.37) {
    std::vector<int64_t> before = registry.Collect()[0].counts;
    histogram.Record(value);
    const MetricSample after = registry.Collect()[0];
    int hit = -1;
    for (int i = 0; i < Histogram::kBuckets; ++i) {
      if (after.counts[i] != before[i]) hit = i;
    }
    ASSERT_GE(hit, 0);
    EXPECT_LE(value, after.bounds[hit]);
    if (hit > 0) {
      EXPECT_GT(value, after.bounds[hit - 1]);
    }
  }
}

TEST(CountersTest, HugeNegativeAndNotANumberAreCounted) {
  Histogram histogram(1);
  histogram.Record(1e300);
  histogram.Record(std::numeric_limits<double>::infinity());
  EXPECT_EQ(histogram.bucket(Histogram::kBuckets - 1), 2);
  Histogram other(1);
  other.Record(-5);
  other.Record(std::nan(""));
  EXPECT_EQ(other.bucket(0), 2);
  EXPECT_EQ(other.sum(), 0);
}

TEST(CountersTest, HistogramsMergeBucketByBucket) {
  MetricRegistry registry;
  registry.AddHistogram("millrace_h_bytes", "H.", 1).Record(1);
  registry.AddHistogram("millrace_h_bytes", "H.", 1).Record(3);
  const MetricSample sample = registry.Collect()[0];
  EXPECT_EQ(sample.kind, Kind::kHistogram);
  EXPECT_EQ(sample.value, 4);
  EXPECT_EQ(sample.counts[0], 1);
  EXPECT_EQ(sample.counts[2], 1);
  EXPECT_EQ(std::accumulate(sample.counts.begin(), sample.counts.end(), int64_t{0}), 2);
  EXPECT_TRUE(std::isinf(sample.bounds.back()));
}

TEST(CountersTest, ReferencesStayValidWhileMoreAreRegistered) {
  MetricRegistry registry;
  Counter& first = registry.AddCounter("millrace_first_total", "F.");
  for (int i = 0; i < 1000; ++i) registry.AddCounter("millrace_other_total", "O.");
  first.Add(5);
  EXPECT_EQ(registry.Collect()[0].value, 5);
}

TEST(CountersTest, CallbackMayRegisterAMetric) {
  MetricRegistry registry;
  registry.AddCallback("millrace_a", "A.", Kind::kGauge, [&] {
    registry.AddCounter("millrace_b_total", "B.").Add(1);
    return 1.0;
  });
  EXPECT_EQ(registry.Collect().size(), 1u);
  EXPECT_EQ(registry.Collect().size(), 2u);
}

TEST(CountersTest, ScrapeRunsBesideItsWriters) {
  MetricRegistry registry;
  constexpr int kEach = 100'000;
  std::vector<std::thread> writers;
  for (int i = 0; i < 3; ++i) {
    Counter& mine = registry.AddCounter("millrace_x_total", "X.");
    writers.emplace_back([&mine] {
      for (int n = 0; n < kEach; ++n) mine.Add();
    });
  }
  double last = 0;
  for (int i = 0; i < 100; ++i) {
    const double now = registry.Collect()[0].value;
    EXPECT_GE(now, last);
    last = now;
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(registry.Collect()[0].value, 3 * kEach);
}

TEST(CountersDeathTest, OneNameIsOneKindOfMetric) {
  MetricRegistry registry;
  registry.AddCounter("millrace_x", "X.");
  registry.AddGauge("millrace_x", "X.");
  EXPECT_DEATH(registry.Collect(), "two kinds");
}

}  // namespace
}  // namespace millrace
