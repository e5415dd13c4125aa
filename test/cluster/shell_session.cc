#include "test/cluster/shell_session.h"

#include <sys/stat.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "base/check.h"
#include "rpc/listen_socket.h"
#include "test/cluster/tcp_connection.h"
#include "test/cluster/wait_until.h"

namespace millrace::test {
namespace {

constexpr absl::Duration kCommandTimeout = absl::Seconds(60);
constexpr char kDocumentedPort[] = "9092";
constexpr char kDocumentedHttpPort[] = "9464";

// Two ports that nobody has now.
std::pair<int, int> FreePorts() {
  const auto a = rpc::Listen({.name = "A", .host = "127.0.0.1", .port = 0});
  const auto b = rpc::Listen({.name = "B", .host = "127.0.0.1", .port = 0});
  CHECK(a.ok() && b.ok());
  return {a->front().address.port, b->front().address.port};
}

}  // namespace

ShellSession::ShellSession() {
  std::tie(port_, http_port_) = FreePorts();
  std::filesystem::create_directories(directory());
  std::filesystem::create_directories(home_.path() + "/bin");
  // The numbers of servers are noted, so that none is left behind.
  const std::string program = home_.path() + "/bin/millrace";
  std::ofstream(program) << absl::StrCat("#!/bin/bash\nif [[ \"$1\" == server ]]; then echo $$ >>",
                                         home_.path(), "/servers; fi\nexec ", MillraceBinary(),
                                         " \"$@\"\n");
  CHECK_EQ(::chmod(program.c_str(), 0755), 0);
  shell_ = std::make_unique<ChildProcess>(
      std::vector<std::string>{"/bin/bash", "--norc"},
      ChildProcess::Options{
          .working_directory = directory(),
          .environment = {absl::StrCat("PATH=", home_.path(), "/bin:/usr/bin:/bin"),
                          absl::StrCat("MILLRACE_BOOTSTRAP=localhost:", port_),
                          absl::StrCat("MILLRACE_LISTENERS=localhost:", port_),
                          absl::StrCat("MILLRACE_HTTP_LISTENER=localhost:", http_port_)}});
  // Job control, for `kill %1`; and one stream, in the order in which things are printed.
  CHECK(shell_->WriteInput("set -m\nexec 2>&1\n"));
}

ShellSession::~ShellSession() {
  std::ifstream servers(home_.path() + "/servers");
  for (pid_t server; servers >> server;) ::kill(server, SIGKILL);
}

std::string ShellSession::WithOwnPorts(std::string text) const {
  return absl::StrReplaceAll(text, {{kDocumentedPort, absl::StrCat(port_)},
                                    {kDocumentedHttpPort, absl::StrCat(http_port_)}});
}

std::string ShellSession::WithDocumentedPorts(std::string text) const {
  return absl::StrReplaceAll(text, {{absl::StrCat(port_), kDocumentedPort},
                                    {absl::StrCat(http_port_), kDocumentedHttpPort}});
}

ShellSession::Outcome ShellSession::RunBlock(const std::string& commands) {
  const std::string end = absl::StrCat("<<command ", ++commands_, " ended with ");
  const size_t before = shell_->out().text().size();
  // The commands' input must not be the shell's.
  CHECK(shell_->WriteInput(
      absl::StrCat("{ ", WithOwnPorts(commands), "\n} </dev/null\necho \"", end, "$?>>\"\n")));
  const auto rest = [&](const std::string& all) {
    return all.substr(std::min(before, all.size()));
  };
  const bool ended = shell_->out().WaitFor(
      [&](const std::string& all) {
        const std::string text = rest(all);
        const size_t at = text.rfind(end);
        return at != std::string::npos && text.find(">>\n", at) != std::string::npos;
      },
      kCommandTimeout);
  std::string text = rest(shell_->out().text());
  if (!ended) return {-1, text};
  const size_t at = text.rfind(end);
  Outcome outcome;
  CHECK(absl::SimpleAtoi(text.substr(at + end.size(), text.find(">>", at) - at - end.size()),
                         &outcome.exit_code));
  outcome.output = WithDocumentedPorts(text.substr(0, at));
  return outcome;
}

ShellSession::Outcome ShellSession::Run(const std::string& command) {
  Outcome outcome = RunBlock(command);
  const bool starts = absl::StrContains(command, "millrace server") &&
                      absl::StrContains(command, "&") && outcome.exit_code == 0;
  // A reader has seen it start before the next command is typed.
  if (starts && !WaitUntil([this] { return HttpGet(http_port_, "/readyz").status == 200; },
                           kCommandTimeout)) {
    outcome.exit_code = -1;
  }
  return outcome;
}

}  // namespace millrace::test
