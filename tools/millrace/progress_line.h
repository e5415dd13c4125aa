// ProgressLine: one line on standard error that says how far a long work is, drawn over itself.
//
// Only on a terminal: in a file or a pipe it would be noise. It is drawn a few times a second at
// most, and gone when the work is done, before results and errors are printed.
//
// Thread: one.
#ifndef TOOLS_MILLRACE_PROGRESS_LINE_H_
#define TOOLS_MILLRACE_PROGRESS_LINE_H_

#include <chrono>
#include <string>

#include "absl/functional/function_ref.h"
#include "tools/millrace/output.h"

namespace millrace::tools {

class ProgressLine {
 public:
  explicit ProgressLine(bool on_terminal = ErrorIsTerminal()) : on_terminal_(on_terminal) {}
  ~ProgressLine() { Clear(); }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  // Draws what `text` returns, if it is time to.
  void Update(absl::FunctionRef<std::string()> text);
  // Takes the line away.
  void Clear();

 private:
  const bool on_terminal_;
  bool drawn_ = false;
  std::chrono::steady_clock::time_point next_ = {};
};

// "1234 of 5000 (24 %)"; without a total just the count.
std::string CountOf(int64_t done, int64_t total);

}  // namespace millrace::tools

#endif  // TOOLS_MILLRACE_PROGRESS_LINE_H_
