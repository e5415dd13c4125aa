// Wakeup: how a thread outside the strands waits for one: a signal that is remembered until it is
// taken. For the blocking fronts of the clients; nothing on a strand ever waits.
//
// Signals do not count: many before a wait wake it once, so that the waiter looks at the state it
// waits for again, and signalling is cheap.
//
// Thread: any.
#ifndef RPC_WAKEUP_H_
#define RPC_WAKEUP_H_

#include <condition_variable>
#include <mutex>

#include "absl/time/time.h"

namespace millrace::rpc {

class Wakeup {
 public:
  void Signal();

  // Waits until there is a signal, and takes it. False if `timeout` passed first.
  bool WaitFor(absl::Duration timeout);

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_.
  bool signalled_ = false;
};

}  // namespace millrace::rpc

#endif  // RPC_WAKEUP_H_
