// ChildProcess: a program that a test runs: its output captured, its input fed, its end awaited.
//
// Two threads read standard output and standard error as they come, so that a program never waits
// for its reader and a test can wait for a line. However a test ends, the program does not outlive
// it: the destructor kills it, and so does the kernel when the test process dies.
//
// Thread: one owner, and that thread must outlive the program: the kernel ties the program's life
// to the thread that started it.
#ifndef TEST_CLUSTER_CHILD_PROCESS_H_
#define TEST_CLUSTER_CHILD_PROCESS_H_

#include <sys/types.h>

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "base/bytes.h"

namespace millrace::test {

// What a program printed to one file descriptor, as it comes.
class CapturedOutput {
 public:
  // Takes over `fd`, the reading end of a pipe.
  explicit CapturedOutput(int fd);
  // REQUIRES: the writing end is closed.
  ~CapturedOutput();

  std::string text() const;
  // Waits until `text` satisfies `condition`, the program has closed its end, or the time is over.
  // Returns whether the condition holds.
  bool WaitFor(const std::function<bool(const std::string& text)>& condition,
               absl::Duration timeout) const;
  // Waits until the program has closed its end.
  bool WaitForEnd(absl::Duration timeout) const;

 private:
  void ReadAll();

  const int fd_;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::string text_;
  bool ended_ = false;
  std::thread reader_;
};

// The end of a program: its exit code, or 128 plus the number of the signal that killed it.
struct ProcessResult {
  int exit_code = -1;
  std::string out;
  std::string err;
};

class ChildProcess {
 public:
  // Variables are "NAME=value", in place of those of the test's own environment.
  struct Options {
    std::string working_directory;
    std::vector<std::string> environment;
  };

  // Starts `arguments[0]`, a path. CHECK-fails if it cannot be started.
  explicit ChildProcess(const std::vector<std::string>& arguments, const Options& options = {});
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  pid_t pid() const { return pid_; }
  const CapturedOutput& out() const { return *out_; }
  const CapturedOutput& err() const { return *err_; }

  // Returns false when the program no longer reads.
  bool WriteInput(Slice bytes);
  void CloseInput();

  void Signal(int signal);
  // Waits for the end. Nothing if it still runs after `timeout`.
  std::optional<int> WaitForExit(absl::Duration timeout);

 private:
  pid_t pid_ = -1;
  int input_ = -1;
  std::unique_ptr<CapturedOutput> out_;
  std::unique_ptr<CapturedOutput> err_;
  std::optional<int> exit_code_;
};

// Runs a program to its end with `input`. One that is not done after `timeout` is killed (137).
ProcessResult RunProcess(const std::vector<std::string>& arguments, Slice input = Slice(),
                         absl::Duration timeout = absl::Seconds(60),
                         const ChildProcess::Options& options = {});

}  // namespace millrace::test

#endif  // TEST_CLUSTER_CHILD_PROCESS_H_
