// `millrace cluster wait`: for scripts that have just started servers: returns when they serve.
//
// Thread: main; blocks.
#ifndef TOOLS_MILLRACE_CLUSTER_WAIT_COMMAND_H_
#define TOOLS_MILLRACE_CLUSTER_WAIT_COMMAND_H_

#include "tools/millrace/command.h"

namespace millrace::tools {

// Adds the command to `cluster`.
void AddClusterWait(CLI::App* cluster, GlobalOptions* global);

}  // namespace millrace::tools

#endif  // TOOLS_MILLRACE_CLUSTER_WAIT_COMMAND_H_
