// The millrace program: the server and its command line in one binary.
#include <csignal>
#include <string>

#include "CLI/CLI.hpp"
#include "tools/millrace/command.h"
#include "tools/millrace/consume_command.h"
#include "tools/millrace/log_command.h"
#include "tools/millrace/produce_command.h"
#include "tools/millrace/server_command.h"
#include "tools/millrace/topic_command.h"
#include "tools/millrace/version_command.h"

int main(int argc, char** argv) {
  using namespace millrace::tools;  // NOLINT: this is the program those tools make.
  // A reader that goes away is an error of the write, not the end of the process.
  std::signal(SIGPIPE, SIG_IGN);
  GlobalOptions global;
  CLI::App app("Millrace: an event-streaming platform. `millrace COMMAND --help` has examples.",
               "millrace");
  app.require_subcommand(1);
  AddServerCommand(&app, &global);
  AddTopicCommands(&app, &global);
  AddProduceCommand(&app, &global);
  AddConsumeCommand(&app, &global);
  AddLogCommands(&app, &global);
  AddVersionCommand(&app, &global);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // The parser's way of saying "help was asked for" (0) or "the line is wrong".
    return app.exit(error) == 0 ? kExitOk : kExitUsage;
  }
  return global.exit_code;
}
