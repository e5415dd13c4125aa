#include "rpc/completion_queue_executor.h"

#include <grpc/support/time.h>
#include <pthread.h>

#include <algorithm>
#include <iterator>
#include <tuple>
#include <utility>

#include "base/check.h"

namespace millrace::rpc {
namespace {

// Rounds of tasks that run before the queue's events get a turn again.
constexpr int kTaskRoundsMax = 4;

// While the queue winds down no alarm can wake the thread, so it looks for posted tasks this often.
constexpr absl::Duration kWindDownInterval = absl::Milliseconds(10);

// gRPC's form of `deadline`: what is left from now on, by gRPC's own monotonic clock.
gpr_timespec ToGrpcDeadline(MonotonicTime deadline, const Clock& clock) {
  if (deadline == MonotonicTime::Never()) return gpr_inf_future(GPR_CLOCK_MONOTONIC);
  const int64_t left = std::max<int64_t>(0, (deadline.nanos() - clock.Now().nanos()));
  return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_nanos(left, GPR_TIMESPAN));
}

}  // namespace

CompletionQueueExecutor::CompletionQueueExecutor(const Clock* clock, const std::string& name)
    : clock_(clock),
      queue_(std::make_unique<grpc::CompletionQueue>()),
      server_queue_(nullptr),
      thread_([this, name] { Run(name); }) {}

CompletionQueueExecutor::CompletionQueueExecutor(std::unique_ptr<grpc::ServerCompletionQueue> queue,
                                                 const Clock* clock, const std::string& name)
    : clock_(clock),
      queue_(std::move(queue)),
      server_queue_(static_cast<grpc::ServerCompletionQueue*>(queue_.get())),
      thread_([this, name] { Run(name); }) {}

CompletionQueueExecutor::~CompletionQueueExecutor() { Shutdown(); }

void CompletionQueueExecutor::Post(Task task) {
  std::unique_lock<std::mutex> lock(mutex_);
  if (closed_) {
    // The task's destructor may post; not under the lock.
    lock.unlock();
    return;
  }
  posted_.push_back(std::move(task));
  WakeAndUnlock(std::move(lock));
}

void CompletionQueueExecutor::PostAt(MonotonicTime when, Task task) {
  std::unique_lock<std::mutex> lock(mutex_);
  if (closed_) {
    lock.unlock();
    return;
  }
  const bool earliest = timers_.empty() || when < timers_.front().when;
  timers_.push_back({.when = when, .sequence = next_sequence_++, .task = std::move(task)});
  std::push_heap(timers_.begin(), timers_.end(), [](const Timer& a, const Timer& b) {
    return std::tie(a.when, a.sequence) > std::tie(b.when, b.sequence);
  });
  if (earliest) WakeAndUnlock(std::move(lock));
}

bool CompletionQueueExecutor::IsCurrent() const {
  return thread_id_.load(std::memory_order_relaxed) == std::this_thread::get_id();
}

void CompletionQueueExecutor::WakeAndUnlock(std::unique_lock<std::mutex> lock) {
  // While stopping, the thread does not sleep for long, and the queue may be shut down.
  if (!sleeping_ || wake_pending_ || stopping_) return;
  wake_pending_ = true;
  lock.unlock();
  // Outside the lock: setting the alarm runs gRPC's code. The queue stays open, since only the
  // alarm's own event clears wake_pending_.
  alarm_.Set(queue_.get(), gpr_inf_past(GPR_CLOCK_MONOTONIC),
             static_cast<void*>(static_cast<CompletionTag*>(&wake_)));
}

void CompletionQueueExecutor::Wake::Complete(bool) {
  const std::lock_guard<std::mutex> lock(executor_->mutex_);
  executor_->wake_pending_ = false;
}

void CompletionQueueExecutor::Shutdown() {
  CHECK(!IsCurrent()) << "an executor cannot wait for itself";
  {
    std::unique_lock<std::mutex> lock(mutex_);
    if (!stopping_) {
      // In this order, since once it is stopping nobody wakes it any more.
      const bool wake = sleeping_ && !wake_pending_;
      if (wake) wake_pending_ = true;
      stopping_ = true;
      lock.unlock();
      if (wake) {
        alarm_.Set(queue_.get(), gpr_inf_past(GPR_CLOCK_MONOTONIC),
                   static_cast<void*>(static_cast<CompletionTag*>(&wake_)));
      }
    }
  }
  const std::lock_guard<std::mutex> lock(join_mutex_);
  if (thread_.joinable()) thread_.join();
}

