// `millrace consume TOPIC`: records of a topic to standard output.
//
// Thread: main.
#ifndef TOOLS_MILLRACE_CONSUME_COMMAND_H_
#define TOOLS_MILLRACE_CONSUME_COMMAND_H_

#include "tools/millrace/command.h"

namespace millrace::tools {

void AddConsumeCommand(CLI::App* app, GlobalOptions* global);

}  // namespace millrace::tools

#endif  // TOOLS_MILLRACE_CONSUME_COMMAND_H_
