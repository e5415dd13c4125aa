// SimLoop and SimExecutor: a whole world of strands on one thread, in virtual time.
//
// One heap of events, ordered by time and then by a seeded draw, so that what happens at the same
// moment on different executors happens in any order, but in the same one for the same seed. Each
// executor runs its own tasks in the order posted. Time jumps from event to event.
//
// A trace hash over (time, executor name) of all events that ran says whether two runs were the
// same.
//
// Thread: one; everything posted, run and destroyed on it.
#ifndef BASE_SIM_SIM_EXECUTOR_H_
#define BASE_SIM_SIM_EXECUTOR_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <queue>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "base/executor.h"
#include "base/sim/sim_clock.h"
#include "base/sim/sim_random.h"

namespace millrace::sim {

class SimLoop;

class SimExecutor : public Executor {
 public:
  ~SimExecutor() override;

  void Post(Task task) override;
  // `when` is a time of the clock this executor was made with.
  void PostAt(MonotonicTime when, Task task) override;
  // Draws whether it does, where it may: what of the owner's work comes between differs.
  bool TryRun(absl::FunctionRef<void()> task) override;
  bool IsCurrent() const override;

  // Runs `task` at once as if it were a task of this executor: for what a test or a world does to
  // an object that CHECKs IsCurrent(). REQUIRES: no task is running.
  void RunNow(Task task);

  // While paused, tasks and timers wait: a process that is stopped or swapped out.
  void Pause() { paused_ = true; }
  void Resume();

  // Destroys all waiting tasks, and those posted from now on, unrun.
  void Shutdown();

  const std::string& name() const { return name_; }
  // Tasks and timers that wait.
  size_t pending() const { return ready_.size() + timers_.size(); }

 private:
  friend class SimLoop;
  SimExecutor(SimLoop* loop, uint64_t id, std::string name, const SimClock* clock)
      : loop_(loop), id_(id), name_(std::move(name)), clock_(clock) {}

  SimLoop* const loop_;
  const uint64_t id_;
  const std::string name_;
  const SimClock* const clock_;
  std::deque<Task> ready_;
  // By world time and order of posting.
  std::map<std::pair<MonotonicTime, uint64_t>, Task> timers_;
  bool paused_ = false;
  bool shut_down_ = false;
  // Events that came while paused.
  int ready_held_ = 0;
  int timers_held_ = 0;
  // A task that waited (SimLoop::Delay) keeps its executor busy until then.
  MonotonicTime busy_until_;
};

class SimLoop {
 public:
  explicit SimLoop(uint64_t seed)
      : ties_(SimRandom(seed).Fork("ties")), loans_(SimRandom(seed).Fork("loans")) {}
  SimLoop(const SimLoop&) = delete;
  SimLoop& operator=(const SimLoop&) = delete;

  // Destroy executors before the loop. Names need not be unique, but are what the trace tells
  // apart. With a clock, PostAt takes that clock's times; without, world time.
  std::unique_ptr<SimExecutor> MakeExecutor(std::string name, const SimClock* clock = nullptr);

  MonotonicTime now() const { return now_; }
  // As the running task sees it: with its delays so far.
  MonotonicTime task_now() const { return now_ + delay_; }
  // For SimClock.
  const MonotonicTime* time() const { return &now_; }

  // Runs the next event; false if there is none.
  bool RunOne() { return RunNext(MonotonicTime::Never()); }
  // Until no event is left. False if that took more than `events_max` events: something posts
  // itself for ever.
  [[nodiscard]] bool RunUntilIdle(uint64_t events_max = 1'000'000);
  // All events up to and including `until`, which is then the time.
  void RunUntil(MonotonicTime until);
  void RunFor(absl::Duration duration) { RunUntil(now_ + duration); }
  // Until `done` holds (asked before the first and after every event). False if it still does not
  // when `bound` has passed or nothing is left to run.
  [[nodiscard]] bool RunUntil(absl::FunctionRef<bool()> done, absl::Duration bound);

  // The running task takes this much longer: what it posts from now on, and its executor's next
  // task, come that much later. For blocking calls of simulated disks. No effect outside a task.
  void Delay(absl::Duration duration);
  // The whole world stands still for so long, the running task with it: clocks have gone on when it
  // continues.
  void Stall(absl::Duration duration) { now_ = now_ + duration; }

  // Runs after each event: for checkers of invariants.
  void SetAfterEvent(std::function<void()> after_event) { after_event_ = std::move(after_event); }

  uint64_t trace_hash() const { return trace_hash_; }
  uint64_t events_run() const { return events_run_; }

 private:
  friend class SimExecutor;
  enum class Kind { kReady, kTimer };
  // A wake-up: executor `executor` may run one more ready task, or its earliest timer. The task
  // waits in the executor, so that its order there does not depend on the tie-break.
  struct Event {
    MonotonicTime when;
    uint64_t tie;
    uint64_t sequence;
    uint64_t executor;
    Kind kind;
    friend bool operator>(const Event& a, const Event& b) {
      return std::tie(a.when, a.tie, a.sequence) > std::tie(b.when, b.tie, b.sequence);
    }
  };

  // The next event that is not later than `until`.
  bool RunNext(MonotonicTime until);
  void Schedule(MonotonicTime when, uint64_t executor, Kind kind);
  void RunTask(SimExecutor* executor, Task task);

  MonotonicTime now_;
  SimRandom ties_;
  SimRandom loans_;
  uint64_t sequence_ = 0;
  uint64_t next_executor_ = 1;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  std::map<uint64_t, SimExecutor*> executors_;
  SimExecutor* current_ = nullptr;
  absl::Duration delay_;
  std::function<void()> after_event_;
  uint64_t trace_hash_ = 0;
  uint64_t events_run_ = 0;
};

}  // namespace millrace::sim

#endif  // BASE_SIM_SIM_EXECUTOR_H_
