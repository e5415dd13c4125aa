// `millrace log dump`: what is in segments, the metadata log and the other files of a data
// directory.
//
// Thread: main.
#ifndef TOOLS_MILLRACE_LOG_COMMAND_H_
#define TOOLS_MILLRACE_LOG_COMMAND_H_

#include "tools/millrace/command.h"

namespace millrace::tools {

void AddLogCommands(CLI::App* app, GlobalOptions* global);

}  // namespace millrace::tools

#endif  // TOOLS_MILLRACE_LOG_COMMAND_H_
