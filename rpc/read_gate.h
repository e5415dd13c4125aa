// ReadGate: what stands between a message that has come in and its handler. It is let through once
// the process's memory budget has room for it; until then its call is parked and reads no more, so
// that past the budget the edge stops reading instead of growing.
//
// Fair: parked messages are let through round-robin over connections, oldest first within one, and
// nobody overtakes the parked; so a connection that floods waits for its own backlog, not the
// others. Memory is bounded by the budget plus one message per parked call.
//
// What a message does there is its method's to say (AtGate). A disk that hangs keeps what was
// produced to it, until the budget is used up: producers wait then, and nobody else may (S-37). So
// what other brokers and operators need, and small requests that bring no records, pass at once;
// they are counted all the same, so that producers wait for their memory too.
//
// Thread: any (a mutex, held only around queue operations). One per MemoryBudget.
#ifndef RPC_READ_GATE_H_
#define RPC_READ_GATE_H_

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "absl/functional/any_invocable.h"
#include "base/executor.h"
#include "base/memory_budget.h"

namespace millrace::rpc {

// What the messages of a method do while the gate lets nothing through.
enum class AtGate : uint8_t {
  kWaits,
  // Up to kSmallMessageBytes pass; larger ones wait.
  kSmallPass,
  // Only for what is done with at once, since nothing bounds it here.
  kPasses,
};
// What HTTP/2's flow control lets into memory for any call, read or not.
inline constexpr int64_t kSmallMessageBytes = 64 << 10;

class ReadGate {
 public:
  // Runs on the executor that the message was parked with.
  using Admit = absl::AnyInvocable<void(Reservation) &&>;
  // Names a parked message; 0 is none.
  using Ticket = uint64_t;

  // Takes the budget's on_release, which keeps the gate as long as the budget lives, since memory
  // may be given back after the last server has gone. REQUIRES: nothing is reserved yet; `budget`
  // outlives every call of the gate.
  static std::shared_ptr<ReadGate> Create(MemoryBudget* budget);
  ReadGate(const ReadGate&) = delete;
  ReadGate& operator=(const ReadGate&) = delete;

  // True, with `out` filled, if `bytes` may be let through now: there is room, and nobody waits; or
  // they pass in any case.
  bool TryEnter(int64_t bytes, AtGate rule, Reservation* out);

  // Queues a message behind the others of `connection`; `admit` is posted to `executor` with the
  // reservation when its turn comes (perhaps at once).
  Ticket Park(const std::string& connection, int64_t bytes, Executor* executor, Admit admit);

  // Forgets a parked message. False if its turn has come already: `admit` runs, or ran.
  bool Cancel(const std::string& connection, Ticket ticket);

  // Messages that are parked now.
  int64_t parked_count() const { return parked_count_.load(std::memory_order_relaxed); }

 private:
  struct Waiter {
    Ticket ticket;
    int64_t bytes;
    Executor* executor;
    Admit admit;
  };

  explicit ReadGate(MemoryBudget* budget) : budget_(budget) {}

  // Lets through whoever fits, in order. Runs after each release.
  void LetThrough();

  MemoryBudget* const budget_;
  std::atomic<int64_t> parked_count_{0};

  std::mutex mutex_;
  // Guarded by mutex_. A connection is in turns_ exactly if it has waiters.
  std::map<std::string, std::deque<Waiter>> waiting_;
  std::deque<std::string> turns_;
  Ticket next_ticket_ = 1;
};

}  // namespace millrace::rpc

#endif  // RPC_READ_GATE_H_
