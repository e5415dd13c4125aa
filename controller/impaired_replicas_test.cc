// S-08, S-35: replicas whose log was cut or found damaged when they were started may lack what they
// acknowledged, and are told apart from those that do not.
#include "controller/broker_commands.h"
#include "controller/testing/test_cluster.h"
#include "metadata/record_types.h"

namespace millrace::controller {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

// A `durable` topic "d" on three brokers, of which two have to have every record.
class ImpairedReplicasTest : public ::testing::Test {
 protected:
  ImpairedReplicasTest() {
    for (const int broker : {1, 2, 3}) cluster_.Start(broker, 1);
    cluster_.CreateOn("d", {1, 2, 3}, {{"min.insync.replicas", "2"}});
  }
  const metadata::PartitionImage& Partition() const { return cluster_.Partition("d"); }

  internal::v1::RegisterBrokerRequest ImpairedRegistration(int id, int incarnation) {
    auto request = TestCluster::Registration(
        id, incarnation,
        {{TestCluster::DirectoryOf(id), cluster_.image().FindBroker(NodeId(id))->epoch.value(),
          /*suspect=*/true}});
    internal::v1::ImpairedReplicas* const cut = request.add_impaired_replicas();
    cut->set_topic_id(cluster_.IdOf("d").ToBytes());
    cut->add_partitions(0);
    return request;
  }
  void StartImpaired(int id, int incarnation = 2) {
    ASSERT_OK(cluster_.Run(ImpairedRegistration(id, incarnation)));
    cluster_.Activate(id);
  }
  // All lose power at once: 2 and 3 are eligible then.
  void LoseAll() {
    for (const int broker : {1, 2, 3}) cluster_.Fence(broker);
    ASSERT_THAT(Ids(Partition().isr), IsEmpty());
    ASSERT_THAT(Ids(Partition().elr), ElementsAre(2, 3));
  }

  struct End {
    int broker;
    int64_t offset;
  };
  internal::v1::ReportLastCopiesRequest From(const End& end) {
    internal::v1::ReportLastCopiesRequest request;
    request.set_broker_id(end.broker);
    request.set_broker_epoch(cluster_.image().FindBroker(NodeId(end.broker))->epoch.value());
    internal::v1::LastCopy* const copy = request.add_copies();
    copy->set_topic_id(cluster_.IdOf("d").ToBytes());
    copy->set_leader_epoch(Partition().leader_epoch.value());
    copy->set_end_offset(end.offset);
    return request;
  }
  int Elected(const internal::v1::ReportLastCopiesRequest& request) {
    const auto response = cluster_.Run(request);
    EXPECT_OK(response);
    return response.ok() ? response->elected() : -1;
  }

