// SnapshotDump: snapshots of the metadata log for people and scripts: what they are of, the voters,
// and the image in them.
//
// It changes nothing: neither what is being received nor what is being written is touched.
//
// Thread: main.
#ifndef TOOLS_MILLRACE_SNAPSHOT_DUMP_H_
#define TOOLS_MILLRACE_SNAPSHOT_DUMP_H_

#include <string>

#include "absl/status/status.h"
#include "base/file_system.h"
#include "tools/millrace/segment_dump.h"

namespace millrace::tools {

// Prints one file; with `options.records` all that its image holds. Errors: CORRUPT_LOG, after what
// stands before the damage; UNSUPPORTED_FORMAT_VERSION. One that is being received may end early.
absl::Status DumpSnapshotFile(FileSystem& files, const std::string& path,
                              const DumpOptions& options);

// Prints all of a directory, oldest first; the first error, if any, at the end.
absl::Status DumpSnapshots(FileSystem& files, const std::string& directory,
                           const DumpOptions& options);

}  // namespace millrace::tools

#endif  // TOOLS_MILLRACE_SNAPSHOT_DUMP_H_
