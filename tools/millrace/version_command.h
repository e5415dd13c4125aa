// `millrace version`: the version of this program and of the formats it writes.
//
// Thread: main.
#ifndef TOOLS_MILLRACE_VERSION_COMMAND_H_
#define TOOLS_MILLRACE_VERSION_COMMAND_H_

#include "tools/millrace/command.h"

namespace millrace::tools {

void AddVersionCommand(CLI::App* app, GlobalOptions* global);

}  // namespace millrace::tools

#endif  // TOOLS_MILLRACE_VERSION_COMMAND_H_
