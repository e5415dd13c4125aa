#include "tools/millrace/cluster_wait_command.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "tools/millrace/cluster_command.h"
#include "tools/millrace/testing/command_test_bed.h"

namespace millrace::tools {
namespace {

using ::testing::HasSubstr;

// That it waits for a server which does not answer yet is shown by the tour in README.md
// (test/cluster/readme_tour_test.cc).
class ClusterWaitCommandTest : public ::testing::Test {
 protected:
  ClusterWaitCommandTest() {
    server_.describe_cluster.response.set_cluster_id("c");
    server_.describe_cluster.response.set_controller_id(1);
    for (const bool fenced : {false, true}) {
      server_.describe_cluster.response.add_brokers()->set_fenced(fenced);
    }
  }
  LineResult Run(std::vector<std::string> words) {
    words.insert(words.begin(), {"cluster", "wait"});
    return RunLine(AddClusterCommands, server_.At(std::move(words)));
  }

  FakeAdminServer server_;
};

TEST_F(ClusterWaitCommandTest, ReturnsAtOnceWhereEverythingRuns) {
  const LineResult line = Run({"--timeout", "600"});
  EXPECT_EQ(line.exit_code, kExitOk) << line.err;
  EXPECT_EQ(line.out, "cluster c serves: 1 broker(s) run, controller 1 leads\n");
  EXPECT_EQ(Json::parse(Run({"-o", "json"}).out)["brokers_running"], 1);
}

TEST_F(ClusterWaitCommandTest, SaysWhatItWaitedForInVain) {
  const LineResult brokers = Run({"--brokers", "2", "--timeout", "0.2"});
  EXPECT_EQ(brokers.exit_code, kExitUnavailable);
  EXPECT_EQ(brokers.out, "");
  EXPECT_THAT(brokers.err, HasSubstr("after 200ms 1 of 2 broker(s) run, and a controller leads"));
  server_.describe_cluster.response.set_controller_id(-1);
  EXPECT_THAT(Run({"--timeout", "0.2"}).err, HasSubstr("no controller leads"));
  const LineResult nobody = RunLine(
      AddClusterCommands, {"cluster", "wait", "--timeout", "0.2", "--bootstrap", "127.0.0.1:1"});
  EXPECT_EQ(nobody.exit_code, kExitUnavailable);
  EXPECT_THAT(nobody.err, HasSubstr("127.0.0.1:1"));
}

TEST_F(ClusterWaitCommandTest, WhatWaitingDoesNotMendIsToldAtOnce) {
  const LineResult line = RunLine(
      AddClusterCommands, {"cluster", "wait", "--timeout", "600", "--bootstrap", "here:and:there"});
  EXPECT_EQ(line.exit_code, kExitFailed);
  EXPECT_THAT(line.err, HasSubstr("here:and:there"));
}

}  // namespace
}  // namespace millrace::tools
