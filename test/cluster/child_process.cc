#include "test/cluster/child_process.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <iterator>

#include "base/check.h"

namespace millrace::test {
namespace {

struct Pipe {
  // Closed on exec: a program started later must not hold another one's pipes open.
  Pipe() { CHECK_EQ(::pipe2(ends, O_CLOEXEC), 0) << std::strerror(errno); }
  int ends[2];
};

std::vector<char*> Pointers(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (const std::string& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

// glibc fills what is allocated and freed, and keeps nothing out of that: whoever uses freed memory
// does not find there what was. cluster_of_processes.sh has the same.
constexpr const char* kPerturbed[] = {"MALLOC_PERTURB_=165",
                                      "GLIBC_TUNABLES=glibc.malloc.tcache_count=0"};

// The test's own variables, with `changes` in place of those of the same name.
std::vector<std::string> Environment(std::vector<std::string> changes) {
  changes.insert(changes.end(), std::begin(kPerturbed), std::end(kPerturbed));
  std::vector<std::string> variables = changes;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string text = *variable;
    const std::string name = text.substr(0, text.find('=') + 1);
    bool is_changed = false;
    for (const std::string& change : changes) is_changed |= change.rfind(name, 0) == 0;
    if (!is_changed) variables.push_back(text);
  }
  return variables;
}

// What runs between fork and exec: only calls that are safe there.
[[noreturn]] void RunInChild(pid_t parent, const int in, const int out, const int err,
                             const char* directory, char** arguments, char** environment) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  // The parent may have died before that took hold.
  if (::getppid() != parent) ::_exit(126);
  ::dup2(in, STDIN_FILENO);
  ::dup2(out, STDOUT_FILENO);
  ::dup2(err, STDERR_FILENO);
  std::signal(SIGPIPE, SIG_DFL);
  if (*directory != '\0' && ::chdir(directory) != 0) ::_exit(126);
  ::execve(arguments[0], arguments, environment);
  ::_exit(127);
}

}  // namespace

CapturedOutput::CapturedOutput(int fd) : fd_(fd), reader_([this] { ReadAll(); }) {}

CapturedOutput::~CapturedOutput() {
  reader_.join();
  ::close(fd_);
}

void CapturedOutput::ReadAll() {
  std::vector<char> piece(64 << 10);
  for (;;) {
    const ssize_t n = ::read(fd_, piece.data(), piece.size());
    if (n < 0 && errno == EINTR) continue;
    std::lock_guard<std::mutex> lock(mutex_);
    if (n > 0) {
      text_.append(piece.data(), static_cast<size_t>(n));
    } else {
      ended_ = true;
    }
    changed_.notify_all();
    if (n <= 0) return;
  }
}

std::string CapturedOutput::text() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return text_;
}

bool CapturedOutput::WaitFor(const std::function<bool(const std::string&)>& condition,
                             absl::Duration timeout) const {
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait_for(lock, absl::ToChronoNanoseconds(timeout),
                    [&] { return ended_ || condition(text_); });
  return condition(text_);
}

bool CapturedOutput::WaitForEnd(absl::Duration timeout) const {
  std::unique_lock<std::mutex> lock(mutex_);
  return changed_.wait_for(lock, absl::ToChronoNanoseconds(timeout), [&] { return ended_; });
}

ChildProcess::ChildProcess(const std::vector<std::string>& arguments, const Options& options) {
  // A program that ends before it has read its input is an error of the write, not of the test.
  std::signal(SIGPIPE, SIG_IGN);
  Pipe in;
  Pipe out;
  Pipe err;
  std::vector<char*> argument_pointers = Pointers(arguments);
  const std::vector<std::string> environment = Environment(options.environment);
  std::vector<char*> environment_pointers = Pointers(environment);
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  CHECK_GE(pid_, 0) << std::strerror(errno);
  if (pid_ == 0) {
    RunInChild(parent, in.ends[0], out.ends[1], err.ends[1], options.working_directory.c_str(),
               argument_pointers.data(), environment_pointers.data());
  }
  ::close(in.ends[0]);
  ::close(out.ends[1]);
  ::close(err.ends[1]);
  input_ = in.ends[1];
  out_ = std::make_unique<CapturedOutput>(out.ends[0]);
  err_ = std::make_unique<CapturedOutput>(err.ends[0]);
}

ChildProcess::~ChildProcess() {
  CloseInput();
  if (!exit_code_.has_value()) {
    Signal(SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
}

bool ChildProcess::WriteInput(Slice bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(input_, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

void ChildProcess::CloseInput() {
  if (input_ >= 0) ::close(input_);
  input_ = -1;
}

void ChildProcess::Signal(int signal) {
  if (!exit_code_.has_value()) ::kill(pid_, signal);
}

std::optional<int> ChildProcess::WaitForExit(absl::Duration timeout) {
  if (exit_code_.has_value()) return exit_code_;
  // A program that ends closes its pipes; only then is there something to wait for without a limit.
  if (!err_->WaitForEnd(timeout) || !out_->WaitForEnd(timeout)) return std::nullopt;
  int status = 0;
  CHECK_EQ(::waitpid(pid_, &status, 0), pid_) << std::strerror(errno);
  exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return exit_code_;
}

ProcessResult RunProcess(const std::vector<std::string>& arguments, Slice input,
                         absl::Duration timeout, const ChildProcess::Options& options) {
  ChildProcess process(arguments, options);
  process.WriteInput(input);
  process.CloseInput();
  std::optional<int> exit_code = process.WaitForExit(timeout);
  if (!exit_code.has_value()) {
    process.Signal(SIGKILL);
    exit_code = process.WaitForExit(absl::InfiniteDuration());
  }
  return {*exit_code, process.out().text(), process.err().text()};
}

}  // namespace millrace::test
