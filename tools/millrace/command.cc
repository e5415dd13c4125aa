#include "tools/millrace/command.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/status.h"
#include "tools/millrace/option_check.h"

namespace millrace::tools {

std::vector<std::string> GlobalOptions::bootstrap_servers() const {
  return absl::StrSplit(bootstrap, ',', absl::SkipWhitespace());
}

namespace {

// gRPC writes lines of its own about handshakes that fail: what went wrong is in our error already,
// and standard error may be read by a program. Before the first channel; GRPC_VERBOSITY still
// counts.
void KeepGrpcQuiet() { setenv("GRPC_VERBOSITY", "NONE", /*overwrite=*/0); }

}  // namespace

client::ClientSecurity GlobalOptions::security() const {
  const bool by_tls = tls || !tls_ca.empty() || !tls_keystore.empty();
  return {.protocol = by_tls ? "SSL" : "PLAINTEXT", .truststore = tls_ca, .keystore = tls_keystore};
}

ConfigValues GlobalOptions::connection() const {
  KeepGrpcQuiet();
  const client::ClientSecurity how = security();
  return {{"bootstrap.servers", absl::StrJoin(bootstrap_servers(), ",")},
          {"security.protocol", how.protocol},
          {"ssl.truststore.location", how.truststore},
          {"ssl.keystore.location", how.keystore}};
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

namespace {

// The command that a line names, as far as the parser came.
const CLI::App* Deepest(const CLI::App* app) {
  while (!app->get_subcommands().empty()) app = app->get_subcommands().back();
  return app;
}

std::string FullName(const CLI::App* app) {
  const CLI::App* parent = app->get_parent();
  return parent == nullptr ? app->get_name() : absl::StrCat(FullName(parent), " ", app->get_name());
}

std::vector<std::string> NamesOf(const CLI::App* command) {
  std::vector<std::string> names;
  for (const CLI::App* sub : command->get_subcommands({})) names.push_back(sub->get_name());
  return names;
}

int UsageError(const CLI::App* command, const std::string& message) {
  std::fprintf(stderr, "error: %s\nSee: %s --help\n", message.c_str(), FullName(command).c_str());
  return kExitUsage;
}

// What the parser could not place is why a line makes no sense: a word where a command should be,
// or an option or a word too many.
std::string Misplaced(const CLI::App* command, const std::string& word) {
  std::vector<std::string> known;
  if (word.size() > 1 && word[0] == '-') {
    for (const CLI::Option* option : command->get_options()) {
      for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
    }
    const std::string name = word.substr(0, word.find('='));
    return absl::StrCat("'", FullName(command), "' has no option '", name, "'",
                        NearestHint(name, known));
  }
  known = NamesOf(command);
  if (known.empty()) {
    return absl::StrCat("'", FullName(command), "' does not know what to do with '", word, "'");
  }
  return absl::StrCat("there is no command '", FullName(command), " ", word, "'",
                      NearestHint(word, known));
}

int RunChosen(CLI::App* app, const GlobalOptions& global, int argc, const char* const* argv) {
  try {
    app->parse(argc, argv);
  } catch (const CLI::Success& asked) {
    // The parser's way of saying that help was asked for.
    std::ostringstream help;
    const int code = app->exit(asked, help);
    PrintOut(help.str());
    return code == 0 ? kExitOk : kExitUsage;
  } catch (const CLI::ParseError& error) {
    const CLI::App* const command = Deepest(app);
    const std::vector<std::string> unknown = app->remaining(/*recurse=*/true);
    const bool misplaced = dynamic_cast<const CLI::RequiredError*>(&error) != nullptr ||
                           dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr;
    if (misplaced && !unknown.empty()) {
      return UsageError(command, Misplaced(command, unknown.front()));
    }
    if (!command->get_subcommands({}).empty()) {
      return UsageError(command, absl::StrCat("a subcommand is required: one of ",
                                              absl::StrJoin(NamesOf(command), ", ")));
    }
    return UsageError(command, error.what());
  }
  return global.exit_code;
}

}  // namespace

int ParseAndRun(CLI::App* app, const GlobalOptions& global, int argc, const char* const* argv) {
  const int code = RunChosen(app, global, argc, argv);
  // Whatever it did: who reads the output must not take a part of it for the whole.
  const absl::Status written = FinishOut();
  if (written.ok()) return code;
  const int failed = ReportError(written, global.format());
  return code == kExitOk ? failed : code;
}

void AddOutputOption(CLI::App* command, GlobalOptions* global) {
  command->add_option("-o,--output", global->output, "Form of the output")
      ->check(OneOf({"table", "json"}))
      ->capture_default_str();
}

void AddConnectionOptions(CLI::App* command, GlobalOptions* global) {
  // Not CLI11's own way: it would let the variable of one command undo the option of another.
  const auto take = [](const char* variable, std::string* option) {
    const char* const value = std::getenv(variable);
    if (value != nullptr && *value != '\0') *option = value;
  };
  take(kBootstrapVariable, &global->bootstrap);
  take(kTlsCaVariable, &global->tls_ca);
  take(kTlsKeystoreVariable, &global->tls_keystore);
  command->add_option("--bootstrap", global->bootstrap, "Servers to ask first, host:port[,...]")
      ->capture_default_str();
  command->add_flag("--tls", global->tls, "Connect by TLS, and believe the system's authorities");
  command->add_option("--tls-ca", global->tls_ca,
                      "Connect by TLS, and believe the authorities in this PEM file");
  command->add_option("--tls-keystore", global->tls_keystore,
                      "Show the certificate in this PEM file, which also has its private key");
  AddOutputOption(command, global);
  command->add_option("--timeout", global->timeout_s, "Seconds to wait for an answer")
      ->check(NumberAboveZero())
      ->capture_default_str();
}

absl::StatusOr<std::unique_ptr<client::Admin>> ConnectAdmin(const GlobalOptions& global) {
  KeepGrpcQuiet();
  return client::Admin::Create(global.bootstrap_servers(), global.timeout(), global.security());
}

absl::Status ExpectServer(const GlobalOptions& global) {
  ASSIGN_OR_RETURN(const auto admin, ConnectAdmin(global));
  const absl::Status asked = admin->DescribeCluster({}).status();
  // Any other answer comes from a server.
  return CodeOf(asked) == ErrorCode::kBrokerNotAvailable ? asked : absl::OkStatus();
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

absl::Status WithNearestTopic(absl::Status status, const std::string& topic,
                              const GlobalOptions& global) {
  // Of a partition that is missing the topic is there.
  if (CodeOf(status) != ErrorCode::kUnknownTopicOrPartition) return status;
  const absl::StatusOr<std::unique_ptr<client::Admin>> admin = ConnectAdmin(global);
  if (!admin.ok()) return status;
  const absl::StatusOr<v1::ListTopicsResponse> response = (*admin)->ListTopics({});
  if (!response.ok()) return status;
  std::vector<std::string> names;
  for (const v1::TopicListing& listing : response->topics()) names.push_back(listing.name());
  if (std::find(names.begin(), names.end(), topic) != names.end()) return status;
  const std::string hint = NearestHint(topic, names);
  if (hint.empty()) return status;
  return MakeError(CodeOf(status), absl::StrCat(status.message(), hint), DetailOf(status));
}

absl::Status ResultStatus(v1::ErrorCode code, const std::string& message) {
  if (code == v1::ERROR_CODE_UNSPECIFIED) return absl::OkStatus();
  return MakeError(static_cast<ErrorCode>(code), message);
}

}  // namespace millrace::tools
