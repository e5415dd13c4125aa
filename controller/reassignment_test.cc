#include "controller/reassignment.h"

#include "controller/testing/test_cluster.h"

namespace millrace::controller {
namespace {

using metadata::PartitionImage;
using metadata::Replicas;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Brokers 1 to 5 are active; a partition on 1, 2 and 3, all in sync, with a minimum of two.
class ReassignmentTest : public ::testing::Test {
 protected:
  ReassignmentTest() : electorate_(cluster_.image()) {
    for (int id = 1; id <= 5; ++id) cluster_.Start(id, 1);
    rules_.min_insync_replicas = 2;
    for (int id = 1; id <= 3; ++id) {
      partition_.replicas.push_back(On(id));
      partition_.isr.push_back(NodeId(id));
    }
    partition_.leader = NodeId(1);
    partition_.leader_epoch = LeaderEpoch(7);
  }
  static metadata::ReplicaImage On(int id) { return {NodeId(id), TestCluster::DirectoryOf(id)}; }
  absl::Status To(const std::vector<int>& target, int64_t throttle_bytes_per_s = 0) {
    Replicas replicas;
    for (const int id : target) replicas.push_back(On(id));
    return Reassign(electorate_, rules_, replicas, throttle_bytes_per_s, &partition_);
  }
  absl::Status Cancel() { return CancelReassignment(electorate_, rules_, &partition_); }
  void Sync(const std::vector<int>& isr) {
    metadata::BrokerList members;
    for (const int id : isr) members.push_back(NodeId(id));
    ReplaceIsr(members, rules_.ForPartition(partition_).min_isr, &partition_);
    CompleteReassignment(electorate_, rules_, &partition_);
  }

