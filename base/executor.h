// Executor: a strand. Tasks run one at a time, in the order posted, each to completion; none blocks
// (disk executors excepted: blocking on a file is what they are for). It need not be one thread's:
// whoever finds a strand idle may borrow it (TryRun).
//
// Real sides: rpc/ (a shard's completion queue), base/thread_executor.h. Simulated: one heap
// ordered by (time, seeded tie-break).
//
// Lifetime: an executor outlives every object that posts to it; after it has shut down, posted
// tasks are destroyed unrun. A task that may outlive its object holds a weak reference to it.
#ifndef BASE_EXECUTOR_H_
#define BASE_EXECUTOR_H_

#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "base/monotonic_time.h"

namespace millrace {

using Task = absl::AnyInvocable<void() &&>;

class Executor {
 public:
  virtual ~Executor() = default;

  // Runs `task` later, after all tasks posted before. Thread: any.
  virtual void Post(Task task) = 0;

  // Runs `task` at or after `when`. There is no cancel: see DeadlineTimer. Thread: any.
  virtual void PostAt(MonotonicTime when, Task task) = 0;

  // Runs `task` as one of this executor's, here and now, if nothing of it runs or waits: work that
  // is shorter than two wake-ups of another thread. False: it has not run. An executor may always
  // say so. Thread: any but this executor's; the caller waits for as long as the task takes.
  virtual bool TryRun(absl::FunctionRef<void()> /*task*/) { return false; }

  // Whether the caller runs on this executor: what an owner CHECKs.
  virtual bool IsCurrent() const = 0;
};

}  // namespace millrace

#endif  // BASE_EXECUTOR_H_
