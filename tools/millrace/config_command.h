// `millrace config describe|alter|list`: the configs of a topic, a broker, or all brokers.
//
// A resource is written "topic:NAME", "broker:ID" or "brokers" (the default of all brokers).
//
// Thread: main.
#ifndef TOOLS_MILLRACE_CONFIG_COMMAND_H_
#define TOOLS_MILLRACE_CONFIG_COMMAND_H_

#include <string>

#include "absl/status/statusor.h"
#include "tools/millrace/command.h"

namespace millrace::tools {

// Errors: INVALID_REQUEST, with the forms there are.
absl::StatusOr<v1::ConfigResource> ParseConfigResource(const std::string& text);

void AddConfigCommands(CLI::App* app, GlobalOptions* global);

}  // namespace millrace::tools

#endif  // TOOLS_MILLRACE_CONFIG_COMMAND_H_
