// SnapshotVerify: snapshots of the metadata log, checked whole: each checksum, the name, and that
// the image in them can be decoded.
//
// Thread: main; blocks.
#ifndef TOOLS_MILLRACE_SNAPSHOT_VERIFY_H_
#define TOOLS_MILLRACE_SNAPSHOT_VERIFY_H_

#include <string>

#include "base/file_system.h"
#include "tools/millrace/verify_report.h"

namespace millrace::tools {

// Adds what is wrong with one file to the report. One that is being received may end early.
void VerifySnapshotFile(FileSystem& files, const std::string& path, VerifyReport* report);

// The same for all of a directory.
void VerifySnapshots(FileSystem& files, const std::string& directory, VerifyReport* report);

}  // namespace millrace::tools

#endif  // TOOLS_MILLRACE_SNAPSHOT_VERIFY_H_
