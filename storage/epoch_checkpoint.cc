#include "storage/epoch_checkpoint.h"

#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status.h"
#include "storage/checked_text.h"

namespace millrace::storage {
namespace {

constexpr absl::string_view kKind = "epochs";

absl::Status BadLine(absl::string_view path, absl::string_view line) {
  return MakeError(ErrorCode::kCorruptLog,
                   absl::StrCat("file '", path, "' holds the line '", line, "'"),
                   {.name = std::string(path), .value = std::string(line)});
}

}  // namespace

std::string EncodeEpochCheckpoint(const EpochCache& epochs, Offset covers_to) {
  std::vector<std::string> lines = {absl::StrCat(covers_to.value())};
  for (const EpochEntry& entry : epochs.entries()) {
    lines.push_back(absl::StrCat(entry.epoch.value(), " ", entry.start_offset.value()));
  }
  return EncodeCheckedText(kKind, lines);
}

absl::StatusOr<EpochCheckpoint> DecodeEpochCheckpoint(Slice contents, absl::string_view path) {
  ASSIGN_OR_RETURN(const std::vector<std::string> lines, DecodeCheckedText(kKind, contents, path));
  EpochCheckpoint checkpoint;
  int64_t covers_to = 0;
  if (lines.empty() || !absl::SimpleAtoi(lines[0], &covers_to)) return BadLine(path, "<covers>");
  checkpoint.covers_to = Offset(covers_to);
  for (size_t i = 1; i < lines.size(); ++i) {
    const std::vector<absl::string_view> words = absl::StrSplit(lines[i], ' ');
    int32_t epoch = 0;
    int64_t start = 0;
    if (words.size() != 2 || !absl::SimpleAtoi(words[0], &epoch) ||
        !absl::SimpleAtoi(words[1], &start)) {
      return BadLine(path, lines[i]);
    }
    ASSIGN_OR_RETURN(const bool added, checkpoint.epochs.Assign(LeaderEpoch(epoch), Offset(start)));
    if (!added) return BadLine(path, lines[i]);
  }
  return checkpoint;
}

}  // namespace millrace::storage
