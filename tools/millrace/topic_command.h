// `millrace topic create|list|describe|delete|alter|offsets`.
//
// Thread: main.
#ifndef TOOLS_MILLRACE_TOPIC_COMMAND_H_
#define TOOLS_MILLRACE_TOPIC_COMMAND_H_

#include "tools/millrace/command.h"

namespace millrace::tools {

void AddTopicCommands(CLI::App* app, GlobalOptions* global);

}  // namespace millrace::tools

#endif  // TOOLS_MILLRACE_TOPIC_COMMAND_H_
