#include "tools/millrace/command_tree.h"

#include "CLI/CLI.hpp"
#include "tools/millrace/cluster_command.h"
#include "tools/millrace/completion_command.h"
#include "tools/millrace/config_command.h"
#include "tools/millrace/consume_command.h"
#include "tools/millrace/log_command.h"
#include "tools/millrace/partition_command.h"
#include "tools/millrace/perf_command.h"
#include "tools/millrace/produce_command.h"
#include "tools/millrace/quorum_command.h"
#include "tools/millrace/server_command.h"
#include "tools/millrace/topic_command.h"
#include "tools/millrace/version_command.h"

namespace millrace::tools {

std::unique_ptr<CLI::App> MakeCommandTree(GlobalOptions* global) {
  auto app = std::make_unique<CLI::App>(
      "Millrace: an event-streaming platform. `millrace COMMAND --help` has examples.", "millrace");
  app->require_subcommand(1);
  // The order in which help lists them: what a newcomer needs first.
  AddServerCommand(app.get(), global);
  AddTopicCommands(app.get(), global);
  AddProduceCommand(app.get(), global);
  AddConsumeCommand(app.get(), global);
  AddConfigCommands(app.get(), global);
  AddClusterCommands(app.get(), global);
  AddPartitionCommands(app.get(), global);
  AddQuorumCommands(app.get(), global);
  AddLogCommands(app.get(), global);
  AddPerfCommands(app.get(), global);
  AddCompletionCommands(app.get(), global);
  AddVersionCommand(app.get(), global);
  return app;
}

}  // namespace millrace::tools
