// `millrace quorum recover`: brings a quorum back that has lost its majority for good, from the
// stopped directory of a voter that is left. Says first what may be lost, and changes nothing
// without being told to accept that.
//
// Thread: main.
#ifndef TOOLS_MILLRACE_QUORUM_RECOVER_H_
#define TOOLS_MILLRACE_QUORUM_RECOVER_H_

#include "tools/millrace/command.h"

namespace millrace::tools {

// Adds `recover` to the command `quorum`.
void AddQuorumRecoverCommand(CLI::App* quorum, GlobalOptions* global);

}  // namespace millrace::tools

#endif  // TOOLS_MILLRACE_QUORUM_RECOVER_H_
