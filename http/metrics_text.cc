#include "http/metrics_text.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <cstddef>

namespace millrace::http {
namespace {

prometheus::MetricType TypeOf(MetricSample::Kind kind) {
  switch (kind) {
    case MetricSample::Kind::kCounter:
      return prometheus::MetricType::Counter;
    case MetricSample::Kind::kGauge:
      return prometheus::MetricType::Gauge;
    case MetricSample::Kind::kHistogram:
      return prometheus::MetricType::Histogram;
  }
  return prometheus::MetricType::Untyped;
}

prometheus::ClientMetric ToClientMetric(const MetricSample& sample) {
  prometheus::ClientMetric metric;
  for (const auto& [name, value] : sample.labels) {
    prometheus::ClientMetric::Label& label = metric.label.emplace_back();
    label.name = name;
    label.value = value;
  }
  switch (sample.kind) {
    case MetricSample::Kind::kCounter:
      metric.counter.value = sample.value;
      break;
    case MetricSample::Kind::kGauge:
      metric.gauge.value = sample.value;
      break;
    case MetricSample::Kind::kHistogram: {
      uint64_t cumulative = 0;
      for (size_t i = 0; i < sample.counts.size(); ++i) {
        cumulative += static_cast<uint64_t>(sample.counts[i]);
        prometheus::ClientMetric::Bucket bucket;
        bucket.upper_bound = sample.bounds[i];
        bucket.cumulative_count = cumulative;
        metric.histogram.bucket.push_back(bucket);
      }
      metric.histogram.sample_count = cumulative;
      metric.histogram.sample_sum = sample.value;
      break;
    }
  }
  return metric;
}

}  // namespace

std::string MetricsText(const std::vector<MetricSample>& samples) {
  std::vector<prometheus::MetricFamily> families;
  for (const MetricSample& sample : samples) {
    if (families.empty() || families.back().name != sample.name) {
      prometheus::MetricFamily& family = families.emplace_back();
      family.name = sample.name;
      family.help = sample.help;
      family.type = TypeOf(sample.kind);
    }
    families.back().metric.push_back(ToClientMetric(sample));
  }
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace millrace::http
