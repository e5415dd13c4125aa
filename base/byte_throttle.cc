#include "base/byte_throttle.h"

#include <algorithm>
#include <cmath>

#include "absl/time/time.h"
#include "base/check.h"

namespace millrace {

void ByteThrottle::SetRate(int64_t bytes_per_s, MonotonicTime now) {
  CHECK_GE(bytes_per_s, 0);
  if (is_limited()) {
    Refill(now);
  } else {
    tokens_ = 0;
  }
  bytes_per_s_ = bytes_per_s;
  tokens_ = is_limited() ? std::min(tokens_, capacity()) : 0;
  at_ = now;
}

double ByteThrottle::capacity() const {
  return std::max(static_cast<double>(bytes_per_s_) / 10, 1.0);
}

void ByteThrottle::Refill(MonotonicTime now) {
  if (now <= at_) return;
  const double seconds = absl::ToDoubleSeconds(now - at_);
  tokens_ = std::min(tokens_ + seconds * static_cast<double>(bytes_per_s_), capacity());
  at_ = now;
}

int64_t ByteThrottle::Available(MonotonicTime now) {
  CHECK(is_limited());
  Refill(now);
  return static_cast<int64_t>(std::floor(tokens_));
}

void ByteThrottle::Spend(int64_t bytes, MonotonicTime now) {
  if (!is_limited()) return;
  Refill(now);
  tokens_ = std::min(tokens_ - static_cast<double>(bytes), capacity());
}

MonotonicTime ByteThrottle::full_at() const {
  CHECK(is_limited());
  const double missing = capacity() - tokens_;
  if (missing <= 0) return at_;
  // A nanosecond more, so that rounding does not make it a little less than full.
  return at_ + absl::Seconds(missing / static_cast<double>(bytes_per_s_)) + absl::Nanoseconds(1);
}

}  // namespace millrace
