#include "http/metrics_text.h"

#include <limits>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::http {
namespace {

using testing::HasSubstr;

TEST(MetricsText, WritesCountersAndGaugesWithLabels) {
  MetricRegistry metrics;
  metrics.AddCounter("millrace_records_total", "Records.", {{"topic", "orders"}}).Add(7);
  metrics.AddCounter("millrace_records_total", "Records.", {{"topic", "visits"}}).Add(9);
  metrics.AddGauge("millrace_connections", "Open.").Set(2.5);
  const std::string text = MetricsText(metrics.Collect());
  EXPECT_THAT(text, HasSubstr("# TYPE millrace_records_total counter\n"));
  EXPECT_THAT(text, HasSubstr("# HELP millrace_records_total Records.\n"));
  EXPECT_THAT(text, HasSubstr("millrace_records_total{topic=\"orders\"} 7"));
  EXPECT_THAT(text, HasSubstr("millrace_records_total{topic=\"visits\"} 9"));
  EXPECT_THAT(text, HasSubstr("millrace_connections 2.5"));
  // One family, however many cells.
  EXPECT_EQ(text.find("# TYPE millrace_records_total"),
            text.rfind("# TYPE millrace_records_total"));
}

TEST(MetricsText, EscapesLabelValues) {
  MetricRegistry metrics;
  metrics.AddGauge("g", "h", {{"name", "a\"b\\c\nd"}}).Set(1);
  EXPECT_THAT(MetricsText(metrics.Collect()), HasSubstr(R"(g{name="a\"b\\c\nd"} 1)"));
}

TEST(MetricsText, MakesHistogramBucketsCumulative) {
  MetricSample sample;
  sample.name = "millrace_latency_seconds";
  sample.kind = MetricSample::Kind::kHistogram;
  sample.value = 4.5;
  sample.bounds = {0.5, 1, std::numeric_limits<double>::infinity()};
  sample.counts = {3, 0, 2};
  const std::string text = MetricsText({sample});
  EXPECT_THAT(text, HasSubstr("millrace_latency_seconds_bucket{le=\"0.5\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("millrace_latency_seconds_bucket{le=\"1\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("millrace_latency_seconds_bucket{le=\"+Inf\"} 5\n"));
  EXPECT_THAT(text, HasSubstr("millrace_latency_seconds_count 5\n"));
  EXPECT_THAT(text, HasSubstr("millrace_latency_seconds_sum 4.5\n"));
}

}  // namespace
}  // namespace millrace::http
