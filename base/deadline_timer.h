// DeadlineTimer: one deadline over an Executor, which can be moved and cleared (PostAt cannot).
//
// A core offers next_deadline(); its host calls Set with it after each step. Posts nothing while an
// earlier or equal wake-up is on its way, so moving a deadline later, the common case, is free; the
// early wake-up then posts the next one. Destroying the timer makes all posts harmless.
//
// Thread: its executor's; may be constructed elsewhere, and destroyed elsewhere once the executor
// has shut down.
#ifndef BASE_DEADLINE_TIMER_H_
#define BASE_DEADLINE_TIMER_H_

#include <functional>
#include <memory>
#include <set>

#include "base/executor.h"
#include "base/monotonic_time.h"

namespace millrace {

class DeadlineTimer {
 public:
  // `on_deadline` runs on `executor`, once for each deadline that is reached; it may Set the next,
  // or destroy this timer. `executor` outlives the timer.
  DeadlineTimer(Executor* executor, std::function<void()> on_deadline);
  ~DeadlineTimer();
  DeadlineTimer(const DeadlineTimer&) = delete;
  DeadlineTimer& operator=(const DeadlineTimer&) = delete;

  // Replaces the deadline. Never() is the same as Clear.
  void Set(MonotonicTime when);
  void Clear() { Set(MonotonicTime::Never()); }

  // Never() when not armed.
  MonotonicTime deadline() const;

 private:
  struct State {
    Executor* executor;
    std::function<void()> on_deadline;
    MonotonicTime deadline = MonotonicTime::Never();
    // The wake-ups that were posted and have not run yet.
    std::set<MonotonicTime> posted = {};
  };
  // Sees to it that a wake-up at or before the deadline is on its way.
  static void Arm(const std::shared_ptr<State>& state);
  static void Wake(const std::shared_ptr<State>& state, MonotonicTime when);

  std::shared_ptr<State> state_;
};

}  // namespace millrace

#endif  // BASE_DEADLINE_TIMER_H_
