// `millrace completion bash|zsh`: scripts that complete commands and options, made from the tree of
// commands itself, so that they never lag behind it.
//
// Thread: main.
#ifndef TOOLS_MILLRACE_COMPLETION_COMMAND_H_
#define TOOLS_MILLRACE_COMPLETION_COMMAND_H_

#include <string>

#include "tools/millrace/command.h"

namespace millrace::tools {

// A shell `case` with a branch per command: the words that may follow it.
std::string CompletionCases(const CLI::App& tree);

// REQUIRES: `app` is the root, and outlives the command.
void AddCompletionCommands(CLI::App* app, GlobalOptions* global);

}  // namespace millrace::tools

#endif  // TOOLS_MILLRACE_COMPLETION_COMMAND_H_
