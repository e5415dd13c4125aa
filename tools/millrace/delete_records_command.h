// `millrace partition delete-records`: deletes what lies below an offset, at all replicas.
//
// Thread: main; blocks.
#ifndef TOOLS_MILLRACE_DELETE_RECORDS_COMMAND_H_
#define TOOLS_MILLRACE_DELETE_RECORDS_COMMAND_H_

#include "tools/millrace/command.h"

namespace millrace::tools {

// Adds the command to `partition`.
void AddDeleteRecords(CLI::App* partition, GlobalOptions* global);

}  // namespace millrace::tools

#endif  // TOOLS_MILLRACE_DELETE_RECORDS_COMMAND_H_
