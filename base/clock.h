// Clock: the seam through which shells learn the time. Cores are handed `now` instead.
//
// Real side: base/system_clock.h. Simulated: virtual time with skew, drift and jumps.
//
// Thread: any.
#ifndef BASE_CLOCK_H_
#define BASE_CLOCK_H_

#include "base/monotonic_time.h"

namespace millrace {

class Clock {
 public:
  virtual ~Clock() = default;

  virtual MonotonicTime Now() const = 0;
  virtual WallTime WallNow() const = 0;
};

}  // namespace millrace

#endif  // BASE_CLOCK_H_
