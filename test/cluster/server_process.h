// ServerProcess: the real `millrace server` as a process of its own, on ports that the system chose
// and a data directory that a test can look into, damage, and start a server on again.
//
// Not here: the calls (api_client.h). The server's log is printed when its test has failed.
//
// Thread: one owner (see child_process.h).
#ifndef TEST_CLUSTER_SERVER_PROCESS_H_
#define TEST_CLUSTER_SERVER_PROCESS_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "test/cluster/child_process.h"

namespace millrace::test {

// The program under test.
std::string MillraceBinary();

// Runs the command line, without a server to talk to unless the arguments name one.
ProcessResult RunMillrace(const std::vector<std::string>& arguments, Slice input = Slice(),
                          absl::Duration timeout = absl::Seconds(60));

// A directory that is deleted, with all below it, at the end.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

class ServerProcess {
 public:
  // `settings` are of the form "key=value". The data directory is a temporary one if `data_dir` is
  // empty, and otherwise left in place at the end.
  explicit ServerProcess(std::vector<std::string> settings = {}, std::string data_dir = "");
  // Kills the server if it runs.
  ~ServerProcess();

  // Returns once the server serves. Errors: its exit code and what it said, if it ends instead.
  absl::Status Start();
  // For servers that are to fail: starts, and waits for the end.
  ProcessResult StartAndFail();

  struct Exit {
    int code = -1;
    absl::Duration took;
  };
  // SIGKILL, and waits for the end. Unlike a power loss, what was written stays.
  void Kill();
  // Sends the signal, by default SIGTERM, and waits for the end (a code of -1 if there was none
  // within 30 s).
  Exit Stop();
  Exit Stop(int signal);
  void Signal(int signal) { process_->Signal(signal); }

  bool running() const { return process_ != nullptr; }
  pid_t pid() const { return process_->pid(); }
  // Of the last start.
  int port() const { return port_; }
  int http_port() const { return http_port_; }
  std::string address() const;
  // Resident memory of the process. REQUIRES: running.
  int64_t resident_bytes() const;

  const std::string& data_dir() const { return data_dir_; }
  // Where the files of a partition lie.
  std::string PartitionDir(const std::string& topic, int partition) const;
  std::string metadata_dir() const { return data_dir_ + "/metadata"; }
  void set_settings(std::vector<std::string> settings) { settings_ = std::move(settings); }

  // Standard error of all starts so far.
  std::string log() const;
  // Waits for a line of the log of the current start that contains `text`.
  bool WaitForLog(const std::string& text, absl::Duration timeout = absl::Seconds(10)) const;

  // The command line against this server.
  ProcessResult Run(std::vector<std::string> arguments, Slice input = Slice(),
                    absl::Duration timeout = absl::Seconds(60)) const;
  std::vector<std::string> ClientArguments(std::vector<std::string> arguments) const;

 private:
  std::vector<std::string> Arguments() const;
  void ForgetProcess();

  std::vector<std::string> settings_;
  std::unique_ptr<TemporaryDirectory> own_dir_;
  const std::string data_dir_;
  std::unique_ptr<ChildProcess> process_;
  std::string earlier_log_;
  int port_ = 0;
  int http_port_ = 0;
};

}  // namespace millrace::test

#endif  // TEST_CLUSTER_SERVER_PROCESS_H_
