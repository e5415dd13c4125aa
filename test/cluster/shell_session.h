// ShellSession: a shell in an empty directory, as a reader of the documentation has one, with
// `millrace` at hand: runs commands one after the other and tells what each printed.
//
// The documents use the default ports. A test must not: ports of its own are put in their place in
// commands and environment, and taken out of what is printed, so that both read as documented.
//
// Thread: one owner (see child_process.h).
#ifndef TEST_CLUSTER_SHELL_SESSION_H_
#define TEST_CLUSTER_SHELL_SESSION_H_

#include <memory>
#include <string>

#include "test/cluster/child_process.h"
#include "test/cluster/server_process.h"

namespace millrace::test {

class ShellSession {
 public:
  ShellSession();
  // Kills the servers that were started in it.
  ~ShellSession();

  struct Outcome {
    // -1: it did not end in time.
    int exit_code = -1;
    // Standard output and standard error as they came.
    std::string output;
  };
  // Runs a command, of one or more lines. One that starts a server returns when that serves.
  Outcome Run(const std::string& command);
  // Runs commands one after the other without a pause, as a reader does who pastes them.
  Outcome RunBlock(const std::string& commands);

  // The directory in which the commands run.
  std::string directory() const { return home_.path() + "/work"; }

 private:
  std::string WithOwnPorts(std::string text) const;
  std::string WithDocumentedPorts(std::string text) const;

  const TemporaryDirectory home_;
  int port_ = 0;
  int http_port_ = 0;
  int commands_ = 0;
  std::unique_ptr<ChildProcess> shell_;
};

}  // namespace millrace::test

#endif  // TEST_CLUSTER_SHELL_SESSION_H_
