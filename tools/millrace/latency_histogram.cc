#include "tools/millrace/latency_histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace millrace::tools {
namespace {

// Each power of two has so many buckets, as a power of two.
constexpr int kSubBits = 7;
constexpr size_t kSubBuckets = size_t{1} << kSubBits;

}  // namespace

LatencyHistogram::LatencyHistogram() : buckets_((64 - kSubBits) * kSubBuckets, 0) {}

// Values below kSubBuckets have a bucket each; above, the leading one bit chooses the octave and
// the kSubBits bits after it the bucket in it.
size_t LatencyHistogram::BucketOf(uint64_t value) {
  if (value < kSubBuckets) return value;
  const int shift = std::bit_width(value) - 1 - kSubBits;
  return (static_cast<size_t>(shift) << kSubBits) + (value >> shift);
}

int64_t LatencyHistogram::EndOf(size_t bucket) {
  if (bucket < kSubBuckets) return static_cast<int64_t>(bucket);
  const size_t shift = (bucket >> kSubBits) - 1;
  const uint64_t top = (bucket & (kSubBuckets - 1)) | kSubBuckets;
  return static_cast<int64_t>(((top + 1) << shift) - 1);
}

void LatencyHistogram::Record(int64_t nanoseconds) {
  nanoseconds = std::max<int64_t>(nanoseconds, 0);
  ++buckets_[BucketOf(static_cast<uint64_t>(nanoseconds))];
  ++count_;
  max_ = std::max(max_, nanoseconds);
}

void LatencyHistogram::Merge(const LatencyHistogram& other) {
  for (size_t i = 0; i < buckets_.size(); ++i) buckets_[i] += other.buckets_[i];
  count_ += other.count_;
  max_ = std::max(max_, other.max_);
}

int64_t LatencyHistogram::Percentile(double fraction) const {
  const auto wanted = static_cast<int64_t>(std::ceil(fraction * static_cast<double>(count_)));
  int64_t seen = 0;
  for (size_t i = 0; i < buckets_.size(); ++i) {
    seen += buckets_[i];
    if (seen >= wanted && seen > 0) return std::min(EndOf(i), max_);
  }
  return max_;
}

}  // namespace millrace::tools
