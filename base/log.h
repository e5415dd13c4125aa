// Log lines for operators: one line per event, in logfmt, to stderr.
//
//   LOG_INFO("broker", "topic created", {{"topic", name}, {"partitions", 3}});
//   2026-11-21T03:00:00.000Z INFO broker message="topic created" topic=orders partitions=3
//
// A thin front of spdlog: level, sink and pattern are those of spdlog's default logger, which
// InitLogging sets up; nothing else is global. A message says what happened and is the same each
// time; what differs goes into fields. Values are quoted and escaped where needed, so that a line
// stays one line whatever a client has sent.
//
// Thread: any. Not for hot paths: what happens per request is counted, not logged.
#ifndef BASE_LOG_H_
#define BASE_LOG_H_

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/monotonic_time.h"

namespace millrace {

enum class LogLevel { kDebug, kInfo, kWarn, kError };

// A name and a value, made from text, numbers, booleans, or anything with ToString() or value().
class LogField {
 public:
  template <class T>
  LogField(absl::string_view name, const T& value)  // NOLINT: made by braces.
      : name_(name), value_(Text(value)) {}

  absl::string_view name() const { return name_; }
  absl::string_view value() const { return value_; }

 private:
  template <class T>
  static std::string Text(const T& value) {
    if constexpr (std::is_same_v<T, bool>) {
      return value ? "true" : "false";
    } else if constexpr (requires { value.ToString(); }) {
      return std::string(value.ToString());
    } else if constexpr (requires { value.value(); }) {
      return absl::StrCat(value.value());
    } else {
      return absl::StrCat(value);
    }
  }

  absl::string_view name_;
  std::string value_;
};

using LogFields = std::initializer_list<LogField>;

// For use through the macros below, which build no fields for a level that is off.
void WriteLogLine(LogLevel level, absl::string_view component, absl::string_view message,
                  LogFields fields = {});
bool IsLogged(LogLevel level);

// "message=... topic=...": the part of a line after the component.
std::string FormatLogLine(absl::string_view message, LogFields fields);

// Sends lines of `level` and above to stderr, with time and level in front. Called by main.
void InitLogging(LogLevel level);
// Errors: INVALID_CONFIG. "debug", "info", "warn" and "error".
absl::Status SetLogLevel(absl::string_view level);

// Lets a line through at most once per `interval`, and says how many were held back since.
class LogThrottle {
 public:
  explicit LogThrottle(absl::Duration interval) : interval_(interval) {}

  // Whether a line may be written now. When it may, `suppressed` is the number held back before it.
  bool Pass(MonotonicTime now, int64_t* suppressed);

 private:
  const absl::Duration interval_;
  MonotonicTime next_ = MonotonicTime::FromNanos(INT64_MIN);
  int64_t suppressed_ = 0;
};

// While it lives, lines go here instead of to stderr: for tests. One at a time.
class LogCapture {
 public:
  // Captures lines of `level` and above.
  explicit LogCapture(LogLevel level = LogLevel::kDebug);
  ~LogCapture();
  LogCapture(const LogCapture&) = delete;
  LogCapture& operator=(const LogCapture&) = delete;

  // The lines so far without time: "INFO broker message=...".
  std::vector<std::string> lines() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace millrace

// LOG_INFO(component, message) or LOG_INFO(component, message, {{"name", value}, ...}).
#define MILLRACE_LOG_(level, ...)                                                  \
  do {                                                                             \
    if (::millrace::IsLogged(level)) ::millrace::WriteLogLine(level, __VA_ARGS__); \
  } while (false)
#define LOG_DEBUG(...) MILLRACE_LOG_(::millrace::LogLevel::kDebug, __VA_ARGS__)
#define LOG_INFO(...) MILLRACE_LOG_(::millrace::LogLevel::kInfo, __VA_ARGS__)
#define LOG_WARN(...) MILLRACE_LOG_(::millrace::LogLevel::kWarn, __VA_ARGS__)
#define LOG_ERROR(...) MILLRACE_LOG_(::millrace::LogLevel::kError, __VA_ARGS__)

// LOG_THROTTLED(throttle, now, LOG_WARN, component, message, {...}): as LOG_WARN, when `throttle`
// lets it pass. A line that stands for others is followed by one that says for how many.
#define LOG_THROTTLED(throttle, now, log, component, ...)                             \
  do {                                                                                \
    int64_t log_suppressed_ = 0;                                                      \
    if ((throttle).Pass((now), &log_suppressed_)) {                                   \
      log(component, __VA_ARGS__);                                                    \
      if (log_suppressed_ > 0) {                                                      \
        log(component, "similar lines were held back", {{"count", log_suppressed_}}); \
      }                                                                               \
    }                                                                                 \
  } while (false)

#endif  // BASE_LOG_H_
