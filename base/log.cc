#include "base/log.h"

#include <algorithm>
#include <mutex>

#include "absl/strings/ascii.h"
#include "base/status.h"
#include "spdlog/sinks/base_sink.h"
#include "spdlog/sinks/stdout_sinks.h"
#include "spdlog/spdlog.h"

namespace millrace {
namespace {

spdlog::level::level_enum ToSpdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarn:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

absl::string_view LevelName(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "DEBUG";
    case LogLevel::kInfo:
      return "INFO";
    case LogLevel::kWarn:
      return "WARN";
    case LogLevel::kError:
      return "ERROR";
  }
  return "INFO";
}

bool IsControl(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

// Appends the value as logfmt has it: bare if it is one plain word, else quoted.
void AppendValue(absl::string_view value, std::string* out) {
  const bool is_plain = !value.empty() && std::none_of(value.begin(), value.end(), [](char c) {
    return IsControl(c) || c == ' ' || c == '"' || c == '=' || c == '\\';
  });
  if (is_plain) {
    out->append(value.data(), value.size());
    return;
  }
  constexpr char kHex[] = "0123456789abcdef";
  out->push_back('"');
  for (char c : value) {
    if (c == '"' || c == '\\') {
      out->push_back('\\');
      out->push_back(c);
    } else if (c == '\n') {
      out->append("\\n");
    } else if (IsControl(c)) {
      // Terminals obey control characters; an operator's must not obey what a client sent.
      out->append("\\x");
      out->push_back(kHex[static_cast<unsigned char>(c) >> 4]);
      out->push_back(kHex[static_cast<unsigned char>(c) & 15]);
    } else {
      out->push_back(c);
    }
  }
  out->push_back('"');
}

// Keeps lines, for LogCapture. base_sink's mutex makes it safe for any thread.
class CaptureSink : public spdlog::sinks::base_sink<std::mutex> {
 public:
  std::vector<std::string> lines() {
    std::lock_guard<std::mutex> lock(mutex_);
    return lines_;
  }

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    lines_.emplace_back(message.payload.data(), message.payload.size());
  }
  void flush_() override {}

 private:
  std::vector<std::string> lines_;
};

}  // namespace

bool IsLogged(LogLevel level) { return spdlog::default_logger_raw()->should_log(ToSpdlog(level)); }

std::string FormatLogLine(absl::string_view message, LogFields fields) {
  std::string line = "message=";
  AppendValue(message, &line);
  for (const LogField& field : fields) {
    absl::StrAppend(&line, " ", field.name(), "=");
    AppendValue(field.value(), &line);
  }
  return line;
}

void WriteLogLine(LogLevel level, absl::string_view component, absl::string_view message,
                  LogFields fields) {
  const std::string line =
      absl::StrCat(LevelName(level), " ", component, " ", FormatLogLine(message, fields));
  // As a view: the line is not a format string.
  spdlog::default_logger_raw()->log(ToSpdlog(level),
                                    spdlog::string_view_t(line.data(), line.size()));
}

void InitLogging(LogLevel level) {
  auto logger = std::make_shared<spdlog::logger>("millrace",
                                                 std::make_shared<spdlog::sinks::stderr_sink_mt>());
  // The level is part of the line already, with its full name.
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %v", spdlog::pattern_time_type::utc);
  logger->set_level(ToSpdlog(level));
  logger->flush_on(spdlog::level::debug);
  spdlog::set_default_logger(std::move(logger));
}

absl::Status SetLogLevel(absl::string_view level) {
  for (LogLevel known : {LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarn, LogLevel::kError}) {
    if (absl::AsciiStrToLower(LevelName(known)) == level) {
      spdlog::default_logger_raw()->set_level(ToSpdlog(known));
      return absl::OkStatus();
    }
  }
  return MakeError(ErrorCode::kInvalidConfig,
                   absl::StrCat("'", level,
                                "' is not a log level; expected one of: debug, info, "
                                "warn, error"),
                   {.name = "log level", .value = std::string(level)});
}

bool LogThrottle::Pass(MonotonicTime now, int64_t* suppressed) {
  if (now < next_) {
    ++suppressed_;
    return false;
  }
  *suppressed = std::exchange(suppressed_, 0);
  next_ = now + interval_;
  return true;
}

struct LogCapture::State {
  std::shared_ptr<CaptureSink> sink = std::make_shared<CaptureSink>();
  std::shared_ptr<spdlog::logger> previous = spdlog::default_logger();
};

LogCapture::LogCapture(LogLevel level) : state_(std::make_unique<State>()) {
  auto logger = std::make_shared<spdlog::logger>("capture", state_->sink);
  logger->set_level(ToSpdlog(level));
  spdlog::set_default_logger(std::move(logger));
}

LogCapture::~LogCapture() { spdlog::set_default_logger(state_->previous); }

std::vector<std::string> LogCapture::lines() const { return state_->sink->lines(); }

}  // namespace millrace
