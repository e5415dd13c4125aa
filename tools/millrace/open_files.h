// The limit of open files of a server process: raised as far as it may be, and shared out.
//
// Logs need up to three descriptors for each partition that was written of late, connections two
// each. Where clients may take all of them, a flood of connections keeps the logs from being
// written; so they get half.
#ifndef TOOLS_MILLRACE_OPEN_FILES_H_
#define TOOLS_MILLRACE_OPEN_FILES_H_

#include <cstdint>

namespace millrace::tools {

// Sets this process's limit of open files to the most that it may have, as RLIMIT_NOFILE's hard
// limit says, and returns what it is now. Logs what it finds, and what it could not do.
int64_t RaiseOpenFileLimit();

// How many connections half of `open_files` descriptors are enough for.
int64_t ConnectionsThatFit(int64_t open_files);

}  // namespace millrace::tools

#endif  // TOOLS_MILLRACE_OPEN_FILES_H_
