// CommandTree: all commands of the program, each hung in its place.
//
// The one list of what there is: the program parses with it, completion is made from it, and the
// tests walk it. No logic is here.
//
// Thread: main.
#ifndef TOOLS_MILLRACE_COMMAND_TREE_H_
#define TOOLS_MILLRACE_COMMAND_TREE_H_

#include <memory>

#include "tools/millrace/command.h"

namespace millrace::tools {

// `global` must outlive the tree.
std::unique_ptr<CLI::App> MakeCommandTree(GlobalOptions* global);

}  // namespace millrace::tools

#endif  // TOOLS_MILLRACE_COMMAND_TREE_H_
