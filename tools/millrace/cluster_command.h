// `millrace cluster describe`: who is in the cluster, and what is on the brokers' disks.
//
// Thread: main.
#ifndef TOOLS_MILLRACE_CLUSTER_COMMAND_H_
#define TOOLS_MILLRACE_CLUSTER_COMMAND_H_

#include "tools/millrace/command.h"

namespace millrace::tools {

void AddClusterCommands(CLI::App* app, GlobalOptions* global);

}  // namespace millrace::tools

#endif  // TOOLS_MILLRACE_CLUSTER_COMMAND_H_
