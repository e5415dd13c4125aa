// CompletionQueueExecutor: a strand whose one thread runs one gRPC completion queue. A broker shard
// is one of these, so that a request which arrives at its shard costs no hand-off between threads.
//
// Tasks and the queue's events run on the same thread, one at a time. A task posted while the
// thread works is taken up before it sleeps again; one posted while it sleeps wakes it with an
// alarm. The thread waits without polling: for an event, an alarm, or the earliest timer.
//
// Not a pool, and not for blocking work. Owned by rpc::Server, or on its own for client calls.
//
// Thread: Post, PostAt, IsCurrent and Shutdown: any. All else: the queue's own thread.
#ifndef RPC_COMPLETION_QUEUE_EXECUTOR_H_
#define RPC_COMPLETION_QUEUE_EXECUTOR_H_

#include <grpcpp/alarm.h>
#include <grpcpp/completion_queue.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/executor.h"

namespace millrace::rpc {

// What a gRPC operation is started with: its completion comes back to it.
class CompletionTag {
 public:
  // `ok` is gRPC's word for whether the operation took place. Thread: the queue's.
  virtual void Complete(bool ok) = 0;

 protected:
  ~CompletionTag() = default;
};

// A call under way on a queue: it is told when the server or the queue winds down.
class QueueCall {
 public:
  // The server accepts no more calls: end soon, of your own accord.
  virtual void OnDrain() = 0;
  // End now.
  virtual void OnCancel() = 0;

 protected:
  ~QueueCall() = default;
};

class CompletionQueueExecutor final : public Executor {
 public:
  // A queue for client calls only. `clock` outlives the executor; `name` names the thread.
  CompletionQueueExecutor(const Clock* clock, const std::string& name);
  // A queue of a server that is being built.
  CompletionQueueExecutor(std::unique_ptr<grpc::ServerCompletionQueue> queue, const Clock* clock,
                          const std::string& name);
  // Shuts down if that was not done.
  ~CompletionQueueExecutor() override;

  void Post(Task task) override;
  void PostAt(MonotonicTime when, Task task) override;
  bool IsCurrent() const override;

  // Cancels the calls that are left, waits until their operations have come back, destroys the
  // tasks and timers that are left, and ends the thread. Tasks posted later are destroyed unrun.
  // REQUIRES: not on this executor; a server that uses the queue has been shut down.
  void Shutdown();

  const Clock& clock() const { return *clock_; }
  grpc::CompletionQueue* queue() { return queue_.get(); }
  // Null for a queue of client calls.
  grpc::ServerCompletionQueue* server_queue() { return server_queue_; }

  // Whether a gRPC operation may still be started: none after the queue's shutdown has begun.
  // REQUIRES: IsCurrent().
  bool AcceptsOperations() const;

  // Calls register while they live. REQUIRES: IsCurrent().
  void AddCall(QueueCall* call);
  void RemoveCall(QueueCall* call);
  // Passes OnDrain to every registered call. REQUIRES: IsCurrent().
  void DrainCalls();

 private:
  struct Timer {
    MonotonicTime when;
    uint64_t sequence;  // Equal times run in the order posted.
    Task task;
  };
  // The waking alarm's tag.
  class Wake final : public CompletionTag {
   public:
    explicit Wake(CompletionQueueExecutor* executor) : executor_(executor) {}
    void Complete(bool ok) override;

   private:
    CompletionQueueExecutor* executor_;
  };

  void Run(const std::string& name);
  // Runs what has been posted and what is due, a few rounds at most. Returns until when to wait for
  // events: the past if more tasks wait.
  MonotonicTime RunTasks();
  // Waits for one event until `deadline` and completes it. False once the queue is shut down and
  // drained.
  bool CompleteNextEvent(MonotonicTime deadline);
  void BeginQueueShutdown();
  // Wakes the thread if it sleeps and nobody has done so. REQUIRES: `lock` holds mutex_; released.
  void WakeAndUnlock(std::unique_lock<std::mutex> lock);

  const Clock* const clock_;
  std::unique_ptr<grpc::CompletionQueue> queue_;
  grpc::ServerCompletionQueue* const server_queue_;
  std::atomic<std::thread::id> thread_id_{};
  // Own thread only.
  std::set<QueueCall*> calls_;
  std::vector<Task> batch_;
  bool queue_shut_down_ = false;

  std::mutex mutex_;
  // All guarded by mutex_.
  std::vector<Task> posted_;
  std::vector<Timer> timers_;  // A heap, earliest first.
  uint64_t next_sequence_ = 0;
  bool sleeping_ = false;
  // The alarm is set and its event has not come back. Only he who turns this true may set it; the
  // queue is not shut down while it is true.
  bool wake_pending_ = false;
  bool stopping_ = false;
  bool closed_ = false;

  Wake wake_{this};
  grpc::Alarm alarm_;
  std::mutex join_mutex_;
  std::thread thread_;
};

}  // namespace millrace::rpc

#endif  // RPC_COMPLETION_QUEUE_EXECUTOR_H_
