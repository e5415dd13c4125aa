#include "rpc/wakeup.h"

#include <algorithm>
#include <chrono>

namespace millrace::rpc {

void Wakeup::Signal() {
  const std::lock_guard<std::mutex> lock(mutex_);
  signalled_ = true;
  // Under the lock: the waiter may destroy this object as soon as it has seen the signal.
  changed_.notify_all();
}

bool Wakeup::WaitFor(absl::Duration timeout) {
  // An endless wait is cut where the system's clock would overflow.
  constexpr absl::Duration kLongest = absl::Hours(24 * 365);
  const auto wait = absl::ToChronoNanoseconds(std::clamp(timeout, absl::ZeroDuration(), kLongest));
  std::unique_lock<std::mutex> lock(mutex_);
  if (!changed_.wait_for(lock, wait, [this] { return signalled_; })) return false;
  signalled_ = false;
  return true;
}

}  // namespace millrace::rpc
