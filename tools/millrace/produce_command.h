// `millrace produce TOPIC`: records from standard input or a file into a topic.
//
// Thread: main; delivery callbacks come on the producer's thread.
#ifndef TOOLS_MILLRACE_PRODUCE_COMMAND_H_
#define TOOLS_MILLRACE_PRODUCE_COMMAND_H_

#include "tools/millrace/command.h"

namespace millrace::tools {

void AddProduceCommand(CLI::App* app, GlobalOptions* global);

}  // namespace millrace::tools

#endif  // TOOLS_MILLRACE_PRODUCE_COMMAND_H_
