// WalDump: the metadata log for people and scripts: segments, groups, entries, and the records in
// them.
//
// Thread: main.
#ifndef TOOLS_MILLRACE_WAL_DUMP_H_
#define TOOLS_MILLRACE_WAL_DUMP_H_

#include <string>

#include "absl/status/status.h"
#include "base/file_system.h"
#include "tools/millrace/segment_dump.h"

namespace millrace::tools {

// Prints all of a WAL directory. Damage is shown where it is, and is CORRUPT_LOG at the end.
absl::Status DumpWal(FileSystem& files, const std::string& directory, const DumpOptions& options);

}  // namespace millrace::tools

#endif  // TOOLS_MILLRACE_WAL_DUMP_H_
