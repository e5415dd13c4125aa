#include "tools/millrace/server_command.h"

#include <unistd.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/config_file.h"
#include "base/posix_file_system.h"
#include "base/status.h"
#include "metadata/broker_config.h"
#include "node/config.h"
#include "tools/millrace/server_process.h"

namespace millrace::tools {
namespace {

struct ServerOptions {
  std::string config_file;
  std::vector<std::string> settings;
  std::string data_dir = "millrace-data";
  std::string listen;
};

// What commands take from it that ask servers is not for one.
std::vector<std::string> Environment() {
  std::vector<std::string> variables;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const bool of_clients = std::any_of(
        std::begin(kClientVariables), std::end(kClientVariables),
        [&](const char* name) { return absl::StartsWith(*variable, absl::StrCat(name, "=")); });
    if (!of_clients) variables.emplace_back(*variable);
  }
  return variables;
}

// All that the file, the environment and the flags say, the later of these over the earlier.
absl::StatusOr<node::NodeConfig> ReadConfig(const ServerOptions& options) {
  ConfigValues values;
  PosixFileSystem files;
  if (!options.config_file.empty()) {
    ASSIGN_OR_RETURN(values, ReadConfigFile(files, options.config_file));
  }
  std::vector<ConfigKey> keys = node::NodeSettingsSchema().keys();
  keys.insert(keys.end(), metadata::BrokerMetadataKeys().begin(),
              metadata::BrokerMetadataKeys().end());
  ASSIGN_OR_RETURN(const EnvironmentConfig environment, ConfigFromEnvironment(Environment(), keys));
  for (const auto& [name, value] : environment.values) values[name] = value;
  for (const std::string& text : options.settings) {
    ASSIGN_OR_RETURN(auto setting, SplitSetting(text, "--set"));
    values[setting.first] = setting.second;
  }
  if (!options.listen.empty()) values["listeners"] = options.listen;
  ASSIGN_OR_RETURN(node::NodeConfig config, node::ParseNodeConfig(values, options.data_dir));
  if (!environment.warning.empty()) config.warnings.push_back(environment.warning);
  return config;
}

}  // namespace

void AddServerCommand(CLI::App* app, GlobalOptions* global) {
  auto options = std::make_shared<ServerOptions>();
  CLI::App* command = AddCommand(
      app, "server", "Run a server: controller and broker in one process",
      "  millrace server\n"
      "  millrace server --data-dir /var/lib/millrace --listen 0.0.0.0:9092 \\\n"
      "      --set advertised.listeners=PLAINTEXT://broker.example:9092\n"
      "  millrace server --config server.yaml --set log.retention.hours=24\n"
      "Config keys can also come from the environment: MILLRACE_LOG_RETENTION_MS=60000.\n",
      global, [options]() -> absl::Status {
        ASSIGN_OR_RETURN(node::NodeConfig config, ReadConfig(*options));
        return RunServerProcess(std::move(config));
      });
  command->add_option("--config", options->config_file, "YAML file of config keys");
  command->add_option("--set", options->settings, "Set a config key, key=value; may be repeated");
  command
      ->add_option("--data-dir", options->data_dir,
                   "Directory of all data that has no directory of its own")
      ->capture_default_str();
  command->add_option("--listen", options->listen, "Short for --set listeners=HOST:PORT");
}

}  // namespace millrace::tools
