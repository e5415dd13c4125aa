#include "node/directory_replacer.h"

#include <memory>
#include <vector>

#include "base/log.h"
#include "base/sim/sim_clock.h"
#include "base/sim/sim_executor.h"
#include "base/sim/sim_file_system.h"
#include "base/sim/sim_random.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "node/controller_host.h"
#include "node/testing/willing_peers.h"
#include "node/voter_level.h"
#include "raft/quorum.h"

namespace millrace::node {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::SizeIs;

// Node 1 of three; the others are played by the transport.
class DirectoryReplacerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(dir_, MetadataDir::Open(&files_, "m", NodeId(1), &random_));
    QuorumPlace place;
    place.founders.voters = {raft::Voter{{NodeId(1), dir_->directory_id()}, "one:1"},
                             raft::Voter{Id(2, 1), "two:1"}, raft::Voter{Id(3, 1), "three:1"}};
    place.transport = &peers_;
    ASSERT_OK_AND_ASSIGN(
        host_, ControllerHost::Open(*dir_, NodeId(1), std::make_shared<controller::Settings>(),
                                    std::move(place),
                                    {.files = &files_,
                                     .clock = &clock_,
                                     .random = &random_,
                                     .metrics = &metrics_,
                                     .owner = owner_.get(),
                                     .disk = disk_.get(),
                                     .image_disk = disk_.get(),
                                     .leaders = &leaders_,
                                     .election_random = std::make_unique<sim::SimRandom>(3)}));
    bool led = false;
    host_->Start([&] { led = true; }, [](const absl::Status&) {});
    ASSERT_TRUE(loop_.RunUntil([&] { return led; }, absl::Seconds(20)));
  }
  void TearDown() override {
    host_.reset();
    owner_->Shutdown();
    disk_->Shutdown();
  }

  static raft::VoterId Id(int node, uint64_t directory) {
    return {NodeId(node), DirectoryId(Uuid(static_cast<uint64_t>(node), directory))};
  }
  const raft::VoterSet& voters() const { return host_->log().node().voters(); }

  sim::SimLoop loop_{1};
  sim::SimClock clock_{loop_.time()};
  sim::SimRandom random_{1};
  sim::SimFileSystem files_;
  MetricRegistry metrics_;
  std::unique_ptr<sim::SimExecutor> owner_ = loop_.MakeExecutor("owner", &clock_);
  std::unique_ptr<sim::SimExecutor> disk_ = loop_.MakeExecutor("disk", &clock_);
  WillingPeers peers_{owner_.get()};
  controller::LeaderWatch leaders_;
  std::unique_ptr<MetadataDir> dir_;
  std::unique_ptr<ControllerHost> host_;
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
