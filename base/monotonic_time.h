// The two notions of time: MonotonicTime for deadlines, WallTime for what users see.
//
// Cores take MonotonicTime as an argument (`now`) and offer deadlines; they never read a clock.
// WallTime is a record's timestamp unit: milliseconds since the Unix epoch.
//
// Thread: any (values).
#ifndef BASE_MONOTONIC_TIME_H_
#define BASE_MONOTONIC_TIME_H_

#include <compare>
#include <cstdint>
#include <limits>
#include <ostream>

#include "absl/time/time.h"

namespace millrace {

// Nanoseconds since an arbitrary origin of this process (or simulated world).
class MonotonicTime {
 public:
  constexpr MonotonicTime() = default;
  static constexpr MonotonicTime FromNanos(int64_t nanos) { return MonotonicTime(nanos); }
  // Later than every other time: "no deadline".
  static constexpr MonotonicTime Never() {
    return MonotonicTime(std::numeric_limits<int64_t>::max());
  }

  constexpr int64_t nanos() const { return nanos_; }

  friend constexpr auto operator<=>(MonotonicTime, MonotonicTime) = default;
  friend MonotonicTime operator+(MonotonicTime t, absl::Duration d) {
    if (t == Never() || d == absl::InfiniteDuration()) return Never();
    return MonotonicTime(t.nanos_ + absl::ToInt64Nanoseconds(d));
  }
  friend MonotonicTime operator-(MonotonicTime t, absl::Duration d) {
    if (t == Never()) return Never();
    return MonotonicTime(t.nanos_ - absl::ToInt64Nanoseconds(d));
  }
  friend absl::Duration operator-(MonotonicTime a, MonotonicTime b) {
    if (a == Never() && b != Never()) return absl::InfiniteDuration();
    return absl::Nanoseconds(a.nanos_ - b.nanos_);
  }
  friend std::ostream& operator<<(std::ostream& out, MonotonicTime t) {
    return out << t.nanos_ << "ns";
  }

 private:
  constexpr explicit MonotonicTime(int64_t nanos) : nanos_(nanos) {}
  int64_t nanos_ = 0;
};

// Milliseconds since 1970-01-01 UTC, as in a record's timestamp. May jump.
struct WallTime {
  int64_t ms = 0;

  friend constexpr auto operator<=>(WallTime, WallTime) = default;
  friend std::ostream& operator<<(std::ostream& out, WallTime t) { return out << t.ms << "ms"; }
};

}  // namespace millrace

#endif  // BASE_MONOTONIC_TIME_H_
