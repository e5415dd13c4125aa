// `millrace partition verify`: compares the replicas of partitions of a cluster that runs
// (replica_compare.h).
//
// Thread: main; blocks.
#ifndef TOOLS_MILLRACE_PARTITION_VERIFY_COMMAND_H_
#define TOOLS_MILLRACE_PARTITION_VERIFY_COMMAND_H_

#include "tools/millrace/command.h"

namespace millrace::tools {

// Adds the command to `partition`.
void AddPartitionVerify(CLI::App* partition, GlobalOptions* global);

}  // namespace millrace::tools

#endif  // TOOLS_MILLRACE_PARTITION_VERIFY_COMMAND_H_
