// Counters: what is measured, without a lock or an atomic read-modify-write on the hot path.
//
// Each strand asks a registry once for its own cells (Counter, Gauge, Histogram) and writes only
// those; the scrape reads all cells and merges those of equal name and labels. Names follow
// Prometheus's conventions: millrace_..._total, _seconds, _bytes.
//
// Thread: a cell has one writer; MetricRegistry is for any thread (a mutex, held at registration
// and scrape only). Cells live as long as the registry.
#ifndef BASE_COUNTERS_H_
#define BASE_COUNTERS_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace millrace {

// Sorted by name by the registry.
using MetricLabels = std::vector<std::pair<std::string, std::string>>;

class Counter {
 public:
  void Add(int64_t delta = 1) {
    value_.store(value_.load(std::memory_order_relaxed) + delta, std::memory_order_relaxed);
  }
  int64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<int64_t> value_{0};
};

// A level. Cells of equal name and labels are summed.
class Gauge {
 public:
  void Set(double value) { value_.store(value, std::memory_order_relaxed); }
  void Add(double delta) { Set(value() + delta); }
  double value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<double> value_{0};
};

// A distribution over fixed buckets, each twice as wide as the one before: bucket i counts values
// up to `unit` * 2^i, the last all beyond.
class Histogram {
 public:
  static constexpr int kBuckets = 28;

  // `unit`: upper bound of the first bucket (0.000010 for seconds from 10 us to 22 min).
  explicit Histogram(double unit) : unit_(unit) {}
  void Record(double value);

  double unit() const { return unit_; }
  double sum() const { return sum_.load(std::memory_order_relaxed); }
  int64_t bucket(int i) const { return counts_[i].load(std::memory_order_relaxed); }

 private:
  const double unit_;
  std::atomic<double> sum_{0};
  std::array<std::atomic<int64_t>, kBuckets> counts_{};
};

struct MetricSample {
  enum class Kind { kCounter, kGauge, kHistogram };
  std::string name;
  std::string help;
  Kind kind = Kind::kCounter;
  MetricLabels labels;
  double value = 0;  // Counter, gauge; a histogram's sum.
  // Histogram only: upper bounds and counts per bucket (not cumulative); the last bound is +inf.
  std::vector<double> bounds;
  std::vector<int64_t> counts;
};

class MetricRegistry {
 public:
  // Each call makes a new cell. The references stay valid for the registry's life.
  Counter& AddCounter(std::string name, std::string help, MetricLabels labels = {});
  Gauge& AddGauge(std::string name, std::string help, MetricLabels labels = {});
  Histogram& AddHistogram(std::string name, std::string help, double unit,
                          MetricLabels labels = {});
  // A gauge for something that goes again: served as long as the caller holds it.
  std::shared_ptr<Gauge> MakeGauge(std::string name, std::string help, MetricLabels labels = {});
  // Called at each scrape, on the scraping thread: for values that are known elsewhere already.
  void AddCallback(std::string name, std::string help, MetricSample::Kind kind,
                   std::function<double()> read, MetricLabels labels = {});

  // Merged, sorted by name, then labels.
  std::vector<MetricSample> Collect() const;

 private:
  struct Meta {
    std::string name;
    std::string help;
    MetricLabels labels;
  };
  struct Callback {
    Meta meta;
    MetricSample::Kind kind;
    std::function<double()> read;
  };
  mutable std::mutex mutex_;
  std::deque<std::pair<Meta, Counter>> counters_;
  std::deque<std::pair<Meta, Gauge>> gauges_;
  std::deque<std::pair<Meta, Histogram>> histograms_;
  std::deque<Callback> callbacks_;
  // Those that have gone are forgotten when their number has doubled.
  std::vector<std::pair<Meta, std::weak_ptr<Gauge>>> passing_;
  size_t sweep_at_ = 64;
};

}  // namespace millrace

#endif  // BASE_COUNTERS_H_
