// SegmentDump: the contents of a partition's files for people and scripts: batches of a .log file,
// with their records if wanted, and the entries of its indexes.
//
// It changes nothing and trusts nothing: every batch is checked as a reader would check it, and the
// first one that fails ends the dump with its position and what is wrong.
//
// Thread: main.
#ifndef TOOLS_MILLRACE_SEGMENT_DUMP_H_
#define TOOLS_MILLRACE_SEGMENT_DUMP_H_

#include <string>

#include "absl/status/status.h"
#include "base/file_system.h"

namespace millrace::tools {

struct DumpOptions {
  bool records = false;
  // Lines of JSON instead of text.
  bool json = false;
};

// Errors: CORRUPT_LOG at the first batch that is damaged; INVALID_REQUEST for a name of no known
// kind.
absl::Status DumpSegmentFile(FileSystem& files, const std::string& path,
                             const DumpOptions& options);

}  // namespace millrace::tools

#endif  // TOOLS_MILLRACE_SEGMENT_DUMP_H_
