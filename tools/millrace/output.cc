#include "tools/millrace/output.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/config.h"
#include "base/posix_file.h"
#include "base/status.h"

namespace millrace::tools {
namespace {

constexpr char kBold[] = "\033[1m";
constexpr char kRed[] = "\033[1;31m";
constexpr char kPlain[] = "\033[0m";

// Why something could not be written; 0: all could. Standard output is the process's, and stdio
// keeps only that something failed.
int write_error = 0;

bool Written(bool all) {
  if (!all && write_error == 0) write_error = errno != 0 ? errno : EIO;
  return write_error == 0;
}

}  // namespace

void Table::Add(std::vector<std::string> row) {
  CHECK_EQ(row.size(), rows_.front().size());
  rows_.push_back(std::move(row));
}

std::string Table::ToString() const {
  std::vector<size_t> widths(rows_.front().size(), 0);
  for (const auto& row : rows_) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const auto& row : rows_) {
    for (size_t i = 0; i < row.size(); ++i) {
      text.append(row[i]);
      // No spaces at the end of a line.
      if (i + 1 < row.size()) text.append(widths[i] - row[i].size() + 2, ' ');
    }
    text.push_back('\n');
  }
  return text;
}

void Table::Print() const {
  const std::string text = ToString();
  if (!UsesColour(STDOUT_FILENO)) {
    PrintOut(text);
    return;
  }
  const size_t header = text.find('\n');
  PrintOut(absl::StrCat(kBold, text.substr(0, header), kPlain, text.substr(header)));
}

bool PrintOut(absl::string_view text) {
  if (write_error != 0) return false;
  errno = 0;
  return Written(std::fwrite(text.data(), 1, text.size(), stdout) == text.size());
}

bool FlushOut() {
  if (write_error != 0) return false;
  errno = 0;
  return Written(std::fflush(stdout) == 0);
}

absl::Status FinishOut() {
  FlushOut();
  const int error = std::exchange(write_error, 0);
  if (error == 0 || error == EPIPE) return absl::OkStatus();
  return PosixError("write", "standard output", error);
}

void PrintJson(const Json& value) {
  PrintOut(value.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

int ReportError(const absl::Status& status, OutputFormat format) {
  const ErrorCode code = CodeOf(status);
  FlushOut();
  if (format == OutputFormat::kJson) {
    const ErrorDetail detail = DetailOf(status);
    Json error = {{"code", std::string(ErrorCodeName(code))},
                  {"message", std::string(status.message())},
                  {"retriable", IsRetriable(code)}};
    if (!detail.name.empty()) error["name"] = detail.name;
    if (!detail.value.empty()) error["value"] = detail.value;
    const std::string text =
        Json{{"error", error}}.dump(-1, ' ', false, Json::error_handler_t::replace);
    std::fprintf(stderr, "%s\n", text.c_str());
  } else {
    const bool colour = UsesColour(STDERR_FILENO);
    std::fprintf(stderr, "%serror:%s %s (%s)\n", colour ? kRed : "", colour ? kPlain : "",
                 std::string(status.message()).c_str(), std::string(ErrorCodeName(code)).c_str());
  }
  const bool unreachable =
      code == ErrorCode::kBrokerNotAvailable || code == ErrorCode::kRequestTimedOut;
  return unreachable ? kExitUnavailable : kExitFailed;
}

void PrintWarning(const std::string& text, OutputFormat format) {
  if (text.empty() || format == OutputFormat::kJson) return;
  std::fflush(stdout);
  std::fprintf(stderr, "warning: %s\n", text.c_str());
}

bool ErrorIsTerminal() { return ::isatty(STDERR_FILENO) == 1; }

bool UsesColour(int fd) {
  if (::isatty(fd) != 1) return false;
  const char* const no_colour = std::getenv("NO_COLOR");
  if (no_colour != nullptr && *no_colour != '\0') return false;
  const char* const terminal = std::getenv("TERM");
  return terminal != nullptr && absl::string_view(terminal) != "dumb";
}

std::string NearestHint(const std::string& given, const std::vector<std::string>& known) {
  // Every short name is near to every other.
  if (given.size() < 3) return "";
  std::vector<ConfigKey> keys;
  for (const std::string& name : known) keys.push_back({.name = name});
  const std::string nearest = NearestConfigName(keys, given);
  return nearest.empty() ? "" : absl::StrCat("; did you mean '", nearest, "'?");
}

}  // namespace millrace::tools
