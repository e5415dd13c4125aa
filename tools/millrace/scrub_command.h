// `millrace log scrub`: has the brokers of a cluster that runs read what they hold, and tells what
// is damaged. Each reads its own files, as for `partition verify` (broker/replica_checksum.h).
//
// Thread: main; blocks.
#ifndef TOOLS_MILLRACE_SCRUB_COMMAND_H_
#define TOOLS_MILLRACE_SCRUB_COMMAND_H_

#include "tools/millrace/command.h"

namespace millrace::tools {

// Adds the command to `log`.
void AddScrubCommand(CLI::App* log, GlobalOptions* global);

}  // namespace millrace::tools

#endif  // TOOLS_MILLRACE_SCRUB_COMMAND_H_
