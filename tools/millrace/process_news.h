// What the main thread of a server waits for: signals that ask it to stop, and outcomes that other
// threads tell it.
//
// Thread: constructed and waited on by the main thread; Wake and Set: any.
#ifndef TOOLS_MILLRACE_PROCESS_NEWS_H_
#define TOOLS_MILLRACE_PROCESS_NEWS_H_

#include <pthread.h>

#include <chrono>
#include <csignal>
#include <future>

#include "absl/status/status.h"

namespace millrace::tools {

// SIGTERM and SIGINT, taken by waiting for them instead of by a handler; and a wake-up for the
// thread that waits, by a signal to it alone.
class Signals {
 public:
  // Blocks them for this thread and all it starts. REQUIRES: before any other thread is started.
  Signals() : waiter_(pthread_self()) {
    sigemptyset(&set_);
    sigaddset(&set_, SIGTERM);
    sigaddset(&set_, SIGINT);
    sigaddset(&set_, kNews);
    pthread_sigmask(SIG_BLOCK, &set_, nullptr);
  }
  // True: woken by Wake; false: asked to stop.
  bool WaitForNews() const {
    int signal = 0;
    sigwait(&set_, &signal);
    return signal == kNews;
  }
  // Thread: any.
  void Wake() const { pthread_kill(waiter_, kNews); }
  // From here on the next one ends the process as if it had no handler.
  void Release() const {
    sigset_t stops = set_;
    sigdelset(&stops, kNews);
    pthread_sigmask(SIG_UNBLOCK, &stops, nullptr);
  }

 private:
  static constexpr int kNews = SIGUSR1;
  const pthread_t waiter_;
  sigset_t set_;
};

// Something that is told once, on any thread, and looked at by the main one.
class Outcome {
 public:
  explicit Outcome(const Signals* signals) : signals_(signals) {}
  void Set(const absl::Status& status) {
    promise_.set_value(status);
    signals_->Wake();
  }
  // True once, when it is there.
  bool Take(absl::Status* status) {
    if (!future_.valid() || future_.wait_for(std::chrono::seconds(0)) != std::future_status::ready)
      return false;
    *status = future_.get();
    return true;
  }

 private:
  const Signals* const signals_;
  std::promise<absl::Status> promise_;
  std::future<absl::Status> future_ = promise_.get_future();
};

}  // namespace millrace::tools

#endif  // TOOLS_MILLRACE_PROCESS_NEWS_H_