  TestCluster cluster_;
  const Electorate electorate_;
  TopicRules rules_;
  PartitionImage partition_;
};

TEST_F(ReassignmentTest, KIP455_BothSetsHoldThePartitionUntilTheTargetIsInSync) {
  ASSERT_OK(To({4, 2, 5}));
  EXPECT_THAT(Ids(partition_.replicas), ElementsAre(1, 2, 3, 4, 5));
  EXPECT_THAT(Ids(partition_.target), ElementsAre(4, 2, 5));
  EXPECT_THAT(Ids(partition_.adding), ElementsAre(4, 5));
  EXPECT_THAT(Ids(partition_.Removing()), ElementsAre(1, 3));
  EXPECT_EQ(partition_.leader_epoch, LeaderEpoch(7)) << "nobody left";
  Sync({1, 2, 3, 4, 5});
  EXPECT_FALSE(partition_.IsReassigned());
  EXPECT_THAT(Ids(partition_.replicas), ElementsAre(4, 2, 5));
  EXPECT_THAT(Ids(partition_.isr), ElementsAre(4, 2, 5));
  EXPECT_THAT(partition_.adding, IsEmpty());
  EXPECT_EQ(partition_.leader, NodeId(4)) << "the preferred leader of the target";
  EXPECT_EQ(partition_.leader_epoch, LeaderEpoch(8));
  EXPECT_EQ(partition_.DirectoryOf(NodeId(5)), TestCluster::DirectoryOf(5));
}

TEST_F(ReassignmentTest, KAFKA15665_NotDoneBeforeAllOfTheTargetAreInSync) {
  ASSERT_OK(To({4, 5, 3}));
  Sync({1, 2, 3, 4});
  EXPECT_TRUE(partition_.IsReassigned());
  Sync({1, 2, 4, 5});
  EXPECT_TRUE(partition_.IsReassigned()) << "3 stays, and is behind";
  Sync({1, 3, 4, 5});
  EXPECT_FALSE(partition_.IsReassigned());
}

TEST_F(ReassignmentTest, ALeaderThatStaysLeadsInANewEpochOnceReplicasHaveLeft) {
  ASSERT_OK(To({1, 2, 4}));
  Sync({1, 2, 3, 4});
  EXPECT_THAT(Ids(partition_.replicas), ElementsAre(1, 2, 4));
  EXPECT_EQ(partition_.leader, NodeId(1));
  EXPECT_EQ(partition_.leader_epoch, LeaderEpoch(8)) << "S-14: 3 may come back with nothing";
}

TEST_F(ReassignmentTest, FewerReplicasOrAnotherOrderAreDoneAtOnce) {
  ASSERT_OK(To({3, 2, 1}));
  EXPECT_FALSE(partition_.IsReassigned());
  EXPECT_THAT(Ids(partition_.replicas), ElementsAre(3, 2, 1));
  EXPECT_THAT(Ids(partition_.isr), ElementsAre(3, 2, 1));
  EXPECT_EQ(partition_.leader_epoch, LeaderEpoch(7));
  ASSERT_OK(To({2, 3}));
  EXPECT_FALSE(partition_.IsReassigned());
  EXPECT_THAT(Ids(partition_.isr), ElementsAre(2, 3));
  EXPECT_EQ(partition_.leader, NodeId(2));
}

TEST_F(ReassignmentTest, S16_TheMinimumFollowsTheReplicasOnlyWhenItIsDone) {
  partition_.replicas = {On(1)};
  partition_.isr = {NodeId(1)};
  ASSERT_OK(To({1, 2, 3}));
  EXPECT_EQ(rules_.ForPartition(partition_).min_isr, 1) << "one is enough as it was before";
  Sync({1, 2, 3});
  EXPECT_EQ(rules_.ForPartition(partition_).min_isr, 2);
  ASSERT_OK(To({4}));
  EXPECT_EQ(rules_.ForPartition(partition_).min_isr, 2) << "not lowered before";
}

TEST_F(ReassignmentTest, CancelGoesBackToTheOldReplicasInTheirOrder) {
  const PartitionImage before = partition_;
  ASSERT_OK(To({4, 2, 5}));
  ASSERT_OK(Cancel());
  EXPECT_EQ(partition_.replicas, before.replicas);
  EXPECT_EQ(partition_.isr, before.isr);
  EXPECT_FALSE(partition_.IsReassigned());
  EXPECT_EQ(partition_.leader_epoch, LeaderEpoch(8)) << "4 and 5 left";
  const PartitionImage cancelled = partition_;
  ASSERT_OK(Cancel());
  EXPECT_EQ(partition_, cancelled) << "nothing to take back";
}

TEST_F(ReassignmentTest, AnotherTargetReplacesTheFirstAndDropsWhoCameWithIt) {
  ASSERT_OK(To({4, 2, 3}));
  Sync({1, 2, 3});
  ASSERT_OK(To({5, 2, 3}));
  EXPECT_THAT(Ids(partition_.replicas), ElementsAre(1, 2, 3, 5));
  EXPECT_THAT(Ids(partition_.adding), ElementsAre(5));
  EXPECT_EQ(partition_.leader_epoch, LeaderEpoch(8)) << "4 left";
  ASSERT_OK(To({1, 2, 3}));
  EXPECT_FALSE(partition_.IsReassigned());
  EXPECT_THAT(Ids(partition_.replicas), ElementsAre(1, 2, 3));
}

TEST_F(ReassignmentTest, AThrottleEndsWithItsReassignmentHoweverThatEnds) {
  ASSERT_OK(To({4, 2, 3}, 1000));
  EXPECT_EQ(partition_.throttle_bytes_per_s, 1000);
  Sync({1, 2, 3});
  EXPECT_EQ(partition_.throttle_bytes_per_s, 1000);
  Sync({1, 2, 3, 4});
  EXPECT_FALSE(partition_.IsReassigned());
  EXPECT_EQ(partition_.throttle_bytes_per_s, 0) << "done";
  ASSERT_OK(To({1, 2, 3}, 1000));
  ASSERT_OK(Cancel());
  EXPECT_EQ(partition_.throttle_bytes_per_s, 0) << "taken back";
  ASSERT_OK(To({1, 2, 4}, 1000));
  ASSERT_OK(To({1, 2, 3}));
  EXPECT_EQ(partition_.throttle_bytes_per_s, 0) << "without one now";
}

TEST_F(ReassignmentTest, AnotherThrottleForTheSameTargetChangesNothingElse) {
  ASSERT_OK(To({4, 2, 3}, 1000));
  PartitionImage wanted = partition_;
  wanted.throttle_bytes_per_s = 5000;
  ASSERT_OK(To({4, 2, 3}, 5000));
  EXPECT_EQ(partition_, wanted);
}

TEST_F(ReassignmentTest, WhereNobodyComesThereIsNoThrottle) {
  ASSERT_OK(To({3, 2, 1}, 1000));
  EXPECT_EQ(partition_.throttle_bytes_per_s, 0);
  partition_.isr = {NodeId(3), NodeId(1)};
  ASSERT_OK(To({3, 2}, 1000));
  EXPECT_TRUE(partition_.IsReassigned()) << "2 is behind";
  EXPECT_EQ(partition_.throttle_bytes_per_s, 0);
}

TEST_F(ReassignmentTest, NothingIsTakenBackIfOnlyThoseWhoCameAreInSync) {
  ASSERT_OK(To({4, 5}));
  Sync({1, 4});
  // The old leader dies; 4 leads alone.
  partition_.isr = {NodeId(4)};
  partition_.leader = NodeId(4);
  const PartitionImage before = partition_;
  EXPECT_THAT(Cancel(), IsError(ErrorCode::kIneligibleReplica, "in sync are 4"));
  EXPECT_THAT(To({2, 3}), HasCode(ErrorCode::kIneligibleReplica));
  EXPECT_EQ(partition_, before);
}

TEST_F(ReassignmentTest, CancelGivesLeadershipBackToOneInSync) {
  ASSERT_OK(To({4, 5}));
  Sync({2, 4});
  partition_.leader = NodeId(4);
  ASSERT_OK(Cancel());
  EXPECT_EQ(partition_.leader, NodeId(2));
  EXPECT_THAT(Ids(partition_.isr), ElementsAre(2));
}

TEST_F(ReassignmentTest, KIP966_EligibleReplicasThatLeaveAreNotEligible) {
  partition_.isr = {NodeId(1)};
  partition_.elr = {NodeId(2), NodeId(3)};
  ASSERT_OK(To({1, 3}));
  EXPECT_THAT(Ids(partition_.elr), ElementsAre(2, 3));
  Sync({1, 3});
  EXPECT_THAT(Ids(partition_.replicas), ElementsAre(1, 3));
  EXPECT_THAT(partition_.elr, IsEmpty());
}

TEST_F(ReassignmentTest, WithoutALeaderNothingIsDoneAndNobodyIsElected) {
  partition_.isr.clear();
  partition_.elr = {NodeId(2)};
  partition_.leader = kNoNode;
  ASSERT_OK(To({4, 5}));
  EXPECT_TRUE(partition_.IsReassigned());
  EXPECT_EQ(partition_.leader, kNoNode);
  ASSERT_OK(Cancel());
  EXPECT_THAT(Ids(partition_.replicas), ElementsAre(1, 2, 3));
}

// 4 came, was in sync, and lost that like the others: it may have what they lack.
TEST_F(ReassignmentTest, S32_WhereNobodyIsKnownToHaveAllNobodyLeaves) {
  ASSERT_OK(To({4, 5}));
  partition_.isr.clear();
  partition_.leader = kNoNode;
  partition_.last_known_leader = NodeId(1);
  const PartitionImage before = partition_;
  EXPECT_THAT(Cancel(), IsError(ErrorCode::kIneligibleReplica,
                                "has no leader, and of those that would leave, 4,5,"));
  EXPECT_THAT(To({2, 5}), HasCode(ErrorCode::kIneligibleReplica));
  EXPECT_EQ(partition_, before);
  EXPECT_OK(To({4, 5, 3})) << "nobody leaves yet";
}

TEST_F(ReassignmentTest, S08_WhoIsWholeDoesNotLeaveThoseThatWereCut) {
  ASSERT_OK(To({4, 5}));
  partition_.isr.clear();
  partition_.elr = {NodeId(1), NodeId(4)};
  partition_.impaired = {NodeId(1)};
  partition_.leader = kNoNode;
  partition_.last_known_leader = NodeId(1);
  EXPECT_THAT(Cancel(), HasCode(ErrorCode::kIneligibleReplica));
  // The same while it leads, before it has said that 1 is out of sync.
  partition_.isr = {NodeId(4)};
  partition_.elr = {NodeId(1)};
  partition_.leader = NodeId(4);
  EXPECT_THAT(Cancel(), HasCode(ErrorCode::kIneligibleReplica));
}

TEST_F(ReassignmentTest, S08_NorDoesOneThatWasCutWhileTheEndsSayWhoLeads) {
  ASSERT_OK(To({4, 5}));
  partition_.isr.clear();
  partition_.elr = {NodeId(1), NodeId(4)};
  partition_.impaired = {NodeId(1), NodeId(4)};
  partition_.leader = kNoNode;
  EXPECT_THAT(Cancel(), HasCode(ErrorCode::kIneligibleReplica));
  partition_.impaired = {NodeId(4)};
  EXPECT_OK(Cancel()) << "1 has all that was acknowledged";
  EXPECT_THAT(Ids(partition_.replicas), ElementsAre(1, 2, 3));
}

}  // namespace
}  // namespace millrace::controller
