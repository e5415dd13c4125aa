// LogVerify: the directories of a stopped server, of any kind: a data directory, a log directory, a
// partition, a metadata directory, its write-ahead log or its snapshots. What kind one is, its
// files tell.
//
// A log directory's journals, checkpoints and identity are read, and held against the partitions
// that are there. Nothing is changed. One that a server uses is refused, since what is being
// written looks like damage.
//
// Thread: main; blocks.
#ifndef TOOLS_MILLRACE_LOG_VERIFY_H_
#define TOOLS_MILLRACE_LOG_VERIFY_H_

#include <string>

#include "absl/status/status.h"
#include "base/file_system.h"
#include "tools/millrace/partition_verify.h"
#include "tools/millrace/verify_report.h"

namespace millrace::tools {

// Adds what is wrong below `path` to the report; `path` may also be a snapshot's file. Errors:
// DIRECTORY_LOCKED if a server uses it; INVALID_DIRECTORY if it is none of these;
// DIRECTORY_UNAVAILABLE.
absl::Status VerifyDirectory(FileSystem& files, const std::string& path,
                             const VerifyOptions& options, VerifyReport* report);

}  // namespace millrace::tools

#endif  // TOOLS_MILLRACE_LOG_VERIFY_H_
