// What a voter's network notices of a peer's process: a kill at once, a stop by its silence, and
// its return.
#include <signal.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "raft/service/testing/transport_test_bed.h"
#include "test/cluster/child_process.h"

namespace millrace::test {
namespace {

using raft::GrpcTransport;
using raft::TestVoter;
using raft::TestVoterOptions;

constexpr char kPeer[] = "test/cluster/raft_peer";

class RaftTransportTest : public ::testing::Test {
 protected:
  RaftTransportTest() : voter_(TestVoterOptions{}) {}

  // At the same address each time.
  void StartPeer() {
    peer_ = std::make_unique<ChildProcess>(
        std::vector<std::string>{kPeer, absl::StrCat(port_), absl::StrCat(++starts_)});
    ASSERT_TRUE(peer_->out().WaitFor(
        [](const std::string& text) { return text.find('\n') != std::string::npos; },
        absl::Seconds(30)));
    ASSERT_TRUE(absl::SimpleAtoi(peer_->out().text(), &port_));
    voter_.SetPeers({{Peer().node, absl::StrCat("127.0.0.1:", port_)}});
  }
  static raft::VoterId Peer() { return {NodeId(2), DirectoryId(Uuid(2, 1))}; }

  // A message there and back.
  bool Exchange() {
    const size_t before = voter_.received().size();
    return voter_.SendUntil(Peer(), 1, [&] { return voter_.received().size() > before; });
  }

  TestVoter voter_;
  std::unique_ptr<ChildProcess> peer_;
  int port_ = 0;
  int starts_ = 0;
};

TEST_F(RaftTransportTest, AKilledPeerIsNoticedWithinMillisecondsAndFoundAgain) {
  std::vector<absl::Duration> noticed;
  for (size_t kill = 1; kill <= 9; ++kill) {
    ASSERT_NO_FATAL_FAILURE(StartPeer());
    ASSERT_TRUE(Exchange());
    const absl::Time killed = absl::Now();
    peer_->Signal(SIGKILL);
    ASSERT_TRUE(voter_.AwaitUnreachable(kill));
    noticed.push_back(absl::Now() - killed);
    ASSERT_TRUE(peer_->WaitForExit(absl::Seconds(10)).has_value());
    EXPECT_EQ(voter_.unreachable().size(), kill) << "once per break";
  }
  std::sort(noticed.begin(), noticed.end());
  // About 2 ms; room for a busy machine, and far below every timer there is.
  EXPECT_LT(noticed[noticed.size() / 2], absl::Milliseconds(40));
}

TEST_F(RaftTransportTest, AStoppedPeerIsMissedByItsSilenceAndFoundAgainWhenItGoesOn) {
  ASSERT_NO_FATAL_FAILURE(StartPeer());
  ASSERT_TRUE(Exchange());
  const absl::Time stopped = absl::Now();
  peer_->Signal(SIGSTOP);
  ASSERT_TRUE(voter_.AwaitUnreachable(1));
  EXPECT_LT(absl::Now() - stopped, absl::Seconds(6));
  peer_->Signal(SIGCONT);
  EXPECT_TRUE(Exchange());
  EXPECT_EQ(voter_.unreachable().size(), 1u);
}

}  // namespace
}  // namespace millrace::test
