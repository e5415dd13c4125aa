// RecordInput: the bytes that `millrace produce` is given, as they come: from a pipe or a terminal
// as soon as there are any, so that a record is sent when it is complete and not when some buffer
// is full.
//
// Thread: main.
#ifndef TOOLS_MILLRACE_RECORD_INPUT_H_
#define TOOLS_MILLRACE_RECORD_INPUT_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/bytes.h"

namespace millrace::tools {

class RecordInput {
 public:
  // Standard input if the path is empty or "-". Errors: DIRECTORY_UNAVAILABLE.
  static absl::StatusOr<RecordInput> Open(const std::string& path);
  ~RecordInput();
  RecordInput(RecordInput&& other) noexcept;
  RecordInput& operator=(RecordInput&&) = delete;

  // Waits for bytes, which hold until the next call. Empty: the end, or a stop signal has come
  // (stop_signals.h, which has to catch them). Errors: DIRECTORY_UNAVAILABLE, STORAGE_ERROR.
  absl::StatusOr<Slice> Read();

  // Of a regular file; 0 for others.
  int64_t size() const;

 private:
  RecordInput(int descriptor, bool owned, std::string name);

  int descriptor_;
  // Standard input is not ours to close.
  bool owned_;
  // For messages.
  std::string name_;
  std::vector<char> piece_;
};

}  // namespace millrace::tools

#endif  // TOOLS_MILLRACE_RECORD_INPUT_H_
