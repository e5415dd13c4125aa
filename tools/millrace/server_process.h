// ServerProcess: the composition root of `millrace server`: the real clock, disks, threads and
// sockets around a node::Node, and the process's life from start to a clean stop.
//
// Thread: main.
#ifndef TOOLS_MILLRACE_SERVER_PROCESS_H_
#define TOOLS_MILLRACE_SERVER_PROCESS_H_

#include "absl/status/status.h"
#include "node/config.h"

namespace millrace::tools {

// Serves until SIGTERM or SIGINT, then drains and stops; a second signal ends the process at once.
// Errors: whatever kept it from serving, or from stopping cleanly.
absl::Status RunServerProcess(node::NodeConfig config);

}  // namespace millrace::tools

#endif  // TOOLS_MILLRACE_SERVER_PROCESS_H_
