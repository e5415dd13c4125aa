#include "base/sim/sim_executor.h"

#include <algorithm>

#include "base/check.h"

namespace millrace::sim {

SimExecutor::~SimExecutor() {
  Shutdown();
  loop_->executors_.erase(id_);
  if (loop_->current_ == this) loop_->current_ = nullptr;
}

void SimExecutor::Post(Task task) {
  if (shut_down_) return;
  ready_.push_back(std::move(task));
  loop_->Schedule(loop_->task_now(), id_, SimLoop::Kind::kReady);
}

void SimExecutor::PostAt(MonotonicTime when, Task task) {
  if (shut_down_ || when == MonotonicTime::Never()) return;
  const MonotonicTime world = clock_ == nullptr ? when : clock_->ToWorld(when);
  if (world <= loop_->task_now()) return Post(std::move(task));
  timers_.emplace(std::pair(world, loop_->sequence_), std::move(task));
  loop_->Schedule(world, id_, SimLoop::Kind::kTimer);
}

bool SimExecutor::TryRun(absl::FunctionRef<void()> task) {
  SimExecutor* const caller = loop_->current_;
  CHECK(caller != nullptr && caller != this) << "'" << name_ << "' is asked by no other strand";
  if (shut_down_ || paused_ || !ready_.empty() || busy_until_ > loop_->task_now()) return false;
  if (loop_->loans_.Next() % 2 == 0) return false;
  // What blocks it blocks its caller. Either may be gone afterwards, with a node that crashed.
  SimLoop* const loop = loop_;
  const uint64_t caller_id = caller->id_;
  loop->current_ = this;
  task();
  const auto found = loop->executors_.find(caller_id);
  loop->current_ = found == loop->executors_.end() ? nullptr : found->second;
  return true;
}

bool SimExecutor::IsCurrent() const { return loop_->current_ == this; }

void SimExecutor::RunNow(Task task) {
  CHECK(loop_->current_ == nullptr) << "a task of " << loop_->current_->name() << " is running";
  loop_->RunTask(this, std::move(task));
}

void SimExecutor::Resume() {
  paused_ = false;
  for (; ready_held_ > 0; --ready_held_) {
    loop_->Schedule(loop_->task_now(), id_, SimLoop::Kind::kReady);
  }
  for (; timers_held_ > 0; --timers_held_) {
    loop_->Schedule(loop_->task_now(), id_, SimLoop::Kind::kTimer);
  }
}

void SimExecutor::Shutdown() {
  shut_down_ = true;
  // A task's destructor may post; moved out first, so that nothing changes under the destruction.
  const std::deque<Task> ready = std::move(ready_);
  const auto timers = std::move(timers_);
  ready_.clear();
  timers_.clear();
}

std::unique_ptr<SimExecutor> SimLoop::MakeExecutor(std::string name, const SimClock* clock) {
  const uint64_t id = next_executor_++;
  auto executor = std::unique_ptr<SimExecutor>(new SimExecutor(this, id, std::move(name), clock));
  executors_[id] = executor.get();
  return executor;
}

void SimLoop::Schedule(MonotonicTime when, uint64_t executor, Kind kind) {
  events_.push(Event{when, ties_.Next(), sequence_++, executor, kind});
}

void SimLoop::Delay(absl::Duration duration) {
  if (current_ != nullptr) delay_ += duration;
}

bool SimLoop::RunNext(MonotonicTime until) {
  CHECK(current_ == nullptr) << "the loop is run from within a task of " << current_->name();
  while (!events_.empty() && events_.top().when <= until) {
    const Event event = events_.top();
    events_.pop();
    const auto found = executors_.find(event.executor);
    if (found == executors_.end() || found->second->shut_down_) continue;
    SimExecutor* const executor = found->second;
    now_ = std::max(now_, event.when);
    if (executor->paused_) {
      ++(event.kind == Kind::kReady ? executor->ready_held_ : executor->timers_held_);
      continue;
    }
    if (executor->busy_until_ > now_) {
      Schedule(executor->busy_until_, event.executor, event.kind);
      continue;
    }
    Task task;
    if (event.kind == Kind::kReady) {
      CHECK(!executor->ready_.empty());
      task = std::move(executor->ready_.front());
      executor->ready_.pop_front();
    } else {
      CHECK(!executor->timers_.empty());
      const auto first = executor->timers_.begin();
      task = std::move(first->second);
      executor->timers_.erase(first);
    }
    trace_hash_ = MixBits(trace_hash_ ^ MixBits(static_cast<uint64_t>(now_.nanos())) ^
                          HashText(executor->name_));
    ++events_run_;
    RunTask(executor, std::move(task));
    if (after_event_) after_event_();
    return true;
  }
  return false;
}

void SimLoop::RunTask(SimExecutor* executor, Task task) {
  const uint64_t id = executor->id_;
  current_ = executor;
  delay_ = absl::ZeroDuration();
  std::move(task)();
  task = nullptr;  // What it holds goes while its executor is still current.
  // The task may have destroyed its executor, together with a node that crashed.
  const auto found = executors_.find(id);
  if (found != executors_.end() && delay_ > absl::ZeroDuration()) {
    found->second->busy_until_ = task_now();
  }
  delay_ = absl::ZeroDuration();
  current_ = nullptr;
}

bool SimLoop::RunUntilIdle(uint64_t events_max) {
  for (uint64_t i = 0; i < events_max; ++i) {
    if (!RunOne()) return true;
  }
  return false;
}

void SimLoop::RunUntil(MonotonicTime until) {
  while (RunNext(until)) {
  }
  now_ = std::max(now_, until);
}

bool SimLoop::RunUntil(absl::FunctionRef<bool()> done, absl::Duration bound) {
  const MonotonicTime until = now_ + bound;
  while (!done()) {
    if (!RunNext(until)) return false;
  }
  return true;
}

}  // namespace millrace::sim
