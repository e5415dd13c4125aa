// SystemClock: the real Clock. Monotonic time is CLOCK_MONOTONIC's, the same that ThreadExecutor's
// timers run by.
//
// Thread: any.
#ifndef BASE_SYSTEM_CLOCK_H_
#define BASE_SYSTEM_CLOCK_H_

#include "base/clock.h"

namespace millrace {

class SystemClock : public Clock {
 public:
  MonotonicTime Now() const override;
  WallTime WallNow() const override;
};

}  // namespace millrace

#endif  // BASE_SYSTEM_CLOCK_H_
