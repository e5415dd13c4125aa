#include "test/cluster/server_process.h"

#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "base/check.h"
#include "base/status.h"
#include "gtest/gtest.h"

namespace millrace::test {
namespace {

// Long enough for a machine that builds something else beside.
constexpr absl::Duration kStartTimeout = absl::Seconds(60);
constexpr absl::Duration kStopTimeout = absl::Seconds(30);
constexpr char kServing[] = "message=serving";

std::string NewTemporaryPath() {
  const char* parent = std::getenv("TEST_TMPDIR");
  std::string path = absl::StrCat(parent == nullptr ? "/tmp" : parent, "/millrace.XXXXXX");
  CHECK(::mkdtemp(path.data()) != nullptr) << path << ": " << std::strerror(errno);
  return path;
}

// The value of ` name=value` in a log line; empty if it is not there.
std::string LogField(absl::string_view line, absl::string_view name) {
  const std::string start = absl::StrCat(" ", name, "=");
  const size_t at = line.find(start);
  if (at == absl::string_view::npos) return "";
  const absl::string_view rest = line.substr(at + start.size());
  return std::string(rest.substr(0, rest.find_first_of(" \n")));
}

// The line that contains `text`, whole; empty if there is none yet.
std::string LineWith(absl::string_view text, absl::string_view log) {
  for (absl::string_view line : absl::StrSplit(log, '\n')) {
    if (!absl::StrContains(line, text)) continue;
    // A line that is still being written ends the log.
    if (line.data() + line.size() == log.data() + log.size()) break;
    return std::string(line);
  }
  return "";
}

int PortOf(absl::string_view listener) {
  int port = 0;
  CHECK(absl::SimpleAtoi(listener.substr(listener.rfind(':') + 1), &port)) << std::string(listener);
  return port;
}

}  // namespace

std::string MillraceBinary() {
  // Set by hand to run a test outside Bazel.
  const char* path = std::getenv("SERVER_UNDER_TEST");
  if (path != nullptr) return path;
  return std::filesystem::absolute("tools/millrace/millrace").string();
}

ProcessResult RunMillrace(const std::vector<std::string>& arguments, Slice input,
                          absl::Duration timeout) {
  std::vector<std::string> all = {MillraceBinary()};
  all.insert(all.end(), arguments.begin(), arguments.end());
  return RunProcess(all, input, timeout);
}

TemporaryDirectory::TemporaryDirectory() : path_(NewTemporaryPath()) {}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

ServerProcess::ServerProcess(std::vector<std::string> settings, std::string data_dir)
    : settings_(std::move(settings)),
      own_dir_(data_dir.empty() ? std::make_unique<TemporaryDirectory>() : nullptr),
      data_dir_(data_dir.empty() ? own_dir_->path() + "/data" : std::move(data_dir)) {}

ServerProcess::~ServerProcess() {
  if (testing::Test::HasFailure()) {
    std::fprintf(stderr, "---- log of the server on %s ----\n%s----\n", data_dir_.c_str(),
                 log().c_str());
  }
}

std::vector<std::string> ServerProcess::Arguments() const {
  std::vector<std::string> arguments = {
      MillraceBinary(), "server",      "--data-dir", data_dir_,
      "--listen",       "127.0.0.1:0", "--set",      "http.listener=127.0.0.1:0"};
  for (const std::string& setting : settings_) {
    arguments.push_back("--set");
    arguments.push_back(setting);
  }
  return arguments;
}

absl::Status ServerProcess::Start() {
  CHECK(process_ == nullptr);
  process_ = std::make_unique<ChildProcess>(Arguments());
  process_->CloseInput();
  const bool serving = process_->err().WaitFor(
      [](const std::string& log) { return !LineWith(kServing, log).empty(); }, kStartTimeout);
  if (!serving) {
    if (!process_->WaitForExit(absl::Seconds(1)).has_value()) process_->Signal(SIGKILL);
    const int code = process_->WaitForExit(kStopTimeout).value_or(-1);
    const std::string said = process_->err().text();
    ForgetProcess();
    return MakeError(ErrorCode::kBrokerNotAvailable,
                     absl::StrCat("the server did not serve; exit code ", code, ", log: ", said));
  }
  const std::string line = LineWith(kServing, process_->err().text());
  port_ = PortOf(LogField(line, "listeners"));
  CHECK(absl::SimpleAtoi(LogField(line, "http_port"), &http_port_)) << line;
  return absl::OkStatus();
}

ProcessResult ServerProcess::StartAndFail() {
  CHECK(process_ == nullptr);
  const ProcessResult result = RunProcess(Arguments(), Slice(), kStartTimeout);
  earlier_log_ += result.err;
  return result;
}

void ServerProcess::ForgetProcess() {
  earlier_log_ += process_->err().text();
  process_ = nullptr;
}

void ServerProcess::Kill() {
  process_->Signal(SIGKILL);
  process_->WaitForExit(kStopTimeout);
  ForgetProcess();
}

ServerProcess::Exit ServerProcess::Stop() { return Stop(SIGTERM); }

ServerProcess::Exit ServerProcess::Stop(int signal) {
  const absl::Time begin = absl::Now();
  process_->Signal(signal);
  const int code = process_->WaitForExit(kStopTimeout).value_or(-1);
  const Exit exit{code, absl::Now() - begin};
  ForgetProcess();
  return exit;
}

std::string ServerProcess::address() const { return absl::StrCat("127.0.0.1:", port_); }

int64_t ServerProcess::resident_bytes() const {
  std::ifstream statm(absl::StrCat("/proc/", pid(), "/statm"));
  int64_t total_pages = 0;
  int64_t resident_pages = 0;
  statm >> total_pages >> resident_pages;
  return resident_pages * ::sysconf(_SC_PAGESIZE);
}

std::string ServerProcess::PartitionDir(const std::string& topic, int partition) const {
  return absl::StrCat(data_dir_, "/logs/", topic, "-", partition);
}

std::string ServerProcess::log() const {
  return process_ == nullptr ? earlier_log_ : earlier_log_ + process_->err().text();
}

bool ServerProcess::WaitForLog(const std::string& text, absl::Duration timeout) const {
  return process_->err().WaitFor(
      [&](const std::string& log) { return !LineWith(text, log).empty(); }, timeout);
}

std::vector<std::string> ServerProcess::ClientArguments(std::vector<std::string> arguments) const {
  arguments.push_back("--bootstrap");
  arguments.push_back(address());
  return arguments;
}

ProcessResult ServerProcess::Run(std::vector<std::string> arguments, Slice input,
                                 absl::Duration timeout) const {
  return RunMillrace(ClientArguments(std::move(arguments)), input, timeout);
}

}  // namespace millrace::test
