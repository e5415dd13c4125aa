#include "base/deadline_timer.h"

#include <utility>

#include "base/check.h"

namespace millrace {

DeadlineTimer::DeadlineTimer(Executor* executor, std::function<void()> on_deadline)
    : state_(std::make_shared<State>(State{executor, std::move(on_deadline)})) {}

DeadlineTimer::~DeadlineTimer() = default;

MonotonicTime DeadlineTimer::deadline() const { return state_->deadline; }

void DeadlineTimer::Set(MonotonicTime when) {
  CHECK(state_->executor->IsCurrent());
  state_->deadline = when;
  Arm(state_);
}

void DeadlineTimer::Arm(const std::shared_ptr<State>& state) {
  const MonotonicTime when = state->deadline;
  if (when == MonotonicTime::Never()) return;
  if (!state->posted.empty() && *state->posted.begin() <= when) return;
  state->posted.insert(when);
  state->executor->PostAt(when, [weak = std::weak_ptr<State>(state), when] {
    if (std::shared_ptr<State> alive = weak.lock()) Wake(alive, when);
  });
}

void DeadlineTimer::Wake(const std::shared_ptr<State>& state, MonotonicTime when) {
  state->posted.erase(when);
  if (state->deadline > when) return Arm(state);
  state->deadline = MonotonicTime::Never();
  // The callback may destroy the timer; `state` is held by the caller until it has returned.
  state->on_deadline();
}

}  // namespace millrace
