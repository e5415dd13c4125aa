// `millrace server`: a controller and broker in one process, until SIGTERM or SIGINT.
//
// Thread: main.
#ifndef TOOLS_MILLRACE_SERVER_COMMAND_H_
#define TOOLS_MILLRACE_SERVER_COMMAND_H_

#include "tools/millrace/command.h"

namespace millrace::tools {

void AddServerCommand(CLI::App* app, GlobalOptions* global);

}  // namespace millrace::tools

#endif  // TOOLS_MILLRACE_SERVER_COMMAND_H_
