#include "tools/millrace/record_splitter.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status.h"

namespace millrace::tools {

RecordSplitter::RecordSplitter(std::string delimiter, size_t record_bytes_max)
    : delimiter_(std::move(delimiter)), record_bytes_max_(record_bytes_max) {
  CHECK(!delimiter_.empty());
}

absl::Status RecordSplitter::Emit(Slice record, Sink sink) {
  if (record.size() > record_bytes_max_) {
    return MakeError(ErrorCode::kMessageTooLarge,
                     absl::StrCat("record ", records_, " has ", record.size(), " bytes, more than ",
                                  record_bytes_max_, "; is the delimiter right?"),
                     {.name = "delimiter", .value = absl::CEscape(delimiter_)});
  }
  ++records_;
  return sink(record);
}

absl::Status RecordSplitter::Feed(Slice piece, Sink sink) {
  pending_.append(piece.data(), piece.size());
  size_t begin = 0;
  // A delimiter may have begun in the bytes searched before.
  size_t from = searched_ - std::min(searched_, delimiter_.size() - 1);
  for (;;) {
    const size_t end = pending_.find(delimiter_, from);
    if (end == std::string::npos) break;
    RETURN_IF_ERROR(Emit(Slice(pending_).substr(begin, end - begin), sink));
    begin = from = end + delimiter_.size();
  }
  pending_.erase(0, begin);
  searched_ = pending_.size();
  if (pending_.size() > record_bytes_max_ + delimiter_.size()) return Emit(pending_, sink);
  return absl::OkStatus();
}

absl::Status RecordSplitter::Finish(Sink sink) {
  if (pending_.empty()) return absl::OkStatus();
  const std::string last = std::exchange(pending_, std::string());
  searched_ = 0;
  return Emit(last, sink);
}

absl::StatusOr<std::string> Unescape(absl::string_view text) {
  std::string bytes;
  std::string error;
  if (!absl::CUnescape(text, &bytes, &error)) {
    return MakeError(ErrorCode::kInvalidRequest,
                     absl::StrCat("'", text, "' is not a valid escape sequence: ", error),
                     {.value = std::string(text)});
  }
  return bytes;
}

}  // namespace millrace::tools
