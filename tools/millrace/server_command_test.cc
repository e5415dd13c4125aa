#include "tools/millrace/server_command.h"

#include <cstdlib>
#include <string>

#include "base/posix_file_system.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "tools/millrace/testing/command_test_bed.h"

namespace millrace::tools {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// Lines that end before a server begins: what is wrong with them is found first.
class ServerCommandTest : public testing::Test {
 protected:
  ServerCommandTest() {
    // What a test run says to other tests.
    for (const char* name : {"MILLRACE_SEEDS", "MILLRACE_QUORUM_SEEDS", "MILLRACE_CLUSTER_SEEDS",
                             "MILLRACE_SAMPLE_STEP"}) {
      unsetenv(name);
    }
    EXPECT_OK(RemoveTree(files_, directory_));
    EXPECT_OK(files_.CreateDirectory(directory_));
  }
  ~ServerCommandTest() override {
    unsetenv("MILLRACE_LISTENERS");
    EXPECT_OK(RemoveTree(files_, directory_));
  }

  LineResult Run(std::vector<std::string> words) {
    words.insert(words.begin(), {"server", "--data-dir", In("data")});
    const LineResult result = RunLine(AddServerCommand, std::move(words));
    // Not even a directory is made for a config that is wrong.
    EXPECT_FALSE(files_.Exists(In("data")).value());
    return result;
  }
  std::string In(const std::string& name) const { return JoinPath(directory_, name); }

  PosixFileSystem files_;
  const std::string directory_ = JoinPath(testing::TempDir(), "server_command_test");
};

TEST_F(ServerCommandTest, FlagsGoBeforeTheEnvironmentAndThatBeforeTheFile) {
  EXPECT_OK(ReplaceFile(files_, In("server.yaml"), "listeners: from-file\n"));
  const std::vector<std::string> file = {"--config", In("server.yaml")};
  EXPECT_THAT(Run(file).err, HasSubstr("from-file"));
  setenv("MILLRACE_LISTENERS", "from-environment", 1);
  EXPECT_THAT(Run(file).err, AllOf(HasSubstr("from-environment"), Not(HasSubstr("from-file"))));
  EXPECT_THAT(Run({"--set", "listeners=from-set"}).err, HasSubstr("from-set"));
  EXPECT_THAT(Run({"--set", "listeners=from-set", "--listen", "from-listen"}).err,
              AllOf(HasSubstr("from-listen"), Not(HasSubstr("from-set"))));
}

TEST_F(ServerCommandTest, TheClientsVariableIsNoConfigOfTheServer) {
  setenv("MILLRACE_BOOTSTRAP", "somewhere:1", 1);
  EXPECT_THAT(Run({"--listen", "nowhere"}).err,
              AllOf(HasSubstr("nowhere"), Not(HasSubstr("BOOTSTRAP"))));
  setenv("MILLRACE_BOOTSTRAPS", "x", 1);
  EXPECT_THAT(Run({"--listen", "nowhere"}).err, HasSubstr("MILLRACE_BOOTSTRAPS"));
  unsetenv("MILLRACE_BOOTSTRAPS");
  unsetenv("MILLRACE_BOOTSTRAP");
}

TEST_F(ServerCommandTest, WhatKubernetesSetsForAServiceDoesNotStopIt) {
  const std::vector<const char*> names = {"MILLRACE_SERVICE_PORT", "MILLRACE_PORT_9092_TCP_PORT"};
  for (const char* name : names) setenv(name, "9092", 1);
  EXPECT_THAT(Run({"--listen", "nowhere"}).err,
              AllOf(HasSubstr("nowhere"), Not(HasSubstr("MILLRACE_"))));
  for (const char* name : names) unsetenv(name);
}

TEST_F(ServerCommandTest, AKeyThatDoesNotExistIsNamedWithTheNearestOne) {
  const LineResult result = Run({"--set", "log.retention.hour=1"});
  EXPECT_EQ(result.exit_code, kExitFailed);
  EXPECT_THAT(result.err, AllOf(HasSubstr("INVALID_CONFIG"), HasSubstr("log.retention.hour"),
                                HasSubstr("log.retention.hours")));
}

TEST_F(ServerCommandTest, SettingsAndFilesThatAreNoneAreNamed) {
  EXPECT_THAT(Run({"--set", "novalue"}).err, HasSubstr("'novalue' is not of the form name=value"));
  EXPECT_THAT(Run({"--config", In("missing.yaml")}).err, HasSubstr(In("missing.yaml")));
  EXPECT_EQ(Run({"--no-such-flag"}).exit_code, kExitUsage);
}

}  // namespace
}  // namespace millrace::tools
