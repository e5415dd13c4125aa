// WaitUntil: waits for a state of another process that nothing announces, with a deadline.
//
// Only for what can be had in no other way (a metric, the answer to a question asked again): output
// and ends of processes are awaited by ChildProcess.
//
// Thread: any.
#ifndef TEST_CLUSTER_WAIT_UNTIL_H_
#define TEST_CLUSTER_WAIT_UNTIL_H_

#include <functional>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace millrace::test {

// Asks again every few milliseconds. Returns whether `condition` came true in time.
inline bool WaitUntil(const std::function<bool()>& condition,
                      absl::Duration timeout = absl::Seconds(10)) {
  const absl::Time deadline = absl::Now() + timeout;
  for (;;) {
    if (condition()) return true;
    if (absl::Now() >= deadline) return false;
    absl::SleepFor(absl::Milliseconds(5));
  }
}

}  // namespace millrace::test

#endif  // TEST_CLUSTER_WAIT_UNTIL_H_
