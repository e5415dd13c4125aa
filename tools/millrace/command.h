// What the commands of the command line share: the options that stand before or after any of them,
// and how a command is hung into the tree.
//
// Each noun has a file of its own with one function Add<Noun>Commands. A command's callback runs
// after all of the line is parsed and leaves its exit code in GlobalOptions::exit_code.
//
// Thread: main.
#ifndef TOOLS_MILLRACE_COMMAND_H_
#define TOOLS_MILLRACE_COMMAND_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/config.h"
#include "client/admin.h"
#include "client/client_security.h"
#include "tools/millrace/output.h"

// Its headers take long to read, and few need more than the name.
namespace CLI {
class App;
}  // namespace CLI

namespace millrace::tools {

struct GlobalOptions {
  std::string bootstrap = "localhost:9092";
  std::string output = "table";
  double timeout_s = 30;
  // By TLS, implied by either file.
  bool tls = false;
  std::string tls_ca;
  std::string tls_keystore;
  int exit_code = kExitOk;

  OutputFormat format() const {
    return output == "json" ? OutputFormat::kJson : OutputFormat::kTable;
  }
  absl::Duration timeout() const { return absl::Seconds(timeout_s); }
  std::vector<std::string> bootstrap_servers() const;
  client::ClientSecurity security() const;
  // What a producer or a consumer is told of it: its keys with bootstrap.servers.
  ConfigValues connection() const;
};

// Adds a command `name`, with `examples` at the end of its help. `run` is called when it was
// chosen.
CLI::App* AddCommand(CLI::App* parent, const std::string& name, const std::string& description,
                     const std::string& examples, GlobalOptions* global,
                     std::function<absl::Status()> run);

// Parses a command line (argv[0] is the program) and runs what it chose. Returns the exit code: a
// line that makes no sense is kExitUsage, with a message on standard error; output that could not
// be written is kExitFailed, unless its reader has gone. Call it once for a tree.
int ParseAndRun(CLI::App* app, const GlobalOptions& global, int argc, const char* const* argv);

// -o alone, for commands that ask no server.
void AddOutputOption(CLI::App* command, GlobalOptions* global);

// Of the environment: what --bootstrap is where it is not given.
inline constexpr char kBootstrapVariable[] = "MILLRACE_BOOTSTRAP";

// The same of --tls-ca and --tls-keystore.
inline constexpr char kTlsCaVariable[] = "MILLRACE_TLS_CA";
inline constexpr char kTlsKeystoreVariable[] = "MILLRACE_TLS_KEYSTORE";
inline constexpr const char* kClientVariables[] = {kBootstrapVariable, kTlsCaVariable,
                                                   kTlsKeystoreVariable};

// --bootstrap, --tls, --tls-ca, --tls-keystore, -o and --timeout.
void AddConnectionOptions(CLI::App* command, GlobalOptions* global);

// An Admin for the global options.
absl::StatusOr<std::unique_ptr<client::Admin>> ConnectAdmin(const GlobalOptions& global);

// OK if a server answers: for commands that would wait for one for long, while the reason is
// mostly a mistyped address. Errors: BROKER_NOT_AVAILABLE at once.
absl::Status ExpectServer(const GlobalOptions& global);

// "name=value". Errors: INVALID_REQUEST.
absl::StatusOr<std::pair<std::string, std::string>> SplitSetting(const std::string& text,
                                                                 const std::string& option);

// An error that says that there is no such topic, with the name that was probably meant; any other
// status as it is.
absl::Status WithNearestTopic(absl::Status status, const std::string& topic,
                              const GlobalOptions& global);

// The Status of a result per resource: OK for ERROR_CODE_UNSPECIFIED.
absl::Status ResultStatus(v1::ErrorCode code, const std::string& message);

}  // namespace millrace::tools

#endif  // TOOLS_MILLRACE_COMMAND_H_
