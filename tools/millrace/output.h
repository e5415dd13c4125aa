// Output: what a command prints: a table for people, JSON with stable keys for scripts.
//
// Results go to standard output, everything else (errors, progress, notes) to standard error.
//
// Thread: main.
#ifndef TOOLS_MILLRACE_OUTPUT_H_
#define TOOLS_MILLRACE_OUTPUT_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"

namespace millrace::tools {

using Json = nlohmann::ordered_json;

enum class OutputFormat { kTable, kJson };

// Exit codes, for scripts.
inline constexpr int kExitOk = 0;
// The cluster or the input refused: the message says what and why.
inline constexpr int kExitFailed = 1;
// The command line itself is wrong.
inline constexpr int kExitUsage = 2;
// No server answered.
inline constexpr int kExitUnavailable = 3;

// Columns as wide as their widest cell, two spaces apart.
class Table {
 public:
  explicit Table(std::vector<std::string> header) { rows_.push_back(std::move(header)); }
  // REQUIRES: as many cells as the header.
  void Add(std::vector<std::string> row);
  std::string ToString() const;
  // To standard output, with the header bold if that is a terminal for colours.
  void Print() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

// Writes to standard output; FlushOut, what is still buffered. False: something could not be
// written, now or before; nothing is written after that, so that there is no gap. Commands need not
// look unless they do something because it was printed: FinishOut tells at the end.
bool PrintOut(absl::string_view text);
bool FlushOut();
// At the end of a command: whether all that it printed was written. A reader that has gone (a
// closed pipe) has what it wants, and is no error. Errors: STORAGE_FULL, STORAGE_ERROR. What was
// lost is forgotten.
absl::Status FinishOut();
void PrintJson(const Json& value);

// "error: <message> (CODE)" or, for kJson, {"error":{...}}, on standard error. Returns the exit
// code.
int ReportError(const absl::Status& status, OutputFormat format);

// "warning: <text>" on standard error, unless it is empty or the format is kJson: there it is a key
// of the result.
void PrintWarning(const std::string& text, OutputFormat format);

// Whether progress may be drawn: standard error is a terminal.
bool ErrorIsTerminal();

// Whether a terminal at this descriptor gets colours: it is one, it can, and NO_COLOR
// (no-color.org) is not set.
bool UsesColour(int fd);

// "; did you mean 'y'?" where one of `known` is near to what was given; else nothing.
std::string NearestHint(const std::string& given, const std::vector<std::string>& known);

}  // namespace millrace::tools

#endif  // TOOLS_MILLRACE_OUTPUT_H_
