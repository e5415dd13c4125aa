// The millrace program: the server and its command line in one binary.
#include <csignal>
#include <memory>

#include "CLI/CLI.hpp"
#include "tools/millrace/command.h"
#include "tools/millrace/command_tree.h"

int main(int argc, char** argv) {
  // A reader that goes away is an error of the write, not the end of the process.
  std::signal(SIGPIPE, SIG_IGN);
  millrace::tools::GlobalOptions global;
  const std::unique_ptr<CLI::App> app = millrace::tools::MakeCommandTree(&global);
  return millrace::tools::ParseAndRun(app.get(), global, argc, argv);
}
