// LatencyHistogram: counts of durations, with percentiles that are exact to one part in 128.
//
// Buckets are linear within each power of two, so that microseconds and minutes keep the same
// relative precision in a few thousand counters. Not here: when a duration begins. To be free of
// coordinated omission, callers count from the time at which an operation was meant to start.
//
// Thread: one at a time.
// Source: the layout of HdrHistogram (Gil Tene).
#ifndef TOOLS_MILLRACE_LATENCY_HISTOGRAM_H_
#define TOOLS_MILLRACE_LATENCY_HISTOGRAM_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace millrace::tools {

class LatencyHistogram {
 public:
  LatencyHistogram();

  // Negative values count as 0.
  void Record(int64_t nanoseconds);
  // Adds all that `other` counted.
  void Merge(const LatencyHistogram& other);

  int64_t count() const { return count_; }
  // Exact; 0 if nothing was recorded.
  int64_t max() const { return max_; }
  // The smallest bucket end that at least `fraction` of the values do not exceed, never above
  // max(). 0 if nothing was recorded. REQUIRES: 0 < fraction <= 1.
  int64_t Percentile(double fraction) const;

 private:
  static size_t BucketOf(uint64_t value);
  static int64_t EndOf(size_t bucket);

  std::vector<int64_t> buckets_;
  int64_t count_ = 0;
  int64_t max_ = 0;
};

}  // namespace millrace::tools

#endif  // TOOLS_MILLRACE_LATENCY_HISTOGRAM_H_
