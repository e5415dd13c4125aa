#include "node/directory_replacer.h"

#include <vector>

#include "base/log.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "node/testing/controller_fixture.h"
#include "node/testing/willing_peers.h"
#include "node/voter_level.h"
#include "raft/quorum.h"

namespace millrace::node {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::SizeIs;

// Node 1 of three; the others are played by the transport.
class DirectoryReplacerTest : public ControllerFixture {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(Open("one:1", {{Id(2), "two:1"}, {Id(3), "three:1"}}, &peers_));
    Lead();
  }

  WillingPeers peers_{owner_.get()};
  std::vector<raft::HeardPeer> heard_;
  // Of each program that is heard.
  raft::ProgramFeatures features_{.level_min = 1, .level_max = 5};
  DirectoryReplacer replacer_{
      absl::Seconds(30), &clock_, owner_.get(), [this] { return heard_; },
      [this](const raft::VoterId& id) { return CheckKnowsLevel(id, &features_, /*level=*/5); }};
};

TEST_F(DirectoryReplacerTest, S17ALostDirectoryIsReplacedWhileThisNodeLeads) {
  LogCapture log;
  peers_.silent = Id(3, 1);
  heard_ = {{.id = Id(3, 2), .address = "three:1", .asks_to_join = true, .connected = true}};
  // Not before it leads.
  loop_.RunFor(absl::Minutes(2));
  EXPECT_NE(voters().Find(Id(3, 1)), nullptr);
  owner_->RunNow([&] { replacer_.OnLed(&host_->log()); });
  loop_.RunFor(absl::Seconds(20));
  EXPECT_NE(voters().Find(Id(3, 1)), nullptr);
  loop_.RunFor(absl::Seconds(60));
  EXPECT_EQ(voters().Find(Id(3, 1)), nullptr);
  EXPECT_TRUE(raft::IsCountedVoter(voters(), Id(3, 2)));
  EXPECT_THAT(voters().voters, SizeIs(3));
  EXPECT_THAT(log.lines(), Contains(HasSubstr("a voter came back on another directory")));
  EXPECT_THAT(log.lines(), Contains(HasSubstr("the old directory is removed")));
}

TEST_F(DirectoryReplacerTest, S17ANewcomerThatGoesAgainReplacesNothing) {
  LogCapture log;
  peers_.silent = Id(3, 1);
  heard_ = {{.id = Id(3, 2), .address = "three:1", .asks_to_join = true, .connected = true}};
  owner_->RunNow([&] { replacer_.OnLed(&host_->log()); });
  loop_.RunFor(absl::Seconds(20));
  heard_[0].connected = false;
  loop_.RunFor(absl::Minutes(5));
  EXPECT_NE(voters().Find(Id(3, 1)), nullptr);
  EXPECT_THAT(log.lines(), Contains(HasSubstr("the old one stays")));
}

TEST_F(DirectoryReplacerTest, AProgramThatDoesNotKnowTheClustersLevelReplacesNothingBeforeItDoes) {
  LogCapture log;
  peers_.silent = Id(3, 1);
  heard_ = {{.id = Id(3, 2), .address = "three:1", .asks_to_join = true, .connected = true}};
  features_.level_max = 4;
  owner_->RunNow([&] { replacer_.OnLed(&host_->log()); });
  loop_.RunFor(absl::Minutes(5));
  EXPECT_NE(voters().Find(Id(3, 1)), nullptr);
  EXPECT_EQ(voters().Find(Id(3, 2)), nullptr);
  EXPECT_THAT(log.lines(), Contains(HasSubstr("knows feature levels 1 to 4")).Times(1));
  features_.level_max = 5;
  loop_.RunFor(absl::Minutes(2));
  EXPECT_TRUE(raft::IsCountedVoter(voters(), Id(3, 2)));
}

TEST_F(DirectoryReplacerTest, WhoNoLongerLeadsReplacesNothing) {
  peers_.silent = Id(3, 1);
  heard_ = {{.id = Id(3, 2), .address = "three:1", .asks_to_join = true, .connected = true}};
  owner_->RunNow([&] { replacer_.OnLed(&host_->log()); });
  loop_.RunFor(absl::Seconds(20));
  owner_->RunNow([&] { replacer_.OnLostLeadership(); });
  loop_.RunFor(absl::Minutes(5));
  EXPECT_NE(voters().Find(Id(3, 1)), nullptr);
}

}  // namespace
}  // namespace millrace::node
