// `millrace perf produce|consume|e2e`: load and its figures, for people and scripts.
//
// The keys of the JSON object are fixed: records_per_s, mib_per_s, latency_ms {p50, p90, p99, p999,
// max}, client_cpu_s, errors; records and seconds beside them.
//
// Thread: main.
#ifndef TOOLS_MILLRACE_PERF_COMMAND_H_
#define TOOLS_MILLRACE_PERF_COMMAND_H_

#include "tools/millrace/command.h"

namespace millrace::tools {

void AddPerfCommands(CLI::App* app, GlobalOptions* global);

}  // namespace millrace::tools

#endif  // TOOLS_MILLRACE_PERF_COMMAND_H_
