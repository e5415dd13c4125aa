// `millrace quorum describe|add|remove|transfer`.
//
// Thread: main.
#ifndef TOOLS_MILLRACE_QUORUM_COMMAND_H_
#define TOOLS_MILLRACE_QUORUM_COMMAND_H_

#include "tools/millrace/command.h"

namespace millrace::tools {

void AddQuorumCommands(CLI::App* app, GlobalOptions* global);

}  // namespace millrace::tools

#endif  // TOOLS_MILLRACE_QUORUM_COMMAND_H_
