#include "storage/checked_text.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "base/crc32c.h"
#include "base/status.h"

namespace millrace::storage {
namespace {

constexpr absl::string_view kTitle = "# millrace ";
constexpr absl::string_view kCrcTitle = "# crc32c ";

absl::Status Damaged(absl::string_view path, absl::string_view what) {
  return MakeError(ErrorCode::kCorruptLog, absl::StrCat("file '", path, "' is damaged: ", what),
                   {.name = std::string(path)});
}

}  // namespace

std::string EncodeCheckedText(absl::string_view kind, const std::vector<std::string>& lines) {
  std::string text = absl::StrCat(kTitle, kind, " ", kCheckedTextVersion, "\n");
  for (const std::string& line : lines) absl::StrAppend(&text, line, "\n");
  absl::StrAppendFormat(&text, "%s%08x\n", kCrcTitle, Crc32c(text));
  return text;
}

absl::StatusOr<std::vector<std::string>> DecodeCheckedText(absl::string_view kind, Slice contents,
                                                           absl::string_view path) {
  // The last line has a fixed length, so that a changed byte in it cannot move its beginning.
  const size_t crc_line = kCrcTitle.size() + 9;
  if (contents.size() < kTitle.size() || contents.substr(0, kTitle.size()) != kTitle) {
    return MakeError(ErrorCode::kInvalidDirectory,
                     absl::StrCat("file '", path, "' does not begin with '", kTitle,
                                  "': it was not written by this program, or is damaged"),
                     {.name = std::string(path)});
  }
  if (contents.size() < crc_line) return Damaged(path, "it is too short");
  const Slice body = contents.substr(0, contents.size() - crc_line);
  if (contents.substr(body.size()) != absl::StrFormat("%s%08x\n", kCrcTitle, Crc32c(body))) {
    return Damaged(path, "its checksum is wrong");
  }
  std::vector<std::string> lines = absl::StrSplit(body, '\n');
  // The body ends with a newline, so that the last element is empty.
  if (!lines.back().empty()) return Damaged(path, "a line is not ended");
  lines.pop_back();
  const std::vector<absl::string_view> title = absl::StrSplit(lines[0], ' ');
  int version = 0;
  if (title.size() != 4 || title[2] != kind || !absl::SimpleAtoi(title[3], &version)) {
    return MakeError(ErrorCode::kInvalidDirectory,
                     absl::StrCat("file '", path, "' begins with '", lines[0], "' instead of '",
                                  kTitle, kind, " <version>'"),
                     {.name = std::string(path), .value = lines[0]});
  }
  if (version > kCheckedTextVersion || version < 1) {
    return MakeError(
        ErrorCode::kUnsupportedFormatVersion,
        absl::StrCat("file '", path, "' has format version ", version, ", but this program knows ",
                     kCheckedTextVersion, ": it was written by a newer one"),
        {.name = std::string(path), .value = absl::StrCat(version)});
  }
  lines.erase(lines.begin());
  return lines;
}

}  // namespace millrace::storage
