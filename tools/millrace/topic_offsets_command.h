// `millrace topic offsets`: where each partition of a topic begins and ends.
//
// Thread: main; blocks.
#ifndef TOOLS_MILLRACE_TOPIC_OFFSETS_COMMAND_H_
#define TOOLS_MILLRACE_TOPIC_OFFSETS_COMMAND_H_

#include "tools/millrace/command.h"

namespace millrace::tools {

// Adds the command to `topic`.
void AddTopicOffsets(CLI::App* topic, GlobalOptions* global);

}  // namespace millrace::tools

#endif  // TOOLS_MILLRACE_TOPIC_OFFSETS_COMMAND_H_
