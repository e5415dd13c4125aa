// PartitionCommand: `millrace partition`: elections, and moving partitions between brokers.
//
// Thread: main.
#ifndef TOOLS_MILLRACE_PARTITION_COMMAND_H_
#define TOOLS_MILLRACE_PARTITION_COMMAND_H_

#include "tools/millrace/command.h"

namespace millrace::tools {

void AddPartitionCommands(CLI::App* app, GlobalOptions* global);

}  // namespace millrace::tools

#endif  // TOOLS_MILLRACE_PARTITION_COMMAND_H_
