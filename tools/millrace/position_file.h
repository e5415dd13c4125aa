// PositionFile: where a consumer of the command line goes on next time.
//
// A small JSON file: {"version":1,"topic":"t","next_offsets":{"0":17}}. It is replaced whole
// (temporary file, sync, rename), after the records it speaks of were written out: a crash repeats
// records and never skips one.
//
// Thread: main.
#ifndef TOOLS_MILLRACE_POSITION_FILE_H_
#define TOOLS_MILLRACE_POSITION_FILE_H_

#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/file_system.h"
#include "base/ids.h"

namespace millrace::tools {

using NextOffsets = std::map<PartitionIndex, Offset>;

// Empty if there is no file yet. Errors: INVALID_REQUEST if the file is not a position file, or is
// one of another topic.
absl::StatusOr<NextOffsets> ReadPositionFile(FileSystem& files, const std::string& path,
                                             const std::string& topic);

absl::Status WritePositionFile(FileSystem& files, const std::string& path, const std::string& topic,
                               const NextOffsets& next_offsets);

}  // namespace millrace::tools

#endif  // TOOLS_MILLRACE_POSITION_FILE_H_
