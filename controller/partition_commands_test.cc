#include "controller/partition_commands.h"

#include <vector>

#include "controller/testing/test_cluster.h"

namespace millrace::controller {
namespace {

using internal::v1::AlterPartitionRequest;
using internal::v1::PartitionProposal;
using internal::v1::PartitionProposalResult;
using metadata::PartitionImage;
using metadata::RecoveryState;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Brokers 1 to 3, topic "t" on all of them, led by 1, with a minimum of two.
class PartitionCommandsTest : public ::testing::Test {
 protected:
  PartitionCommandsTest() {
    for (int id = 1; id <= 3; ++id) cluster_.Start(id, 1);
    cluster_.CreateOn("t", {1, 2, 3}, {{"min.insync.replicas", "2"}});
  }

  BrokerEpoch EpochOf(int id) const { return cluster_.image().FindBroker(NodeId(id))->epoch; }

  // What the leader of "t" as it is now would say.
  PartitionProposal Proposal(const std::vector<int>& isr) const {
    const PartitionImage& now = cluster_.Partition("t");
    PartitionProposal proposal;
    proposal.set_leader_epoch(now.leader_epoch.value());
    proposal.set_partition_epoch(now.partition_epoch.value());
    for (const int id : isr) {
      auto* member = proposal.add_new_isr();
      member->set_broker_id(id);
      member->set_broker_epoch(EpochOf(id).value());
    }
    return proposal;
  }
  AlterPartitionRequest From(int proposer, const PartitionProposal& proposal) const {
    AlterPartitionRequest request;
    request.set_broker_id(proposer);
    request.set_broker_epoch(EpochOf(proposer).value());
    auto* topic = request.add_topics();
    topic->set_topic_id(cluster_.IdOf("t").ToBytes());
    *topic->add_partitions() = proposal;
    return request;
  }
  PartitionProposalResult Ask(int proposer, const PartitionProposal& proposal) {
    const auto reply = cluster_.Run(From(proposer, proposal));
    EXPECT_OK(reply);
    return reply.ok() ? reply->topics(0).partitions(0) : PartitionProposalResult();
  }
  PartitionProposalResult Propose(const std::vector<int>& isr) { return Ask(1, Proposal(isr)); }

  // Nothing came of the proposal, which was answered with the state as it is.
  void ExpectRefused(const PartitionProposal& proposal, ErrorCode code, int proposer = 1) {
    const PartitionImage before = cluster_.Partition("t");
    const size_t entries = cluster_.log().size();
    const PartitionProposalResult result = Ask(proposer, proposal);
    EXPECT_EQ(static_cast<int>(result.code()), static_cast<int>(code)) << result.message();
    EXPECT_EQ(cluster_.Partition("t"), before);
    EXPECT_EQ(cluster_.log().size(), entries);
    EXPECT_EQ(result.state().partition_epoch(), before.partition_epoch.value());
    EXPECT_EQ(result.state().leader(), before.leader.value());
    EXPECT_THAT(result.state().isr(), ::testing::ElementsAreArray(Ids(before.isr)));
  }

