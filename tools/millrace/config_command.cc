#include "tools/millrace/config_command.h"

#include <memory>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace millrace::tools {
namespace {

constexpr char kResourceHelp[] = "topic:NAME, broker:ID, or brokers (the default of all)";

struct ConfigOptions {
  std::string resource;
  std::vector<std::string> names;
  std::vector<std::string> sets;
  std::vector<std::string> deletes;
  std::vector<std::string> appends;
  std::vector<std::string> subtracts;
  bool dry_run = false;
};

const char* SourceName(v1::ConfigSource source) {
  switch (source) {
    case v1::CONFIG_SOURCE_DEFAULT:
      return "default";
    case v1::CONFIG_SOURCE_STATIC_BROKER:
      return "static-broker";
    case v1::CONFIG_SOURCE_DYNAMIC_DEFAULT_BROKER:
      return "all-brokers";
    case v1::CONFIG_SOURCE_DYNAMIC_BROKER:
      return "broker";
    case v1::CONFIG_SOURCE_TOPIC:
      return "topic";
    default:
      return "unknown";
  }
}

Json ConfigJson(const v1::ConfigDescription& config) {
  Json synonyms = Json::array();
  for (const v1::ConfigSynonym& synonym : config.synonyms()) {
    synonyms.push_back({{"name", synonym.name()},
                        {"value", synonym.value()},
                        {"source", SourceName(synonym.source())}});
  }
  return {{"name", config.name()},
          {"value", config.value()},
          {"source", SourceName(config.source())},
          {"read_only", config.read_only()},
          {"type", config.type()},
          {"default", config.default_value()},
          {"documentation", config.documentation()},
          {"synonyms", synonyms}};
}

// describe: every config; list: only what somebody has set.
absl::Status Show(const ConfigOptions& options, bool only_set, const GlobalOptions& global) {
  ASSIGN_OR_RETURN(const v1::ConfigResource resource, ParseConfigResource(options.resource));
  v1::DescribeConfigsRequest request;
  *request.add_resources() = resource;
  request.mutable_names()->Add(options.names.begin(), options.names.end());
  ASSIGN_OR_RETURN(auto admin, ConnectAdmin(global));
  ASSIGN_OR_RETURN(const v1::DescribeConfigsResponse response, admin->DescribeConfigs(request));
  if (response.resources().empty()) {
    return MakeError(ErrorCode::kUnknownServerError,
                     absl::StrCat("the server said nothing about '", options.resource, "'"));
  }
  const v1::DescribeConfigsResult& result = response.resources(0);
  RETURN_IF_ERROR(
      WithNearestTopic(ResultStatus(result.code(), result.message()), resource.name(), global));
  Json configs = Json::array();
  Table table({"NAME", "VALUE", "SOURCE", "DEFAULT"});
  for (const v1::ConfigDescription& config : result.configs()) {
    // Nor what only the broker itself knows.
    const bool is_set = config.source() != v1::CONFIG_SOURCE_DEFAULT &&
                        config.source() != v1::CONFIG_SOURCE_UNSPECIFIED;
    if (only_set && !is_set) continue;
    configs.push_back(ConfigJson(config));
    table.Add({config.name(), config.value(),
               absl::StrCat(SourceName(config.source()), config.read_only() ? " (read only)" : ""),
               config.default_value()});
  }
  if (global.format() == OutputFormat::kJson) {
    PrintJson({{"resource", options.resource}, {"configs", configs}});
  } else {
    table.Print();
  }
  return absl::OkStatus();
}

absl::Status AddAlterations(const std::vector<std::string>& texts, const std::string& option,
                            v1::ConfigOperation operation, v1::AlterConfigsResource* resource) {
  for (const std::string& text : texts) {
    v1::ConfigAlteration* alteration = resource->add_alterations();
    alteration->set_operation(operation);
    if (operation == v1::CONFIG_OPERATION_DELETE) {
      alteration->set_name(text);
      continue;
    }
    ASSIGN_OR_RETURN(auto setting, SplitSetting(text, option));
    alteration->set_name(setting.first);
    alteration->set_value(setting.second);
  }
  return absl::OkStatus();
}

absl::Status Alter(const ConfigOptions& options, const GlobalOptions& global) {
  v1::IncrementalAlterConfigsRequest request;
  request.set_validate_only(options.dry_run);
  v1::AlterConfigsResource* resource = request.add_resources();
  ASSIGN_OR_RETURN(*resource->mutable_resource(), ParseConfigResource(options.resource));
  RETURN_IF_ERROR(AddAlterations(options.sets, "--set", v1::CONFIG_OPERATION_SET, resource));
  RETURN_IF_ERROR(
      AddAlterations(options.deletes, "--delete", v1::CONFIG_OPERATION_DELETE, resource));
  RETURN_IF_ERROR(
      AddAlterations(options.appends, "--append", v1::CONFIG_OPERATION_APPEND, resource));
  RETURN_IF_ERROR(
      AddAlterations(options.subtracts, "--subtract", v1::CONFIG_OPERATION_SUBTRACT, resource));
  if (resource->alterations().empty()) {
    return MakeError(ErrorCode::kInvalidRequest,
                     "config alter: nothing to change; give --set, --delete, --append or "
                     "--subtract");
  }
  ASSIGN_OR_RETURN(auto admin, ConnectAdmin(global));
  ASSIGN_OR_RETURN(const auto response, admin->IncrementalAlterConfigs(request));
  if (response.resources().empty()) {
    return MakeError(ErrorCode::kUnknownServerError,
                     absl::StrCat("the server said nothing about '", options.resource, "'"));
  }
  RETURN_IF_ERROR(
      WithNearestTopic(ResultStatus(response.resources(0).code(), response.resources(0).message()),
                       resource->resource().name(), global));
  const std::string& warning = response.resources(0).message();
  PrintWarning(warning, global.format());
  if (global.format() == OutputFormat::kJson) {
    PrintJson({{"resource", options.resource},
               {"altered", !options.dry_run},
               {"dry_run", options.dry_run},
               {"warning", warning}});
  } else {
    PrintOut(absl::StrCat(options.dry_run ? "would alter " : "altered ", options.resource, "\n"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<v1::ConfigResource> ParseConfigResource(const std::string& text) {
  v1::ConfigResource resource;
  int32_t id = 0;
  if (text == "brokers") {
    resource.set_type(v1::CONFIG_RESOURCE_TYPE_BROKER);
  } else if (absl::StartsWith(text, "topic:") && text.size() > 6) {
    resource.set_type(v1::CONFIG_RESOURCE_TYPE_TOPIC);
    resource.set_name(text.substr(6));
  } else if (absl::StartsWith(text, "broker:") && absl::SimpleAtoi(text.substr(7), &id) &&
             id >= 0) {
    resource.set_type(v1::CONFIG_RESOURCE_TYPE_BROKER);
    resource.set_name(absl::StrCat(id));
  } else {
    return MakeError(ErrorCode::kInvalidRequest,
                     absl::StrCat("'", text, "' is no resource; write ", kResourceHelp),
                     {.name = "resource", .value = text});
  }
  return resource;
}

void AddConfigCommands(CLI::App* app, GlobalOptions* global) {
  CLI::App* config = app->add_subcommand("config", "Show and change configs");
  config->require_subcommand(1);
  auto options = std::make_shared<ConfigOptions>();
  CLI::App* describe = AddCommand(config, "describe", "Show configs, and where each value is from",
                                  "  millrace config describe topic:orders\n"
                                  "  millrace config describe broker:1 num.partitions -o json\n",
                                  global, [=] { return Show(*options, false, *global); });
  describe->add_option("resource", options->resource, kResourceHelp)->required();
  describe->add_option("names", options->names, "Names of configs; none means all");

  CLI::App* list = AddCommand(config, "list", "Show only what is not at its default",
                              "  millrace config list topic:orders\n"
                              "  millrace config list brokers -o json\n",
                              global, [=] { return Show(*options, true, *global); });
  list->add_option("resource", options->resource, kResourceHelp)->required();

  CLI::App* alter = AddCommand(config, "alter", "Change configs, all or none of them",
                               "  millrace config alter topic:orders --set retention.ms=86400000\n"
                               "  millrace config alter topic:orders --delete retention.ms\n"
                               "  millrace config alter brokers --set num.partitions=6 --dry-run\n",
                               global, [=] { return Alter(*options, *global); });
  alter->add_option("resource", options->resource, kResourceHelp)->required();
  alter->add_option("--set", options->sets, "Set name=value; may be repeated");
  alter->add_option("--delete", options->deletes, "Back to the default; may be repeated");
  alter->add_option("--append", options->appends, "Add to a list, name=value; may be repeated");
  alter->add_option("--subtract", options->subtracts,
                    "Take from a list, name=value; may be repeated");
  alter->add_flag("--dry-run", options->dry_run, "Check everything, change nothing");
  for (CLI::App* command : {describe, list, alter}) AddConnectionOptions(command, global);
}

}  // namespace millrace::tools
