// ThreadExecutor: an Executor on a thread of its own. ThreadPool: one queue served by several
// threads, for reads that may block.
//
// Timers are times of SystemClock. A task that waits in the queue of a strand runs before any later
// one; a pool only starts tasks in order.
//
// Shutdown (and destruction) lets running tasks finish, destroys all that wait unrun, and joins.
//
// Thread: Post, PostAt, TryRun, IsCurrent any; Shutdown and destruction not from one of its own
// tasks.
#ifndef BASE_THREAD_EXECUTOR_H_
#define BASE_THREAD_EXECUTOR_H_

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/executor.h"

namespace millrace {

// What both are made of. They shut down themselves: the last tasks may post, which is virtual.
class TaskThreads : public Executor {
 public:
  ~TaskThreads() override = default;
  TaskThreads(const TaskThreads&) = delete;
  TaskThreads& operator=(const TaskThreads&) = delete;

  void Post(Task task) override;
  void PostAt(MonotonicTime when, Task task) override;
  // A pool never does.
  bool TryRun(absl::FunctionRef<void()> task) override;
  bool IsCurrent() const override;

  // Idempotent. What is posted afterwards is destroyed at once.
  void Shutdown();

 protected:
  // The first 15 characters of `name` name the threads, for top and gdb. REQUIRES: threads > 0.
  TaskThreads(const std::string& name, int threads);

 private:
  void Run();
  // Waits for the next task; false when shutting down.
  bool Take(Task* task);
  // Under the lock: whether a thread is to be woken for what has come. Whoever has borrowed the
  // strand wakes it afterwards.
  bool MayWake();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Task> ready_;
  // By time and order of posting.
  std::map<std::pair<MonotonicTime, uint64_t>, Task> timers_;
  uint64_t timers_posted_ = 0;
  bool stopping_ = false;
  // A strand's: a task of it runs on its thread; or on that of a caller of TryRun, and whether the
  // thread is to be woken after that.
  bool running_ = false;
  bool borrowed_ = false;
  bool wake_after_ = false;
  const bool is_strand_;
  std::vector<std::thread> threads_;
};

class ThreadExecutor final : public TaskThreads {
 public:
  explicit ThreadExecutor(const std::string& name) : TaskThreads(name, 1) {}
  ~ThreadExecutor() override { Shutdown(); }
};

class ThreadPool final : public TaskThreads {
 public:
  ThreadPool(const std::string& name, int threads) : TaskThreads(name, threads) {}
  ~ThreadPool() override { Shutdown(); }
};

}  // namespace millrace

#endif  // BASE_THREAD_EXECUTOR_H_
