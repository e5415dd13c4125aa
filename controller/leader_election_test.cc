#include "controller/leader_election.h"

#include <vector>

#include "controller/testing/test_cluster.h"

namespace millrace::controller {
namespace {

using metadata::PartitionImage;
using metadata::RecoveryState;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class LeaderElectionTest : public ::testing::Test {
 protected:
  LeaderElectionTest() {
    for (int id = 1; id <= 3; ++id) cluster_.Start(id, 1);
  }

  static PartitionImage Partition(std::vector<int> isr, std::vector<int> elr, int leader) {
    PartitionImage partition;
    for (int id = 1; id <= 3; ++id) {
      partition.replicas.push_back({NodeId(id), TestCluster::DirectoryOf(id)});
    }
    for (const int id : isr) partition.isr.push_back(NodeId(id));
    for (const int id : elr) partition.elr.push_back(NodeId(id));
    partition.leader = NodeId(leader);
    return partition;
  }
  ElectionResult Run(PartitionImage* partition, ElectionRules rules = {.min_isr = 2}) {
    return Elect(Electorate(cluster_.image()), rules, partition);
  }

  TestCluster cluster_;
};

TEST_F(LeaderElectionTest, LeaderThatMayLeadIsKeptInItsEpoch) {
  PartitionImage partition = Partition({1, 2}, {}, 2);
  const PartitionImage before = partition;
  EXPECT_EQ(Run(&partition), ElectionResult::kKept);
  EXPECT_EQ(partition, before);
}

TEST_F(LeaderElectionTest, IsrComesFirstInOrderOfReplicas) {
  PartitionImage partition = Partition({3, 2}, {1}, -1);
  EXPECT_EQ(Run(&partition), ElectionResult::kElected);
  EXPECT_EQ(partition.leader, NodeId(2));
  EXPECT_EQ(partition.leader_epoch, LeaderEpoch(1));
  EXPECT_THAT(Ids(partition.isr), ElementsAre(3, 2));
}

TEST_F(LeaderElectionTest, KIP966_EligibleLeaderComesNextAndIsThenTheIsr) {
  PartitionImage partition = Partition({}, {2, 3}, -1);
  EXPECT_EQ(Run(&partition), ElectionResult::kElected);
  EXPECT_EQ(partition.leader, NodeId(2));
  EXPECT_THAT(Ids(partition.isr), ElementsAre(2));
  EXPECT_THAT(Ids(partition.elr), ElementsAre(3));
  EXPECT_EQ(partition.recovery_state, RecoveryState::kRecovered);
}

TEST_F(LeaderElectionTest, KIP966_EligibleLeadersAreClearedOnceEnoughAreInSync) {
  PartitionImage partition = Partition({}, {2, 3}, -1);
  EXPECT_EQ(Run(&partition, {.min_isr = 1}), ElectionResult::kElected);
  EXPECT_THAT(Ids(partition.elr), IsEmpty());
}

TEST_F(LeaderElectionTest, NobodyIsElectedWithoutProofUnlessAllowed) {
  PartitionImage partition = Partition({}, {}, -1);
  partition.last_known_leader = NodeId(3);
  EXPECT_EQ(Run(&partition), ElectionResult::kNone);
  EXPECT_EQ(partition.leader_epoch, LeaderEpoch(0));
  EXPECT_EQ(Run(&partition, {.min_isr = 2, .unclean = true}), ElectionResult::kElectedWithoutProof);
  EXPECT_EQ(partition.leader, NodeId(3));
  EXPECT_EQ(partition.recovery_state, RecoveryState::kRecovering);
  EXPECT_THAT(Ids(partition.isr), ElementsAre(3));
}

TEST_F(LeaderElectionTest, KAFKA19522_FencedLastKnownLeaderIsNotElected) {
  cluster_.Fence(3);
  PartitionImage partition = Partition({}, {}, -1);
  partition.last_known_leader = NodeId(3);
  EXPECT_EQ(Run(&partition, {.min_isr = 2, .unclean = true}), ElectionResult::kElectedWithoutProof);
  EXPECT_EQ(partition.leader, NodeId(1));
}

TEST_F(LeaderElectionTest, S32_TheOnlyCopyLeadsWhateverIsKnownOfItUnlessItIsBeingMoved) {
  PartitionImage alone = Partition({}, {}, -1);
  alone.replicas.resize(1);
  PartitionImage moved = Partition({}, {}, -1);
  moved.adding = {NodeId(2), NodeId(3)};
  moved.last_known_leader = NodeId(1);
  EXPECT_EQ(Run(&alone, {.min_isr = 1}), ElectionResult::kElectedWithoutProof);
  EXPECT_EQ(alone.leader, NodeId(1));
  EXPECT_EQ(Run(&moved, {.min_isr = 1}), ElectionResult::kNone);
}

TEST_F(LeaderElectionTest, WhetherThereWasProofIsSeenFromThePartitionBeforeAndAfter) {
  const ElectionRules unclean{.min_isr = 2, .unclean = true};
  const auto changed = [](PartitionImage before, auto&& change) {
    PartitionImage after = before;
    change(&after);
    return WasElectedWithoutProof(before, after);
  };
  // The eligible one is away: whoever is elected instead lacks what only that one has.
  cluster_.Fence(1);
  PartitionImage lost = Partition({}, {1}, -1);
  EXPECT_TRUE(changed(lost, [&](PartitionImage* after) {
    EXPECT_EQ(Run(after, unclean), ElectionResult::kElectedWithoutProof);
  }));
  // In the entry in which the leader dies it was in sync before.
  EXPECT_TRUE(changed(Partition({1}, {}, 1), [&](PartitionImage* after) {
    LeaveIsr(NodeId(1), 2, after);
    EXPECT_EQ(Run(after, unclean), ElectionResult::kElectedWithoutProof);
  }));
  EXPECT_FALSE(changed(Partition({1, 2}, {}, 1), [&](PartitionImage* after) {
    LeaveIsr(NodeId(1), 2, after);
    EXPECT_EQ(Run(after, unclean), ElectionResult::kElected);
  }));
  EXPECT_FALSE(changed(Partition({1}, {3}, 1), [&](PartitionImage* after) {
    LeaveIsr(NodeId(1), 2, after);
    EXPECT_EQ(Run(after, unclean), ElectionResult::kElected);
  }));
  EXPECT_FALSE(changed(Partition({1}, {}, 1), [&](PartitionImage* after) {
    LeaveIsr(NodeId(1), 2, after);
    EXPECT_EQ(Run(after), ElectionResult::kNone);
  }));
  // Elected without proof once, and by right ever since, though it has not recovered.
  PartitionImage recovering = Partition({}, {2}, -1);
  recovering.recovery_state = RecoveryState::kRecovering;
  EXPECT_FALSE(changed(recovering, [&](PartitionImage* after) {
    EXPECT_EQ(Run(after, unclean), ElectionResult::kElected);
  }));
  EXPECT_FALSE(changed(Partition({2}, {}, 2), [&](PartitionImage* after) {
    after->recovery_state = RecoveryState::kRecovering;
  })) << "not an election";
}

TEST_F(LeaderElectionTest, LossOfTheLeaderRaisesTheEpochOnce) {
  for (int id = 1; id <= 3; ++id) cluster_.Fence(id);
  PartitionImage partition = Partition({}, {1}, 1);
  EXPECT_EQ(Run(&partition), ElectionResult::kNone);
  EXPECT_EQ(partition.leader, kNoNode);
  EXPECT_EQ(partition.last_known_leader, NodeId(1));
  EXPECT_EQ(partition.leader_epoch, LeaderEpoch(1));
  EXPECT_EQ(Run(&partition), ElectionResult::kNone);
  EXPECT_EQ(partition.leader_epoch, LeaderEpoch(1));
}

TEST_F(LeaderElectionTest, S05_DirectoryThatIsNotTheRegisteredOneNeverLeads) {
  PartitionImage partition = Partition({1, 2}, {}, 1);
  partition.replicas[0].directory = DirectoryId(Uuid(4, 4));
  EXPECT_EQ(Run(&partition), ElectionResult::kElected);
  EXPECT_EQ(partition.leader, NodeId(2));
}

TEST_F(LeaderElectionTest, MemberThatLeavesAFullIsrIsNotEligible) {
  PartitionImage partition = Partition({1, 2, 3}, {}, 1);
  LeaveIsr(NodeId(3), 2, &partition);
  EXPECT_THAT(Ids(partition.elr), IsEmpty());
  LeaveIsr(NodeId(2), 2, &partition);
  EXPECT_THAT(Ids(partition.elr), ElementsAre(2));
  LeaveIsr(NodeId(3), 2, &partition);
  EXPECT_THAT(Ids(partition.elr), ElementsAre(2));
  LeaveIsr(NodeId(1), 2, &partition);
  EXPECT_THAT(Ids(partition.isr), IsEmpty());
  EXPECT_THAT(Ids(partition.elr), ElementsAre(1, 2));
  LoseTrust(NodeId(2), &partition);
  EXPECT_THAT(Ids(partition.elr), ElementsAre(1));
}

}  // namespace
}  // namespace millrace::controller
