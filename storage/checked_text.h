// Checked text: the small text files of a log directory (meta.properties, checkpoints, the open
// record, the clean-shutdown file): readable with a pager, and with a checksum over every byte.
//
//   # millrace <kind> <version>
//   <line>...
//   # crc32c <8 hex digits>
//
// The checksum covers all before its own line. docs/formats/log_dir.md has the files.
//
// Thread: any (pure functions).
#ifndef STORAGE_CHECKED_TEXT_H_
#define STORAGE_CHECKED_TEXT_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/bytes.h"

namespace millrace::storage {

// The newest version of every such file that this program reads and writes.
inline constexpr int kCheckedTextVersion = 1;

// REQUIRES: no line contains a newline or begins with '#'.
std::string EncodeCheckedText(absl::string_view kind, const std::vector<std::string>& lines);

// The lines between. `path` is for messages. Errors: INVALID_DIRECTORY if this is not such a file
// (or of another kind); CORRUPT_LOG if it is damaged; UNSUPPORTED_FORMAT_VERSION if it is newer.
absl::StatusOr<std::vector<std::string>> DecodeCheckedText(absl::string_view kind, Slice contents,
                                                           absl::string_view path);

}  // namespace millrace::storage

#endif  // STORAGE_CHECKED_TEXT_H_
