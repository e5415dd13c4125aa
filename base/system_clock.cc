#include "base/system_clock.h"

#include <chrono>

namespace millrace {

MonotonicTime SystemClock::Now() const {
  const auto since = std::chrono::steady_clock::now().time_since_epoch();
  return MonotonicTime::FromNanos(
      std::chrono::duration_cast<std::chrono::nanoseconds>(since).count());
}

WallTime SystemClock::WallNow() const {
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  return {std::chrono::duration_cast<std::chrono::milliseconds>(since).count()};
}

}  // namespace millrace
