#include "base/counters.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <tuple>

#include "base/check.h"

namespace millrace {
namespace {

// Samples by (name, labels): the order in which they are given out.
using Merged = std::map<std::pair<std::string, MetricLabels>, MetricSample>;

MetricLabels Sorted(MetricLabels labels) {
  std::sort(labels.begin(), labels.end());
  return labels;
}

// The sample for this name and these labels, made if it is the first cell of them.
MetricSample& Merge(Merged& merged, const std::string& name, const std::string& help,
                    const MetricLabels& labels, MetricSample::Kind kind) {
  auto [it, is_new] = merged.try_emplace({name, labels});
  MetricSample& sample = it->second;
  if (is_new) {
    sample.name = name;
    sample.help = help;
    sample.labels = labels;
    sample.kind = kind;
  }
  CHECK(sample.kind == kind) << name << " is registered as two kinds of metric";
  return sample;
}

void MergeHistogram(const Histogram& histogram, MetricSample& sample) {
  if (sample.counts.empty()) {
    sample.counts.resize(Histogram::kBuckets);
    double bound = histogram.unit();
    for (int i = 0; i + 1 < Histogram::kBuckets; ++i, bound *= 2) sample.bounds.push_back(bound);
    sample.bounds.push_back(std::numeric_limits<double>::infinity());
  }
  CHECK_EQ(sample.bounds[0], histogram.unit()) << sample.name << " has cells of two units";
  sample.value += histogram.sum();
  for (int i = 0; i < Histogram::kBuckets; ++i) sample.counts[i] += histogram.bucket(i);
}

}  // namespace

void Histogram::Record(double value) {
  // Negative (a clock that jumped) and NaN count as zero: a sum that is spoilt once stays so.
  if (!(value > 0)) value = 0;
  int index = 0;
  const double ratio = value / unit_;
  if (ratio >= static_cast<double>(int64_t{1} << (kBuckets - 1))) {
    index = kBuckets - 1;
  } else if (ratio > 1) {
    // ratio = fraction * 2^exponent with fraction in [0.5, 1); a power of two belongs to the bucket
    // that it bounds, all else to the next.
    const double fraction = std::frexp(ratio, &index);
    if (fraction == 0.5) --index;
  }
  sum_.store(sum_.load(std::memory_order_relaxed) + value, std::memory_order_relaxed);
  counts_[index].store(bucket(index) + 1, std::memory_order_relaxed);
}

Counter& MetricRegistry::AddCounter(std::string name, std::string help, MetricLabels labels) {
  std::lock_guard<std::mutex> lock(mutex_);
  return counters_
      .emplace_back(
          std::piecewise_construct,
          std::forward_as_tuple(Meta{std::move(name), std::move(help), Sorted(std::move(labels))}),
          std::forward_as_tuple())
      .second;
}

Gauge& MetricRegistry::AddGauge(std::string name, std::string help, MetricLabels labels) {
  std::lock_guard<std::mutex> lock(mutex_);
  return gauges_
      .emplace_back(
          std::piecewise_construct,
          std::forward_as_tuple(Meta{std::move(name), std::move(help), Sorted(std::move(labels))}),
          std::forward_as_tuple())
      .second;
}

Histogram& MetricRegistry::AddHistogram(std::string name, std::string help, double unit,
                                        MetricLabels labels) {
  CHECK_GT(unit, 0) << name;
  std::lock_guard<std::mutex> lock(mutex_);
  return histograms_
      .emplace_back(
          std::piecewise_construct,
          std::forward_as_tuple(Meta{std::move(name), std::move(help), Sorted(std::move(labels))}),
          std::forward_as_tuple(unit))
      .second;
}

std::shared_ptr<Gauge> MetricRegistry::MakeGauge(std::string name, std::string help,
                                                 MetricLabels labels) {
  auto gauge = std::make_shared<Gauge>();
  std::lock_guard<std::mutex> lock(mutex_);
  if (passing_.size() >= sweep_at_) {
    std::erase_if(passing_, [](const auto& entry) { return entry.second.expired(); });
    sweep_at_ = std::max(sweep_at_, passing_.size() * 2);
  }
  passing_.emplace_back(Meta{std::move(name), std::move(help), Sorted(std::move(labels))}, gauge);
  return gauge;
}

void MetricRegistry::AddCallback(std::string name, std::string help, MetricSample::Kind kind,
                                 std::function<double()> read, MetricLabels labels) {
  CHECK(kind != MetricSample::Kind::kHistogram) << name;
  std::lock_guard<std::mutex> lock(mutex_);
  callbacks_.push_back(
      {{std::move(name), std::move(help), Sorted(std::move(labels))}, kind, std::move(read)});
}

std::vector<MetricSample> MetricRegistry::Collect() const {
  Merged merged;
  std::deque<Callback> callbacks;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    for (const auto& [meta, cell] : counters_) {
      Merge(merged, meta.name, meta.help, meta.labels, MetricSample::Kind::kCounter).value +=
          static_cast<double>(cell.value());
    }
    for (const auto& [meta, cell] : gauges_) {
      Merge(merged, meta.name, meta.help, meta.labels, MetricSample::Kind::kGauge).value +=
          cell.value();
    }
    for (const auto& [meta, cell] : histograms_) {
      MergeHistogram(
          cell, Merge(merged, meta.name, meta.help, meta.labels, MetricSample::Kind::kHistogram));
    }
    for (const auto& [meta, held] : passing_) {
      const std::shared_ptr<Gauge> cell = held.lock();
      if (cell == nullptr) continue;
      Merge(merged, meta.name, meta.help, meta.labels, MetricSample::Kind::kGauge).value +=
          cell->value();
    }
    callbacks = callbacks_;
  }
  // Outside the lock: a callback may be slow, or register a metric itself.
  for (const Callback& callback : callbacks) {
    const Meta& meta = callback.meta;
    Merge(merged, meta.name, meta.help, meta.labels, callback.kind).value += callback.read();
  }
  std::vector<MetricSample> samples;
  samples.reserve(merged.size());
  for (auto& [key, sample] : merged) samples.push_back(std::move(sample));
  return samples;
}

}  // namespace millrace