  TestCluster cluster_;
};

TEST_F(ImpairedReplicasTest, S08_OneThatWasNotCutLeadsAndTheOtherLosesItsSeat) {
  LoseAll();
  StartImpaired(2);
  EXPECT_EQ(Partition().leader, kNoNode);
  EXPECT_THAT(Ids(Partition().impaired), ElementsAre(2));
  const auto described = cluster_.Run(v1::DescribeTopicsRequest());
  ASSERT_OK(described);
  EXPECT_THAT(described->topics(0).partitions(0).impaired_replicas(), ElementsAre(2));
  // Started again, with nothing more to cut.
  cluster_.Start(2, 3, /*suspect=*/true);
  EXPECT_EQ(Partition().leader, kNoNode);
  cluster_.Start(3, 2, /*suspect=*/true);
  EXPECT_EQ(Partition().leader, NodeId(3));
  EXPECT_THAT(Ids(Partition().isr), ElementsAre(3));
  EXPECT_THAT(Ids(Partition().elr), IsEmpty());
  EXPECT_THAT(Ids(Partition().impaired), IsEmpty());
  EXPECT_EQ(cluster_.state().recovering_elections, 0);
}

TEST_F(ImpairedReplicasTest, S08_ALeaderThatLivesTakesItsSeat) {
  cluster_.Fence(3);
  StartImpaired(2);
  EXPECT_EQ(Partition().leader, NodeId(1));
  EXPECT_THAT(Ids(Partition().elr), ElementsAre(2));
  EXPECT_THAT(Ids(Partition().impaired), ElementsAre(2));
  cluster_.Sync("d", {1});
  EXPECT_THAT(Ids(Partition().isr), ElementsAre(1));
  EXPECT_THAT(Ids(Partition().elr), IsEmpty());
  EXPECT_THAT(Ids(Partition().impaired), IsEmpty());
}

TEST_F(ImpairedReplicasTest, S08_ALeaderThatLivesVouchesForWhoHasCaughtUp) {
  cluster_.Fence(3);
  StartImpaired(2);
  cluster_.Sync("d", {1, 2});
  EXPECT_THAT(Ids(Partition().isr), ElementsAre(1, 2));
  EXPECT_THAT(Ids(Partition().impaired), IsEmpty());
}

// All lose power, and who is back first is cut, while the leader is not known to be dead.
TEST_F(ImpairedReplicasTest, S08_WhereTheLeaderIsDeadItsSeatIsNotLost) {
  cluster_.Fence(3);
  StartImpaired(2);
  cluster_.Fence(1);
  EXPECT_EQ(Partition().leader, kNoNode);
  EXPECT_THAT(Ids(Partition().elr), ElementsAre(1, 2));
  auto request = From({2, 100});
  EXPECT_EQ(Elected(request), 0);
  request.mutable_copies(0)->set_waited(true);
  EXPECT_EQ(Elected(request), 1);
  EXPECT_EQ(Partition().leader, NodeId(2));
}

TEST_F(ImpairedReplicasTest, S08_ALeaderThatWasCutIsFollowedByAnother) {
  cluster_.Fence(3);
  StartImpaired(1);
  EXPECT_EQ(Partition().leader, NodeId(2));
  EXPECT_THAT(Ids(Partition().isr), ElementsAre(2));
  EXPECT_THAT(Ids(Partition().impaired), ElementsAre(1));
  cluster_.Fence(2);
  EXPECT_EQ(Partition().leader, kNoNode) << "the one that was cut is not taken for the other";
}

TEST_F(ImpairedReplicasTest, S08_IfAllWereCutTheGreatestLeads) {
  LoseAll();
  for (const int broker : {1, 2, 3}) StartImpaired(broker);
  EXPECT_THAT(Ids(Partition().impaired), UnorderedElementsAre(2, 3));
  EXPECT_EQ(Elected(From({2, 100})), 0);
  // Who had no seat has nothing to say.
  auto request = From({3, 101});
  *request.add_heard() = From({1, 900});
  EXPECT_EQ(Elected(request), 0);
  *request.add_heard() = From({2, 100});
  EXPECT_EQ(Elected(request), 1);
  EXPECT_EQ(Partition().leader, NodeId(3));
  EXPECT_THAT(Ids(Partition().isr), ElementsAre(3));
  EXPECT_THAT(Ids(Partition().impaired), IsEmpty());
  EXPECT_EQ(Partition().recovery_state, metadata::RecoveryState::kRecovered);
  EXPECT_EQ(cluster_.state().recovering_elections, 0);
}

TEST_F(ImpairedReplicasTest, S35_OneThatCannotSayItsEndIsWaitedForNoLongerThanOthers) {
  LoseAll();
  // The log of 2 does not open: it says nothing, and cannot lead.
  StartImpaired(2);
  StartImpaired(3);
  auto request = From({3, 101});
  EXPECT_EQ(Elected(request), 0);
  request.mutable_copies(0)->set_waited(true);
  EXPECT_EQ(Elected(request), 1);
  EXPECT_EQ(Partition().leader, NodeId(3));
  EXPECT_THAT(Ids(Partition().elr), IsEmpty());
}

TEST_F(ImpairedReplicasTest, S08_OneThatDoesNotComeBackIsNotWaitedForForEver) {
  LoseAll();
  StartImpaired(2);
  auto request = From({2, 100});
  EXPECT_EQ(Elected(request), 0);
  request.mutable_copies(0)->set_waited(true);
  EXPECT_EQ(Elected(request), 1);
  EXPECT_EQ(Partition().leader, NodeId(2));
  EXPECT_EQ(cluster_.state().recovering_elections, 1) << "the other may have had more";
}

TEST_F(ImpairedReplicasTest, S08_ForAPersonItLeadsAndNobodyElseThatIsImpairedIsEligible) {
  LoseAll();
  StartImpaired(3);
  cluster_.Fence(3);
  StartImpaired(2);
  v1::ElectLeadersRequest request;
  request.set_type(v1::ELECTION_TYPE_UNCLEAN);
  const auto reply = cluster_.Run(request);
  ASSERT_OK(reply);
  EXPECT_EQ(Partition().leader, NodeId(2));
  EXPECT_THAT(Ids(Partition().elr), IsEmpty());
  EXPECT_FALSE(reply->results(0).unclean()) << "all that had a seat are impaired";
}

TEST_F(ImpairedReplicasTest, S08_ForAPersonItLeadsThoughAnotherMayHaveMore) {
  LoseAll();
  StartImpaired(2);
  v1::ElectLeadersRequest request;
  request.set_type(v1::ELECTION_TYPE_UNCLEAN);
  const auto reply = cluster_.Run(request);
  ASSERT_OK(reply);
  EXPECT_TRUE(reply->results(0).unclean());
  EXPECT_EQ(Partition().leader, NodeId(2));
}

TEST_F(ImpairedReplicasTest, S08_NorIsItElectedWhereUncleanElectionsAreAllowed) {
  cluster_.CreateOn("u", {2, 3},
                    {{"min.insync.replicas", "2"}, {"unclean.leader.election.enable", "true"}});
  cluster_.Fence(2);
  auto request = ImpairedRegistration(2, 2);
  request.mutable_impaired_replicas(0)->set_topic_id(cluster_.IdOf("u").ToBytes());
  ASSERT_OK(cluster_.Run(request));
  cluster_.Activate(2);
  cluster_.Fence(3);
  EXPECT_EQ(cluster_.Partition("u").leader, kNoNode);
  cluster_.Start(3, 2, /*suspect=*/true);
  EXPECT_EQ(cluster_.Partition("u").leader, NodeId(3));
  EXPECT_EQ(cluster_.state().recovering_elections, 0);
}

// The same with a topic "u" on four brokers, which allows unclean elections: 2 has a seat and is
// away, 3 has one and was cut, and 1 and 4 are back without one.
class UncleanElectionTest : public ImpairedReplicasTest {
 protected:
  UncleanElectionTest() {
    cluster_.Start(4, 1);
    cluster_.CreateOn("u", {1, 2, 3, 4},
                      {{"min.insync.replicas", "2"}, {"unclean.leader.election.enable", "true"}});
    for (const int broker : {1, 4, 3}) cluster_.Fence(broker);
    auto cut = ImpairedRegistration(3, 2);
    cut.mutable_impaired_replicas(0)->set_topic_id(cluster_.IdOf("u").ToBytes());
    EXPECT_OK(cluster_.Run(cut));
    cluster_.Activate(3);
    cluster_.Fence(2);
    for (const int broker : {1, 4}) cluster_.Start(broker, 2, /*suspect=*/true);
    EXPECT_THAT(Ids(cluster_.Partition("u").elr), ElementsAre(2, 3));
    EXPECT_THAT(Ids(cluster_.Partition("u").impaired), ElementsAre(3));
    EXPECT_EQ(cluster_.Partition("u").leader, kNoNode);
  }
  internal::v1::ReportLastCopiesRequest OfU(const End& end) {
    internal::v1::ReportLastCopiesRequest request = From(end);
    request.mutable_copies(0)->set_topic_id(cluster_.IdOf("u").ToBytes());
    request.mutable_copies(0)->set_leader_epoch(cluster_.Partition("u").leader_epoch.value());
    return request;
  }
};

// Who has a seat is waited for, and not for ever; and 3, whose log does not open, serves nothing.
TEST_F(UncleanElectionTest, S08_AfterTheBoundTheGreatestOfThoseThatHaveToldLeads) {
  internal::v1::ReportLastCopiesRequest request = OfU({1, 100});
  *request.add_heard() = OfU({4, 200});
  EXPECT_EQ(Elected(request), 0);
  request.mutable_copies(0)->set_waited(true);
  EXPECT_EQ(Elected(request), 1);
  EXPECT_EQ(cluster_.Partition("u").leader, NodeId(4));
  EXPECT_THAT(Ids(cluster_.Partition("u").isr), ElementsAre(4));
  EXPECT_THAT(Ids(cluster_.Partition("u").elr), IsEmpty());
  EXPECT_EQ(cluster_.Partition("u").recovery_state, metadata::RecoveryState::kRecovering);
  EXPECT_EQ(cluster_.state().recovering_elections, 1);
}

TEST_F(UncleanElectionTest, S08_AfterTheBoundOneWithASeatThatHasToldLeadsThoughOthersHaveMore) {
  internal::v1::ReportLastCopiesRequest request = OfU({1, 200});
  *request.add_heard() = OfU({3, 100});
  EXPECT_EQ(Elected(request), 0);
  request.mutable_copies(0)->set_waited(true);
  EXPECT_EQ(Elected(request), 1);
  EXPECT_EQ(cluster_.Partition("u").leader, NodeId(3)) << "it was in sync";
}

// All that had a seat lose it, while others are active and stay so.
TEST_F(UncleanElectionTest, S32_WhereNoSeatIsLeftTheGreatestLeadsAlsoOfADurableTopic) {
  for (const int broker : {2, 3}) {
    ASSERT_OK(
        cluster_.Run(TestCluster::Registration(broker, 3, {{DirectoryId(Uuid(5000, broker))}})));
  }
  ASSERT_TRUE(cluster_.Partition("u").IsLost());
  internal::v1::ReportLastCopiesRequest request = OfU({1, 100});
  *request.add_heard() = OfU({4, 200});
  EXPECT_EQ(Elected(request), 0);
  request.mutable_copies(0)->set_waited(true);
  EXPECT_EQ(Elected(request), 1);
  EXPECT_EQ(cluster_.Partition("u").leader, NodeId(4));
}

TEST_F(ImpairedReplicasTest, S08_WithNobodyToCompareItWithItLeads) {
  cluster_.CreateOn("alone", {1});
  auto request = ImpairedRegistration(1, 2);
  request.mutable_impaired_replicas(0)->set_topic_id(cluster_.IdOf("alone").ToBytes());
  ASSERT_OK(cluster_.Run(request));
  cluster_.Activate(1);
  EXPECT_EQ(cluster_.Partition("alone").leader, NodeId(1));
  EXPECT_THAT(Ids(cluster_.Partition("alone").impaired), IsEmpty());
  // The other is gone for good: its disk is.
  LoseAll();
  StartImpaired(2);
  ASSERT_OK(cluster_.Run(TestCluster::Registration(3, 2, {{DirectoryId(Uuid(5000, 3))}})));
  EXPECT_EQ(Elected(From({2, 100})), 1);
  EXPECT_EQ(Partition().leader, NodeId(2));
  EXPECT_EQ(cluster_.state().recovering_elections, 0);
}

TEST_F(ImpairedReplicasTest, BelowItsFeatureLevelNoRecordSaysIt) {
  LoseAll();
  metadata::records::FeatureLevelRecord level;
  level.set_feature_level(metadata::kImpairedReplicasLevel - 1);
  const State before =
      Machine::Apply(cluster_.state(), cluster_.index() + 1, {{metadata::Encode(level)}});
  const auto decision = RegisterBroker(before, ImpairedRegistration(2, 2));
  ASSERT_OK(decision.reply);
  const State after = Machine::Apply(before, cluster_.index() + 2, decision.records);
  EXPECT_THAT(Ids(after.image.FindTopic("d")->FindPartition(PartitionIndex(0))->impaired),
              IsEmpty());
}

TEST_F(ImpairedReplicasTest, WhatNamesNoTopicIsRefusedAndWhatIsUnknownIsPassedOver) {
  auto request = ImpairedRegistration(2, 2);
  request.mutable_impaired_replicas(0)->set_topic_id(TopicId(Uuid(77, 77)).ToBytes());
  request.mutable_impaired_replicas(0)->add_partitions(-3);
  EXPECT_OK(cluster_.Run(request));
  request = ImpairedRegistration(3, 2);
  request.mutable_impaired_replicas(0)->set_topic_id("short");
  EXPECT_THAT(cluster_.Run(request), IsError(ErrorCode::kInvalidRequest, "16 bytes"));
}

}  // namespace
}  // namespace millrace::controller
