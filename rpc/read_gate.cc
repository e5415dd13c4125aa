#include "rpc/read_gate.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/check.h"

namespace millrace::rpc {

std::shared_ptr<ReadGate> ReadGate::Create(MemoryBudget* budget) {
  std::shared_ptr<ReadGate> gate(new ReadGate(budget));
  budget->SetOnRelease([gate] {
    // Pairs with the fence in Park: either this sees the parked message, or that saw the release.
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (gate->parked_count() != 0) gate->LetThrough();
  });
  return gate;
}

bool ReadGate::TryEnter(int64_t bytes, AtGate rule, Reservation* out) {
  if (rule == AtGate::kPasses || (rule == AtGate::kSmallPass && bytes <= kSmallMessageBytes)) {
    *out = budget_->ReserveAlways(bytes);
    return true;
  }
  if (parked_count_.load(std::memory_order_relaxed) != 0) return false;
  return budget_->TryReserve(bytes, out);
}

ReadGate::Ticket ReadGate::Park(const std::string& connection, int64_t bytes, Executor* executor,
                                Admit admit) {
  Ticket ticket;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    ticket = next_ticket_++;
    std::deque<Waiter>& waiters = waiting_[connection];
    if (waiters.empty()) turns_.push_back(connection);
    waiters.push_back(
        {.ticket = ticket, .bytes = bytes, .executor = executor, .admit = std::move(admit)});
    parked_count_.fetch_add(1, std::memory_order_relaxed);
  }
  std::atomic_thread_fence(std::memory_order_seq_cst);
  // Room may have come up since the caller looked, and nobody else would tell.
  LetThrough();
  return ticket;
}

bool ReadGate::Cancel(const std::string& connection, Ticket ticket) {
  Waiter removed{};  // Destroyed after the lock: it may own a call.
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto entry = waiting_.find(connection);
    if (entry == waiting_.end()) return false;
    std::deque<Waiter>& waiters = entry->second;
    const auto waiter = std::find_if(waiters.begin(), waiters.end(),
                                     [ticket](const Waiter& w) { return w.ticket == ticket; });
    if (waiter == waiters.end()) return false;
    removed = std::move(*waiter);
    waiters.erase(waiter);
    parked_count_.fetch_sub(1, std::memory_order_relaxed);
    if (waiters.empty()) {
      waiting_.erase(entry);
      turns_.erase(std::find(turns_.begin(), turns_.end(), connection));
    }
  }
  // It may have been the large one at the front for which all the others waited.
  LetThrough();
  return true;
}

void ReadGate::LetThrough() {
  struct Admitted {
    Waiter waiter;
    Reservation reservation;
  };
  std::vector<Admitted> admitted;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    while (!turns_.empty()) {
      const auto entry = waiting_.find(turns_.front());
      CHECK(entry != waiting_.end());
      std::deque<Waiter>& waiters = entry->second;
      Reservation reservation;
      // The front waits until it fits, however large it is: else small ones would starve it.
      if (!budget_->TryReserve(waiters.front().bytes, &reservation)) break;
      admitted.push_back(
          {.waiter = std::move(waiters.front()), .reservation = std::move(reservation)});
      waiters.pop_front();
      parked_count_.fetch_sub(1, std::memory_order_relaxed);
      std::string connection = std::move(turns_.front());
      turns_.pop_front();
      if (waiters.empty()) {
        waiting_.erase(entry);
      } else {
        turns_.push_back(std::move(connection));
      }
    }
  }
  // Unlocked: an executor that has shut down destroys the task, which releases and comes back here.
  for (Admitted& one : admitted) {
    one.waiter.executor->Post(
        [admit = std::move(one.waiter.admit), reservation = std::move(one.reservation)]() mutable {
          std::move(admit)(std::move(reservation));
        });
  }
}

}  // namespace millrace::rpc