bool CompletionQueueExecutor::AcceptsOperations() const { return !queue_shut_down_; }

void CompletionQueueExecutor::AddCall(QueueCall* call) {
  calls_.insert(call);
  if (queue_shut_down_) call->OnCancel();
}

void CompletionQueueExecutor::RemoveCall(QueueCall* call) { calls_.erase(call); }

void CompletionQueueExecutor::DrainCalls() {
  // A call may go away, or another begin, while one is told.
  const std::vector<QueueCall*> calls(calls_.begin(), calls_.end());
  for (QueueCall* call : calls) {
    if (calls_.contains(call)) call->OnDrain();
  }
}

// Tasks, then one event, in turns, until the queue is shut down and empty.
void CompletionQueueExecutor::Run(const std::string& name) {
  thread_id_.store(std::this_thread::get_id(), std::memory_order_relaxed);
  // The kernel takes at most 15 characters.
  pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
  while (CompleteNextEvent(RunTasks())) {
  }
  std::vector<Task> tasks;
  std::vector<Timer> timers;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    closed_ = true;
    tasks.swap(posted_);
    timers.swap(timers_);
  }
  // Destroyed here, unrun and unlocked; what their destructors post is dropped.
}

MonotonicTime CompletionQueueExecutor::RunTasks() {
  const auto later = [](const Timer& a, const Timer& b) {
    return std::tie(a.when, a.sequence) > std::tie(b.when, b.sequence);
  };
  for (int round = 0;; ++round) {
    bool begin_shutdown = false;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      batch_.swap(posted_);
      if (!timers_.empty()) {
        const MonotonicTime now = clock_->Now();
        while (!timers_.empty() && timers_.front().when <= now) {
          std::pop_heap(timers_.begin(), timers_.end(), later);
          batch_.push_back(std::move(timers_.back().task));
          timers_.pop_back();
        }
      }
      begin_shutdown = stopping_ && !wake_pending_ && !queue_shut_down_;
      if (batch_.empty() && !begin_shutdown) {
        MonotonicTime wait_until = timers_.empty() ? MonotonicTime::Never() : timers_.front().when;
        if (stopping_) wait_until = std::min(wait_until, clock_->Now() + kWindDownInterval);
        // In one step with having seen that there is nothing to do: who posts after this wakes us.
        sleeping_ = true;
        return wait_until;
      }
      if (round == kTaskRoundsMax) {
        // Keep the batch for after the events, in order.
        posted_.insert(posted_.begin(), std::make_move_iterator(batch_.begin()),
                       std::make_move_iterator(batch_.end()));
        batch_.clear();
        return MonotonicTime();
      }
    }
    if (begin_shutdown) BeginQueueShutdown();
    for (Task& task : batch_) std::exchange(task, nullptr)();
    batch_.clear();
  }
}

bool CompletionQueueExecutor::CompleteNextEvent(MonotonicTime deadline) {
  void* tag = nullptr;
  bool ok = false;
  const auto result = queue_->AsyncNext(&tag, &ok, ToGrpcDeadline(deadline, *clock_));
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    sleeping_ = false;
  }
  if (result == grpc::CompletionQueue::SHUTDOWN) return false;
  if (result == grpc::CompletionQueue::GOT_EVENT) static_cast<CompletionTag*>(tag)->Complete(ok);
  return true;
}

void CompletionQueueExecutor::BeginQueueShutdown() {
  // First, so that no call starts another operation: gRPC ends the process if one does.
  queue_shut_down_ = true;
  const std::vector<QueueCall*> calls(calls_.begin(), calls_.end());
  for (QueueCall* call : calls) {
    if (calls_.contains(call)) call->OnCancel();
  }
  queue_->Shutdown();
}

}  // namespace millrace::rpc
