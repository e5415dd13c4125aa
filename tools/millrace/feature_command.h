// `millrace cluster features` and `cluster upgrade`: the feature level of the cluster, what each
// node knows of levels, and raising it.
//
// Thread: main.
#ifndef TOOLS_MILLRACE_FEATURE_COMMAND_H_
#define TOOLS_MILLRACE_FEATURE_COMMAND_H_

#include "tools/millrace/command.h"

namespace millrace::tools {

// Adds both to the command `cluster`.
void AddFeatureCommands(CLI::App* cluster, GlobalOptions* global);

}  // namespace millrace::tools

#endif  // TOOLS_MILLRACE_FEATURE_COMMAND_H_
