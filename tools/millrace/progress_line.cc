#include "tools/millrace/progress_line.h"

#include <cstdio>

#include "absl/strings/str_cat.h"

namespace millrace::tools {
namespace {

constexpr std::chrono::milliseconds kInterval{250};
// Back to the line's beginning, and what stands there away.
constexpr char kErase[] = "\r\033[K";

}  // namespace

void ProgressLine::Update(absl::FunctionRef<std::string()> text) {
  if (!on_terminal_) return;
  const auto now = std::chrono::steady_clock::now();
  // What is done at once needs no progress: the first drawing waits too.
  if (next_ == std::chrono::steady_clock::time_point{}) next_ = now + kInterval;
  if (now < next_) return;
  next_ = now + kInterval;
  std::fprintf(stderr, "%s%s", kErase, text().c_str());
  std::fflush(stderr);
  drawn_ = true;
}

void ProgressLine::Clear() {
  if (!drawn_) return;
  std::fputs(kErase, stderr);
  std::fflush(stderr);
  drawn_ = false;
}

std::string CountOf(int64_t done, int64_t total) {
  if (total <= 0) return absl::StrCat(done);
  return absl::StrCat(done, " of ", total, " (", done * 100 / total, " %)");
}

}  // namespace millrace::tools
