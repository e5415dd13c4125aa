// RecordSplitter: cuts a stream of bytes into records at a delimiter.
//
// The stream may come in pieces of any size: a delimiter that lies across two pieces is found. What
// follows the last delimiter is a record of its own, unless it is empty.
//
// Thread: one owner.
#ifndef TOOLS_MILLRACE_RECORD_SPLITTER_H_
#define TOOLS_MILLRACE_RECORD_SPLITTER_H_

#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/bytes.h"

namespace millrace::tools {

class RecordSplitter {
 public:
  using Sink = absl::FunctionRef<absl::Status(Slice record)>;

  // REQUIRES: delimiter is not empty. A record longer than `record_bytes_max` is MESSAGE_TOO_LARGE.
  RecordSplitter(std::string delimiter, size_t record_bytes_max);

  // Passes on every record that `piece` completes. Errors: MESSAGE_TOO_LARGE; those of `sink`.
  absl::Status Feed(Slice piece, Sink sink);
  // Passes on what is left.
  absl::Status Finish(Sink sink);

  int64_t records() const { return records_; }

 private:
  absl::Status Emit(Slice record, Sink sink);

  const std::string delimiter_;
  const size_t record_bytes_max_;
  // The bytes after the last delimiter, and how many of them hold no delimiter for sure.
  std::string pending_;
  size_t searched_ = 0;
  int64_t records_ = 0;
};

// "\n", "\t", "\r", "\0", "\\" and "\xNN" in `text` as the bytes they stand for. Errors:
// INVALID_REQUEST.
absl::StatusOr<std::string> Unescape(absl::string_view text);

}  // namespace millrace::tools

#endif  // TOOLS_MILLRACE_RECORD_SPLITTER_H_
