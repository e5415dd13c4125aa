#include "tools/millrace/stop_signals.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "base/check.h"

namespace millrace::tools {
namespace {

volatile std::sig_atomic_t stop_requested = 0;

// A byte is written into it for each signal: one that comes on another thread, or just before the
// wait begins, ends the wait all the same. Both ends -1 until the first CatchStopSignals.
int pipe_ends[2] = {-1, -1};

void OnStopSignal(int /*signal*/) {
  const int error = errno;
  stop_requested = 1;
  // A pipe that is full wakes whoever waits as well.
  [[maybe_unused]] const ssize_t written = ::write(pipe_ends[1], "", 1);
  errno = error;
}

}  // namespace

void CatchStopSignals() {
  if (pipe_ends[0] < 0) CHECK_EQ(::pipe2(pipe_ends, O_CLOEXEC | O_NONBLOCK), 0);
  char forgotten[64];
  while (::read(pipe_ends[0], forgotten, sizeof(forgotten)) > 0) {
  }
  stop_requested = 0;
  struct sigaction action = {};
  action.sa_handler = OnStopSignal;
  // A write to a reader that takes its time goes on; only the second signal gives it up.
  action.sa_flags = SA_RESTART | SA_RESETHAND;
  CHECK_EQ(::sigaction(SIGINT, &action, nullptr), 0);
  CHECK_EQ(::sigaction(SIGTERM, &action, nullptr), 0);
}

bool StopRequested() { return stop_requested != 0; }

void AwaitReadable(int descriptor) {
  pollfd waits[] = {{.fd = descriptor, .events = POLLIN, .revents = 0},
                    {.fd = pipe_ends[0], .events = POLLIN, .revents = 0}};
  while (::poll(waits, 2, /*timeout=*/-1) < 0 && errno == EINTR) {
  }
}

}  // namespace millrace::tools
