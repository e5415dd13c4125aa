#include "tools/millrace/command.h"

#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status.h"

namespace millrace::tools {

std::vector<std::string> GlobalOptions::bootstrap_servers() const {
  return absl::StrSplit(bootstrap, ',', absl::SkipWhitespace());
}

CLI::App* AddCommand(CLI::App* parent, const std::string& name, const std::string& description,
                     const std::string& examples, GlobalOptions* global,
                     std::function<absl::Status()> run) {
  CLI::App* command = parent->add_subcommand(name, description);
  command->footer(absl::StrCat("\nExamples:\n", examples));
  command->callback([global, run = std::move(run)] {
    const absl::Status status = run();
    if (!status.ok()) global->exit_code = ReportError(status, global->format());
  });
  return command;
}

int ParseAndRun(CLI::App* app, const GlobalOptions& global, int argc, const char* const* argv) {
  try {
    app->parse(argc, argv);
  } catch (const CLI::RequiredError& error) {
    // What the parser could not place is why the command is missing: name it.
    const std::vector<std::string> unknown = app->remaining(/*recurse=*/true);
    if (unknown.empty()) return app->exit(error) == 0 ? kExitOk : kExitUsage;
    std::fprintf(stderr, "There is no command '%s'\nRun with --help for more information.\n",
                 unknown.front().c_str());
    return kExitUsage;
  } catch (const CLI::ParseError& error) {
    // The parser's way of saying "help was asked for" (0) or "the line is wrong".
    return app->exit(error) == 0 ? kExitOk : kExitUsage;
  }
  return global.exit_code;
}

void AddOutputOption(CLI::App* command, GlobalOptions* global) {
  command->add_option("-o,--output", global->output, "Form of the output")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
}

void AddConnectionOptions(CLI::App* command, GlobalOptions* global) {
  command->add_option("--bootstrap", global->bootstrap, "Servers to ask first, host:port[,...]")
      ->capture_default_str();
  AddOutputOption(command, global);
  command->add_option("--timeout", global->timeout_s, "Seconds to wait for an answer")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
}

absl::StatusOr<std::unique_ptr<client::Admin>> ConnectAdmin(const GlobalOptions& global) {
  return client::Admin::Create(global.bootstrap_servers(), global.timeout());
}

absl::StatusOr<std::pair<std::string, std::string>> SplitSetting(const std::string& text,
                                                                 const std::string& option) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    return MakeError(ErrorCode::kInvalidRequest,
                     absl::StrCat(option, ": '", text, "' is not of the form name=value"),
                     {.name = option, .value = text});
  }
  return std::make_pair(text.substr(0, equals), text.substr(equals + 1));
}

absl::Status ResultStatus(v1::ErrorCode code, const std::string& message) {
  if (code == v1::ERROR_CODE_UNSPECIFIED) return absl::OkStatus();
  return MakeError(static_cast<ErrorCode>(code), message);
}

}  // namespace millrace::tools