  TestCluster cluster_;
};

TEST_F(PartitionCommandsTest, KIP497_AcceptedProposalIsTheIsrOneEpochOn) {
  const PartitionImage before = cluster_.Partition("t");
  const PartitionProposalResult result = Propose({1, 3});
  EXPECT_EQ(result.code(), 0) << result.message();
  const PartitionImage& after = cluster_.Partition("t");
  EXPECT_THAT(Ids(after.isr), ElementsAre(1, 3));
  EXPECT_EQ(after.partition_epoch, before.partition_epoch + 1);
  // KAFKA-15021: the leader stays in its epoch.
  EXPECT_EQ(after.leader, NodeId(1));
  EXPECT_EQ(after.leader_epoch, before.leader_epoch);
  EXPECT_EQ(result.state().partition_epoch(), after.partition_epoch.value());
  EXPECT_EQ(result.state().leader_epoch(), after.leader_epoch.value());
  EXPECT_THAT(result.state().isr(), ElementsAre(1, 3));
}

TEST_F(PartitionCommandsTest, KIP966_TheAnswerSaysHowManyInSyncItCountedWith) {
  EXPECT_EQ(Propose({1, 3}).state().min_isr(), 2);
  PartitionProposal refused = Proposal({1, 3});
  refused.set_partition_epoch(99);
  const PartitionProposalResult result = Ask(1, refused);
  EXPECT_NE(result.code(), 0);
  EXPECT_EQ(result.state().min_isr(), 2);
}

TEST_F(PartitionCommandsTest, TheIsrIsKeptInOrderOfReplicas) {
  ASSERT_EQ(Propose({1}).code(), 0);
  ASSERT_EQ(Propose({3, 1, 2}).code(), 0);
  EXPECT_THAT(Ids(cluster_.Partition("t").isr), ElementsAre(1, 2, 3));
}

TEST_F(PartitionCommandsTest, S12_ProposalOfWhatIsAlreadySoIsARead) {
  const size_t entries = cluster_.log().size();
  const PartitionProposalResult result = Propose({3, 2, 1});
  EXPECT_EQ(result.code(), 0);
  EXPECT_THAT(result.state().isr(), ElementsAre(1, 2, 3));
  EXPECT_EQ(cluster_.log().size(), entries);
}

TEST_F(PartitionCommandsTest, OfTwoProposalsFromOnePartitionEpochTheSecondIsRefused) {
  const PartitionProposal first = Proposal({1, 2});
  const PartitionProposal second = Proposal({1, 3});
  ASSERT_EQ(Ask(1, first).code(), 0);
  ExpectRefused(second, ErrorCode::kInvalidUpdateVersion);
  // The first one again, because its answer was lost: the state says that it was taken.
  ExpectRefused(first, ErrorCode::kInvalidUpdateVersion);
}

TEST_F(PartitionCommandsTest, PartitionEpochOfTheFutureIsRefused) {
  PartitionProposal proposal = Proposal({1, 2});
  proposal.set_partition_epoch(proposal.partition_epoch() + 1);
  ExpectRefused(proposal, ErrorCode::kInvalidUpdateVersion);
}

TEST_F(PartitionCommandsTest, TheSamePartitionTwiceInARequestIsChangedOnce) {
  AlterPartitionRequest request = From(1, Proposal({1, 2}));
  *request.mutable_topics(0)->add_partitions() = Proposal({1, 3});
  ASSERT_OK_AND_ASSIGN(const auto reply, cluster_.Run(request));
  EXPECT_EQ(reply.topics(0).partitions(0).code(), 0);
  EXPECT_EQ(reply.topics(0).partitions(1).code(),
            static_cast<int>(ErrorCode::kInvalidUpdateVersion));
  EXPECT_THAT(Ids(cluster_.Partition("t").isr), ElementsAre(1, 2));
}

TEST_F(PartitionCommandsTest, KAFKA14154_StaleLeaderEpochIsRefused) {
  PartitionProposal proposal = Proposal({1, 2});
  cluster_.Fence(1);
  cluster_.Activate(1);
  proposal.set_partition_epoch(cluster_.Partition("t").partition_epoch.value());
  ExpectRefused(proposal, ErrorCode::kFencedLeaderEpoch);
}

TEST_F(PartitionCommandsTest, LeaderEpochThatNobodyGaveOutIsRefused) {
  PartitionProposal proposal = Proposal({1, 2});
  proposal.set_leader_epoch(proposal.leader_epoch() + 1);
  ExpectRefused(proposal, ErrorCode::kUnknownLeaderEpoch);
}

TEST_F(PartitionCommandsTest, OnlyTheLeaderProposes) {
  ExpectRefused(Proposal({1, 2}), ErrorCode::kNotLeaderOrFollower, 2);
}

TEST_F(PartitionCommandsTest, ProposerOfAnEarlierBrokerEpochIsRefusedWhole) {
  AlterPartitionRequest request = From(1, Proposal({1, 2}));
  request.set_broker_epoch(request.broker_epoch() - 1);
  EXPECT_THAT(cluster_.Run(request), HasCode(ErrorCode::kStaleBrokerEpoch));
  request.set_broker_id(9);
  EXPECT_THAT(cluster_.Run(request), HasCode(ErrorCode::kBrokerIdNotRegistered));
}

TEST_F(PartitionCommandsTest, KIP903_MemberOfAnEarlierBrokerEpochDoesNotSlipIn) {
  const BrokerEpoch before = EpochOf(3);
  cluster_.Start(3, 2);
  PartitionProposal proposal = Proposal({1, 2, 3});
  proposal.mutable_new_isr(2)->set_broker_epoch(before.value());
  ExpectRefused(proposal, ErrorCode::kIneligibleReplica);
  EXPECT_EQ(Propose({1, 2, 3}).code(), 0);
}

TEST_F(PartitionCommandsTest, KIP841_FencedBrokerDoesNotJoin) {
  cluster_.Fence(3);
  ExpectRefused(Proposal({1, 2, 3}), ErrorCode::kIneligibleReplica);
  cluster_.Activate(3);
  EXPECT_EQ(Propose({1, 2, 3}).code(), 0);
}

TEST_F(PartitionCommandsTest, KIP841_BrokerThatShutsDownDoesNotJoin) {
  ASSERT_OK(cluster_.Heartbeat(3, false, /*shutdown=*/true));
  ExpectRefused(Proposal({1, 2, 3}), ErrorCode::kIneligibleReplica);
}

TEST_F(PartitionCommandsTest, LeaderThatShutsDownMayTakeInWhoeverCanTakeOver) {
  ASSERT_EQ(Propose({1}).code(), 0);
  cluster_.Fence(2);
  cluster_.Fence(3);
  // The eligible replicas are fenced: nobody else can lead.
  ASSERT_OK(cluster_.Heartbeat(1, false, /*shutdown=*/true));
  ASSERT_EQ(cluster_.Partition("t").leader, NodeId(1));
  cluster_.Activate(2);
  EXPECT_EQ(Propose({1, 2}).code(), 0);
  // Now it can be drained.
  ASSERT_OK(cluster_.Heartbeat(1, false, /*shutdown=*/true));
  EXPECT_EQ(cluster_.Partition("t").leader, NodeId(2));
}

TEST_F(PartitionCommandsTest, S05_BrokerWithoutTheDirectoryOfItsReplicaDoesNotJoin) {
  ASSERT_OK(cluster_.Run(TestCluster::Registration(3, 2, {{DirectoryId(Uuid(9, 9)), 0}})));
  cluster_.Activate(3);
  ExpectRefused(Proposal({1, 2, 3}), ErrorCode::kIneligibleReplica);
}

TEST_F(PartitionCommandsTest, BrokerWithoutAReplicaIsRefused) {
  cluster_.Start(4, 1);
  ExpectRefused(Proposal({1, 2, 4}), ErrorCode::kInvalidRequest);
}

TEST_F(PartitionCommandsTest, SomebodyIsAlwaysInSync) {
  ExpectRefused(Proposal({}), ErrorCode::kInvalidRequest);
}

TEST_F(PartitionCommandsTest, S35_LeaderThatLeavesHandsOverToOneItLeavesInSync) {
  const PartitionImage before = cluster_.Partition("t");
  const PartitionProposalResult result = Propose({2, 3});
  EXPECT_EQ(result.code(), 0) << result.message();
  const PartitionImage& after = cluster_.Partition("t");
  EXPECT_EQ(after.leader, NodeId(2));
  EXPECT_EQ(after.leader_epoch, before.leader_epoch + 1);
  EXPECT_THAT(Ids(after.isr), ElementsAre(2, 3));
  EXPECT_THAT(Ids(after.elr), IsEmpty());
  EXPECT_EQ(result.state().leader(), 2);
  EXPECT_EQ(result.state().leader_epoch(), after.leader_epoch.value());
  // It has no say any more.
  ExpectRefused(Proposal({1, 2, 3}), ErrorCode::kNotLeaderOrFollower);
  EXPECT_EQ(Ask(2, Proposal({1, 2, 3})).code(), 0);
}

TEST_F(PartitionCommandsTest, S35_LeaderThatHandsOverIsNoEligibleLeaderEither) {
  ASSERT_EQ(Propose({1, 2}).code(), 0);
  ASSERT_EQ(Propose({2}).code(), 0);
  EXPECT_EQ(cluster_.Partition("t").leader, NodeId(2));
  EXPECT_THAT(Ids(cluster_.Partition("t").elr), IsEmpty());
  cluster_.Fence(2);
  EXPECT_EQ(cluster_.Partition("t").leader, kNoNode)
      << "the whole one comes back, or a person elects";
}

TEST_F(PartitionCommandsTest, S35_LeaderAloneHandsOverToWhoIsEligible) {
  ASSERT_EQ(Propose({1}).code(), 0);
  ASSERT_THAT(Ids(cluster_.Partition("t").elr), ElementsAre(2, 3));
  const LeaderEpoch before = cluster_.Partition("t").leader_epoch;
  cluster_.Fence(2);
  ASSERT_EQ(Propose({}).code(), 0);
  EXPECT_EQ(cluster_.Partition("t").leader, NodeId(3));
  EXPECT_GT(cluster_.Partition("t").leader_epoch, before);
  EXPECT_THAT(Ids(cluster_.Partition("t").isr), ElementsAre(3));
  EXPECT_THAT(Ids(cluster_.Partition("t").elr), ElementsAre(2));
}

TEST_F(PartitionCommandsTest, S35_LeaderAloneStaysWhereNobodyEligibleMayLead) {
  ASSERT_EQ(Propose({1}).code(), 0);
  cluster_.Fence(2);
  cluster_.Fence(3);
  ExpectRefused(Proposal({}), ErrorCode::kIneligibleReplica);
}

// Nor is anybody elected without proof for this, where the config would allow it.
TEST_F(PartitionCommandsTest, S35_LeaderAloneHandsOverToNobodyWhoIsNotEligible) {
  cluster_.CreateOn("u", {1, 2},
                    {{"unclean.leader.election.enable", "true"}, {"min.insync.replicas", "2"}});
  const auto propose_on_u = [&](const std::vector<int>& isr) {
    PartitionProposal proposal = Proposal(isr);
    const PartitionImage& now = cluster_.Partition("u");
    proposal.set_leader_epoch(now.leader_epoch.value());
    proposal.set_partition_epoch(now.partition_epoch.value());
    AlterPartitionRequest request = From(1, proposal);
    request.mutable_topics(0)->set_topic_id(cluster_.IdOf("u").ToBytes());
    return cluster_.Run(request)->topics(0).partitions(0).code();
  };
  ASSERT_EQ(propose_on_u({1}), 0);
  ASSERT_THAT(Ids(cluster_.Partition("u").elr), ElementsAre(2));
  cluster_.Fence(2);
  const PartitionImage before = cluster_.Partition("u");
  EXPECT_EQ(propose_on_u({}), static_cast<int>(ErrorCode::kIneligibleReplica));
  EXPECT_EQ(cluster_.Partition("u"), before);
}

TEST_F(PartitionCommandsTest, S35_DamagedFollowerIsNoEligibleLeader) {
  PartitionProposal proposal = Proposal({1});
  proposal.add_damaged(2);
  ASSERT_EQ(Ask(1, proposal).code(), 0);
  EXPECT_THAT(Ids(cluster_.Partition("t").isr), ElementsAre(1));
  EXPECT_THAT(Ids(cluster_.Partition("t").elr), ElementsAre(3));
  // Nor is one that was eligible before it was found to be damaged.
  proposal = Proposal({1});
  proposal.add_damaged(3);
  ASSERT_EQ(Ask(1, proposal).code(), 0);
  EXPECT_THAT(Ids(cluster_.Partition("t").elr), IsEmpty());
  // Told twice, it changes nothing.
  proposal = Proposal({1});
  proposal.add_damaged(3);
  const size_t entries = cluster_.log().size();
  ASSERT_EQ(Ask(1, proposal).code(), 0);
  EXPECT_EQ(cluster_.log().size(), entries);
}

TEST_F(PartitionCommandsTest, S35_NobodyIsHandedAPartitionThatMayNotLead) {
  ASSERT_EQ(Propose({1, 2}).code(), 0);
  ASSERT_OK(cluster_.Heartbeat(2, false, /*shutdown=*/true));
  ExpectRefused(Proposal({2}), ErrorCode::kIneligibleReplica);
}

TEST_F(PartitionCommandsTest, MemberNamedTwiceIsRefused) {
  ExpectRefused(Proposal({1, 2, 2}), ErrorCode::kInvalidRequest);
}

TEST_F(PartitionCommandsTest, KIP966_AllWhoLeaveBelowTheMinimumAreEligible) {
  ASSERT_EQ(Propose({1}).code(), 0);
  EXPECT_THAT(Ids(cluster_.Partition("t").isr), ElementsAre(1));
  EXPECT_THAT(Ids(cluster_.Partition("t").elr), ElementsAre(2, 3));
}

TEST_F(PartitionCommandsTest, KIP966_WhoeverLeavesWhereEnoughStayIsNotEligible) {
  ASSERT_EQ(Propose({1, 2}).code(), 0);
  EXPECT_THAT(Ids(cluster_.Partition("t").elr), IsEmpty());
  // Only 2 was there to the end.
  ASSERT_EQ(Propose({1}).code(), 0);
  EXPECT_THAT(Ids(cluster_.Partition("t").elr), ElementsAre(2));
}

TEST_F(PartitionCommandsTest, KIP966_NobodyIsEligibleOnceTheMinimumIsBack) {
  ASSERT_EQ(Propose({1}).code(), 0);
  ASSERT_EQ(Propose({1, 3}).code(), 0);
  EXPECT_THAT(Ids(cluster_.Partition("t").isr), ElementsAre(1, 3));
  EXPECT_THAT(Ids(cluster_.Partition("t").elr), IsEmpty());
}

TEST_F(PartitionCommandsTest, KIP966_WhoeverJoinsBelowTheMinimumIsNoLongerEligible) {
  cluster_.CreateOn("strict", {1, 2, 3}, {{"min.insync.replicas", "3"}});
  AlterPartitionRequest request;
  const auto propose = [&](const std::vector<int>& isr) {
    const PartitionImage& now = cluster_.Partition("strict");
    PartitionProposal proposal = Proposal(isr);
    proposal.set_partition_epoch(now.partition_epoch.value());
    request = From(1, proposal);
    request.mutable_topics(0)->set_topic_id(cluster_.IdOf("strict").ToBytes());
    ASSERT_OK_AND_ASSIGN(const auto reply, cluster_.Run(request));
    ASSERT_EQ(reply.topics(0).partitions(0).code(), 0);
  };
  propose({1});
  propose({1, 2});
  EXPECT_THAT(Ids(cluster_.Partition("strict").isr), ElementsAre(1, 2));
  EXPECT_THAT(Ids(cluster_.Partition("strict").elr), ElementsAre(3));
}

TEST_F(PartitionCommandsTest, S15_RefusedJoinLeavesTheEligibleReplicaItsSeat) {
  // ISR {1}, ELR {2}: 1 proposes a member that is dead; it must not cost 2 its eligibility.
  ASSERT_EQ(Propose({1, 2}).code(), 0);
  ASSERT_EQ(Propose({1}).code(), 0);
  cluster_.Fence(3);
  ExpectRefused(Proposal({1, 3}), ErrorCode::kIneligibleReplica);
  cluster_.Fence(1);
  EXPECT_EQ(cluster_.Partition("t").leader, NodeId(2));
}

TEST_F(PartitionCommandsTest, KIP704_RecoveryEndsByTheLeadersWordAndUntilThenNobodyJoins) {
  ASSERT_EQ(Propose({1}).code(), 0);
  cluster_.CreateOn("u", {1, 2}, {{"unclean.leader.election.enable", "true"}});
  // 2 falls behind, then 1 dies: what 2 has is not proven.
  const auto on_u = [&](int proposer, PartitionProposal proposal) {
    const PartitionImage& now = cluster_.Partition("u");
    proposal.set_leader_epoch(now.leader_epoch.value());
    proposal.set_partition_epoch(now.partition_epoch.value());
    AlterPartitionRequest request = From(proposer, proposal);
    request.mutable_topics(0)->set_topic_id(cluster_.IdOf("u").ToBytes());
    const auto reply = cluster_.Run(request);
    EXPECT_OK(reply);
    return static_cast<int>(reply->topics(0).partitions(0).code());
  };
  ASSERT_EQ(on_u(1, Proposal({1})), 0);
  // Its directory was restored from an earlier day: no longer eligible.
  ASSERT_OK(cluster_.Run(TestCluster::Registration(2, 2, {{TestCluster::DirectoryOf(2), 1}})));
  cluster_.Fence(1);
  cluster_.Activate(2);
  ASSERT_EQ(cluster_.Partition("u").leader, NodeId(2));
  ASSERT_EQ(cluster_.Partition("u").recovery_state, RecoveryState::kRecovering);
  cluster_.Activate(1);

  EXPECT_EQ(on_u(2, Proposal({1, 2})), static_cast<int>(ErrorCode::kInvalidRequest));
  PartitionProposal recovered = Proposal({2});
  recovered.set_recovery_state(internal::v1::LEADER_RECOVERY_STATE_RECOVERED);
  EXPECT_EQ(on_u(2, recovered), 0);
  EXPECT_EQ(cluster_.Partition("u").recovery_state, RecoveryState::kRecovered);
  EXPECT_EQ(on_u(2, Proposal({1, 2})), 0);

  PartitionProposal relapse = Proposal({2});
  relapse.set_recovery_state(internal::v1::LEADER_RECOVERY_STATE_RECOVERING);
  EXPECT_EQ(on_u(2, relapse), static_cast<int>(ErrorCode::kInvalidRequest));
}

TEST_F(PartitionCommandsTest, ManyPartitionsChangeInOneEntryAndOneRefusalCostsOnlyItself) {
  cluster_.Create("wide", 50, 3);
  AlterPartitionRequest request = From(1, Proposal({1, 2}));
  auto* wide = request.add_topics();
  wide->set_topic_id(cluster_.IdOf("wide").ToBytes());
  int led = 0;
  for (int i = 0; i < 50; ++i) {
    const PartitionImage& partition = cluster_.Partition("wide", i);
    if (partition.leader != NodeId(1)) continue;
    PartitionProposal proposal = Proposal({1, 2});
    proposal.set_partition(i);
    proposal.set_partition_epoch(partition.partition_epoch.value() + (led++ == 0 ? 7 : 0));
    *wide->add_partitions() = proposal;
  }
  ASSERT_GT(led, 3);
  const size_t entries = cluster_.log().size();
  ASSERT_OK_AND_ASSIGN(const auto reply, cluster_.Run(request));
  EXPECT_EQ(cluster_.log().size(), entries + 1);
  ASSERT_EQ(reply.topics_size(), 2);
  EXPECT_EQ(reply.topics(0).partitions(0).code(), 0);
  EXPECT_EQ(reply.topics(1).partitions(0).code(),
            static_cast<int>(ErrorCode::kInvalidUpdateVersion));
  for (int i = 1; i < led; ++i) EXPECT_EQ(reply.topics(1).partitions(i).code(), 0);
}

TEST_F(PartitionCommandsTest, PartitionThatIsNotThereIsToldWithoutAState) {
  PartitionProposal proposal = Proposal({1, 2});
  proposal.set_partition(8);
  const PartitionProposalResult result = Ask(1, proposal);
  EXPECT_EQ(result.code(), static_cast<int>(ErrorCode::kUnknownTopicOrPartition));
  EXPECT_THAT(result.message(), HasSubstr("partition 8"));
  EXPECT_FALSE(result.has_state());
}

// --- A durability that is raised ---

class RaisedPartitionTest : public PartitionCommandsTest {
 protected:
  RaisedPartitionTest() {
    SetDurability("replicated");
    SetDurability("durable");
  }
  void SetDurability(const std::string& value) {
    millrace::v1::IncrementalAlterConfigsRequest request;
    auto& resource = *request.add_resources();
    resource.mutable_resource()->set_type(millrace::v1::CONFIG_RESOURCE_TYPE_TOPIC);
    resource.mutable_resource()->set_name("t");
    auto& alteration = *resource.add_alterations();
    alteration.set_name("durability");
    alteration.set_operation(millrace::v1::CONFIG_OPERATION_SET);
    alteration.set_value(value);
    const auto reply = cluster_.Run(request);
    ASSERT_OK(reply);
    ASSERT_EQ(reply->resources(0).message(), "");
  }
  PartitionProposalResult Report(const std::vector<int>& isr) {
    PartitionProposal proposal = Proposal(isr);
    proposal.set_raised(true);
    return Ask(1, proposal);
  }
};

TEST_F(RaisedPartitionTest, S07_TheLeadersReportEndsTheRaise) {
  ASSERT_TRUE(cluster_.Partition("t").raising);
  EXPECT_EQ(static_cast<int>(Propose({1, 2}).code()), 0);
  EXPECT_TRUE(cluster_.Partition("t").raising) << "it did not say so";
  EXPECT_EQ(static_cast<int>(Report({1, 2}).code()), 0);
  EXPECT_FALSE(cluster_.Partition("t").raising);
  EXPECT_THAT(Ids(cluster_.Partition("t").isr), ElementsAre(1, 2));
  const size_t entries = cluster_.log().size();
  EXPECT_EQ(static_cast<int>(Report({1, 2}).code()), 0);
  EXPECT_EQ(cluster_.log().size(), entries) << "nothing is new";
}

TEST_F(RaisedPartitionTest, S07_AReportOfAnEarlierStateIsRefused) {
  PartitionProposal late = Proposal({1, 2, 3});
  late.set_raised(true);
  SetDurability("replicated");
  SetDurability("durable");
  ExpectRefused(late, ErrorCode::kInvalidUpdateVersion);
  EXPECT_TRUE(cluster_.Partition("t").raising);
}

TEST_F(RaisedPartitionTest, S07_NotWhileAnEligibleLeaderMayHaveLessOnItsDisk) {
  cluster_.Fence(2);
  cluster_.Fence(3);
  ASSERT_FALSE(cluster_.Partition("t").elr.empty());
  Report({1});
  EXPECT_TRUE(cluster_.Partition("t").raising);
}

TEST_F(RaisedPartitionTest, S07_UntilThenItCountsAsReplicatedForSuspicion) {
  cluster_.Register(3, 2, /*suspect=*/true);
  cluster_.Fence(2);
  // 1 is the last in sync; 2 is eligible, as one that stopped cleanly.
  ASSERT_THAT(Ids(cluster_.Partition("t").elr), ElementsAre(2));
  cluster_.Register(2, 2, /*suspect=*/true);
  EXPECT_THAT(Ids(cluster_.Partition("t").elr), IsEmpty());
}

TEST_F(RaisedPartitionTest, S07_AfterwardsASuspectKeepsItsSeat) {
  Report({1, 2, 3});
  cluster_.Fence(3);
  cluster_.Fence(2);
  ASSERT_THAT(Ids(cluster_.Partition("t").elr), ElementsAre(2));
  cluster_.Register(2, 2, /*suspect=*/true);
  EXPECT_THAT(Ids(cluster_.Partition("t").elr), ElementsAre(2));
}

}  // namespace
}  // namespace millrace::controller
