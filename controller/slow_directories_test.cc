#include "controller/slow_directories.h"

#include <set>

#include "controller/leader_election.h"
#include "controller/testing/two_disks_fixture.h"
#include "metadata/record_types.h"

namespace millrace::controller {
namespace {

using metadata::BrokerState;
using ::testing::ElementsAre;

class SlowDirectoriesTest : public TwoDisksFixture {
 protected:
  MarkSlowDirectoriesReply Mark(int broker, std::set<DirectoryId> directories) {
    const auto reply = cluster_.Run(
        MarkSlowDirectoriesCommand{NodeId(broker), EpochOf(broker), std::move(directories)});
    EXPECT_OK(reply);
    return reply.ok() ? *reply : MarkSlowDirectoriesReply();
  }
  int Leader(int partition = 0) const { return cluster_.Partition("a", partition).leader.value(); }
  int Balance() {
    const auto reply = cluster_.Run(BalanceLeadersCommand());
    EXPECT_OK(reply);
    return reply->elections;
  }
};

TEST_F(SlowDirectoriesTest, OnlyWhatIsLedInTheDirectoryGoesToOthersInOneEntry) {
  const metadata::PartitionImage before = cluster_.Partition("a");
  const metadata::PartitionImage other = cluster_.Partition("a", 1);
  const size_t entries = cluster_.log().size();
  EXPECT_EQ(Mark(1, {first_}).moved, 1);
  EXPECT_EQ(cluster_.log().size(), entries + 1);
  EXPECT_EQ(Leader(), 2);
  EXPECT_EQ(cluster_.Partition("a").leader_epoch, before.leader_epoch + 1);
  EXPECT_EQ(cluster_.Partition("a").isr, before.isr) << "it keeps up as far as it can";
  EXPECT_EQ(cluster_.Partition("a", 1), other);
  EXPECT_TRUE(cluster_.image().FindBroker(NodeId(1))->HasSlowLogDir(first_));
  EXPECT_EQ(cluster_.image().FindBroker(NodeId(1))->state, BrokerState::kActive);
}

TEST_F(SlowDirectoriesTest, TheBalanceGivesNothingBackWhileItIsSlow) {
  Mark(1, {first_});
  EXPECT_EQ(Balance(), 0);
  EXPECT_EQ(Leader(), 2);
}

TEST_F(SlowDirectoriesTest, WellAgainItLeadsWhatItIsPreferredFor) {
  Mark(1, {first_});
  const auto reply = Mark(1, {});
  EXPECT_EQ(reply.given_back, 1);
  EXPECT_EQ(Leader(), 1);
  EXPECT_FALSE(cluster_.image().FindBroker(NodeId(1))->HasSlowLogDir(first_));
}

TEST_F(SlowDirectoriesTest, WhatIsNotPreferredThereDoesNotComeBack) {
  EXPECT_EQ(Mark(2, {TestCluster::DirectoryOf(2)}).moved, 0);
  EXPECT_EQ(Mark(2, {}).given_back, 0);
  EXPECT_EQ(Leader(), 1);
}

TEST_F(SlowDirectoriesTest, TheNextLeaderIsInSyncAndOnADiskThatIsWell) {
  Mark(2, {TestCluster::DirectoryOf(2)});
  EXPECT_EQ(Mark(1, {first_}).moved, 1);
  EXPECT_EQ(Leader(), 3);
}

TEST_F(SlowDirectoriesTest, WithoutAnotherInSyncAndWellItStays) {
  cluster_.Sync("a", {1, 2});
  Mark(2, {TestCluster::DirectoryOf(2)});
  const metadata::PartitionImage before = cluster_.Partition("a");
  const auto reply = Mark(1, {first_});
  EXPECT_EQ(reply.moved, 0);
  EXPECT_EQ(reply.kept, 1);
  EXPECT_EQ(cluster_.Partition("a"), before);
  cluster_.Sync("a", {1});
  EXPECT_EQ(Leader(), 1);
}

TEST_F(SlowDirectoriesTest, AnElectionTakesASlowOneOnlyWhereNobodyElseCan) {
  Mark(2, {TestCluster::DirectoryOf(2)});
  cluster_.Fence(1);
  EXPECT_EQ(Leader(), 3) << "2 comes first, and is slow";
  cluster_.Fence(3);
  EXPECT_EQ(Leader(), 2);
}

TEST_F(SlowDirectoriesTest, ANewProcessOfTheBrokerBeginsWell) {
  Mark(2, {TestCluster::DirectoryOf(2)});
  cluster_.Start(2, 2);
  EXPECT_FALSE(cluster_.image().FindBroker(NodeId(2))->HasSlowLogDir(TestCluster::DirectoryOf(2)));
}

TEST_F(SlowDirectoriesTest, TheSameAgainOrForeignDirectoriesChangeNothing) {
  Mark(1, {first_});
  const size_t entries = cluster_.log().size();
  Mark(1, {first_, DirectoryId(Uuid(9, 9))});
  EXPECT_EQ(cluster_.log().size(), entries);
  EXPECT_THAT(cluster_.Run(MarkSlowDirectoriesCommand{NodeId(1), BrokerEpoch(1), {}}),
              HasCode(ErrorCode::kStaleBrokerEpoch));
}

TEST_F(SlowDirectoriesTest, BelowLevel4NothingIsWritten) {
  State old = cluster_.state();
  metadata::records::FeatureLevelRecord level;
  level.set_feature_level(3);
  old = Machine::Apply(old, cluster_.index() + 1, {metadata::Encode(level)});
  const auto decision = MarkSlowDirectories(old, {NodeId(1), EpochOf(1), {first_}});
  EXPECT_OK(decision.reply);
  EXPECT_TRUE(decision.records.empty());
}

}  // namespace
}  // namespace millrace::controller
