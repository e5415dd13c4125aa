#include "base/thread_executor.h"

#include <pthread.h>

#include <chrono>
#include <utility>

#include "base/check.h"

namespace millrace {
namespace {

// Whose task this thread runs.
thread_local const TaskThreads* current = nullptr;

std::chrono::steady_clock::time_point ToSteady(MonotonicTime when) {
  return std::chrono::steady_clock::time_point(std::chrono::nanoseconds(when.nanos()));
}

}  // namespace

TaskThreads::TaskThreads(const std::string& name, int threads) : is_strand_(threads == 1) {
  CHECK_GT(threads, 0) << name;
  for (int i = 0; i < threads; ++i) {
    threads_.emplace_back([this] { Run(); });
    // Longer names are refused by the kernel.
    pthread_setname_np(threads_.back().native_handle(), name.substr(0, 15).c_str());
  }
}

bool TaskThreads::MayWake() {
  wake_after_ |= borrowed_;
  return !borrowed_;
}

void TaskThreads::Post(Task task) {
  bool wake = false;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (stopping_) return;
    ready_.push_back(std::move(task));
    wake = MayWake();
  }
  if (wake) wake_.notify_one();
}

void TaskThreads::PostAt(MonotonicTime when, Task task) {
  if (when == MonotonicTime::Never()) return;
  bool wake = false;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (stopping_) return;
    const auto it = timers_.emplace(std::pair(when, timers_posted_++), std::move(task)).first;
    // Whoever waits, waits for the earliest timer known to it.
    wake = it == timers_.begin() && MayWake();
  }
  if (wake) wake_.notify_one();
}

bool TaskThreads::TryRun(absl::FunctionRef<void()> task) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!is_strand_ || stopping_ || running_ || borrowed_ || !ready_.empty()) return false;
    borrowed_ = true;
  }
  const TaskThreads* const before = std::exchange(current, this);
  task();
  current = before;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    borrowed_ = false;
    // Under the lock: behind it the thread may have ended, and this be gone.
    if (std::exchange(wake_after_, false)) wake_.notify_one();
  }
  return true;
}

bool TaskThreads::IsCurrent() const { return current == this; }

void TaskThreads::Shutdown() {
  CHECK(!IsCurrent()) << "an executor is shut down by one of its own tasks";
  std::deque<Task> ready;
  std::map<std::pair<MonotonicTime, uint64_t>, Task> timers;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
    ready.swap(ready_);
    timers.swap(timers_);
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  // The tasks go here, without the lock: their destructors may post.
}

bool TaskThreads::Take(Task* task) {
  std::unique_lock<std::mutex> lock(mutex_);
  running_ = false;
  while (true) {
    while (borrowed_) {
      wake_after_ = true;
      wake_.wait(lock);
    }
    if (stopping_) return false;
    if (!timers_.empty()) {
      const auto now = std::chrono::steady_clock::now();
      while (!timers_.empty() && ToSteady(timers_.begin()->first.first) <= now) {
        ready_.push_back(std::move(timers_.begin()->second));
        timers_.erase(timers_.begin());
      }
    }
    if (!ready_.empty()) {
      *task = std::move(ready_.front());
      ready_.pop_front();
      running_ = true;
      // Several timers may have come due at once, and only this thread was awake.
      if (!ready_.empty() && threads_.size() > 1) wake_.notify_one();
      return true;
    }
    if (timers_.empty()) {
      wake_.wait(lock);
    } else {
      wake_.wait_until(lock, ToSteady(timers_.begin()->first.first));
    }
  }
}

void TaskThreads::Run() {
  current = this;
  Task task;
  while (Take(&task)) {
    std::move(task)();
    task = nullptr;  // What it holds goes before the next one runs.
  }
}

}  // namespace millrace
