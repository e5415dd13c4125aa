#include "test/cluster/transcript.h"

#include <fstream>
#include <iterator>
#include <regex>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/check.h"

namespace millrace::test {
namespace {

// A line of described output as a regular expression.
std::string Pattern(const std::string& line) {
  if (line == "...") return "(?:.*\n)*?";
  std::string pattern;
  for (size_t i = 0; i < line.size(); ++i) {
    const size_t close = line[i] == '<' ? line.find('>', i) : std::string::npos;
    const std::string word = close == std::string::npos ? "" : line.substr(i + 1, close - i - 1);
    const bool placeholder =
        !word.empty() && word.find_first_not_of("abcdefghijklmnopqrstuvwxyz_") == std::string::npos;
    if (placeholder) {
      pattern += ".+?";
      i = close;
    } else {
      if (absl::StrContains("\\^$.|?*+()[]{}", line.substr(i, 1))) pattern += '\\';
      pattern += line[i];
    }
  }
  return pattern + " *\n";
}

}  // namespace

bool TranscriptStep::fails() const {
  for (absl::string_view line : absl::StrSplit(output, '\n')) {
    if (absl::StartsWith(line, "error:") || absl::StartsWith(line, "{\"error\":")) return true;
  }
  return false;
}

std::vector<TranscriptStep> ReadTranscript(const std::string& markdown) {
  std::vector<TranscriptStep> steps;
  bool inside = false;
  int number = 0;
  for (const std::string& line : std::vector<std::string>(absl::StrSplit(markdown, '\n'))) {
    ++number;
    if (absl::StartsWith(line, "```")) {
      inside = line == "```console";
    } else if (inside && absl::StartsWith(line, "$ ")) {
      steps.push_back({number, line.substr(2), ""});
    } else if (inside && absl::StartsWith(line, "> ") && steps.back().output.empty()) {
      absl::StrAppend(&steps.back().command, "\n", line.substr(2));
    } else if (inside) {
      CHECK(!steps.empty()) << "output before a command in line " << number;
      absl::StrAppend(&steps.back().output, line, "\n");
    }
  }
  return steps;
}

bool OutputMatches(const std::string& described, const std::string& real) {
  std::string pattern;
  for (absl::string_view line : absl::StrSplit(described, '\n', absl::SkipEmpty())) {
    pattern += Pattern(std::string(line));
  }
  // Empty lines are for the reader's eye.
  std::string text;
  for (absl::string_view line : absl::StrSplit(real, '\n', absl::SkipEmpty())) {
    absl::StrAppend(&text, line, "\n");
  }
  return std::regex_match(text, std::regex(pattern));
}

std::string ReadDocument(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  CHECK(file.good()) << path;
  return std::string(std::istreambuf_iterator<char>(file), {});
}

}  // namespace millrace::test
