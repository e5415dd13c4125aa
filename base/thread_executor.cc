#include "base/thread_executor.h"

#include <pthread.h>

#include <chrono>

#include "base/check.h"

namespace millrace {
namespace {

// Whose task this thread runs.
thread_local const TaskThreads* current = nullptr;

std::chrono::steady_clock::time_point ToSteady(MonotonicTime when) {
  return std::chrono::steady_clock::time_point(std::chrono::nanoseconds(when.nanos()));
}

}  // namespace

TaskThreads::TaskThreads(const std::string& name, int threads) {
  CHECK_GT(threads, 0) << name;
  for (int i = 0; i < threads; ++i) {
    threads_.emplace_back([this] { Run(); });
    // Longer names are refused by the kernel.
    pthread_setname_np(threads_.back().native_handle(), name.substr(0, 15).c_str());
  }
}

TaskThreads::~TaskThreads() { Shutdown(); }

void TaskThreads::Post(Task task) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (stopping_) return;
    ready_.push_back(std::move(task));
  }
  wake_.notify_one();
}

void TaskThreads::PostAt(MonotonicTime when, Task task) {
  if (when == MonotonicTime::Never()) return;
  bool is_first = false;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (stopping_) return;
    const auto it = timers_.emplace(std::pair(when, timers_posted_++), std::move(task)).first;
    is_first = it == timers_.begin();
  }
  // Whoever waits, waits for the earliest timer known to it.
  if (is_first) wake_.notify_one();
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
  while (true) {
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
