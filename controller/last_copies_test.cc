#include "controller/last_copies.h"

#include "controller/testing/test_cluster.h"

namespace millrace::controller {
namespace {

using internal::v1::ReportLastCopiesRequest;
using internal::v1::ReportLastCopiesResponse;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Three brokers that all stopped uncleanly and are back; a `replicated` topic "r" and a `durable`
// topic "d" on all of them.
class LastCopiesTest : public ::testing::Test {
 protected:
  LastCopiesTest() {
    for (const int broker : {1, 2, 3}) cluster_.Start(broker, 1);
    cluster_.CreateOn("r", {1, 2, 3}, {{"durability", "replicated"}});
    cluster_.CreateOn("d", {1, 2, 3}, {{"durability", "durable"}});
    for (const int broker : {1, 2, 3}) cluster_.Start(broker, 2, /*suspect=*/true);
    EXPECT_TRUE(cluster_.Partition("r").IsLost());
  }

  struct End {
    int broker;
    int epoch;
    int64_t offset;
  };
  ReportLastCopiesRequest From(const End& end, const char* topic = "r") {
    ReportLastCopiesRequest request;
    request.set_broker_id(end.broker);
    request.set_broker_epoch(cluster_.image().FindBroker(NodeId(end.broker))->epoch.value());
    internal::v1::LastCopy* copy = request.add_copies();
    copy->set_topic_id(cluster_.image().FindTopic(topic)->id.ToBytes());
    copy->set_leader_epoch(cluster_.Partition(topic).leader_epoch.value());
    copy->set_last_epoch(end.epoch);
    copy->set_end_offset(end.offset);
    return request;
  }
  ReportLastCopiesRequest From(const End& first, std::vector<End> heard) {
    ReportLastCopiesRequest request = From(first);
    for (const End& end : heard) *request.add_heard() = From(end);
    return request;
  }
  int Elected(const ReportLastCopiesRequest& request) {
    const absl::StatusOr<ReportLastCopiesResponse> response = cluster_.Run(request);
    EXPECT_OK(response);
    return response.ok() ? response->elected() : -1;
  }

  TestCluster cluster_;
};

TEST_F(LastCopiesTest, S32_WhenAllHaveReportedTheGreatestLeads) {
  const LeaderEpoch before = cluster_.Partition("r").leader_epoch;
  EXPECT_EQ(Elected(From({1, 0, 90})), 0);
  EXPECT_EQ(Elected(From({2, 0, 100}, {{1, 0, 90}})), 0);
  EXPECT_TRUE(cluster_.Partition("r").IsLost());
  EXPECT_EQ(Elected(From({3, 0, 95}, {{1, 0, 90}, {2, 0, 100}})), 1);
  EXPECT_EQ(cluster_.Partition("r").leader, NodeId(2));
  EXPECT_THAT(Ids(cluster_.Partition("r").isr), ElementsAre(2));
  EXPECT_EQ(cluster_.Partition("r").recovery_state, metadata::RecoveryState::kRecovering);
  EXPECT_GT(cluster_.Partition("r").leader_epoch, before);
  EXPECT_EQ(cluster_.state().recovering_elections, 1);
}

TEST_F(LastCopiesTest, S32_ALaterEpochCountsMoreThanALongerLog) {
  EXPECT_EQ(Elected(From({1, 0, 900}, {{2, 1, 10}, {3, 0, 800}})), 1);
  EXPECT_EQ(cluster_.Partition("r").leader, NodeId(2));
}

TEST_F(LastCopiesTest, S32_AfterTheBoundTheGreatestOfThoseThatAreBackLeads) {
  cluster_.Fence(3);
  ReportLastCopiesRequest request = From({1, 0, 90}, {{2, 0, 100}});
  EXPECT_EQ(Elected(request), 0);
  request.mutable_copies(0)->set_waited(true);
  EXPECT_EQ(Elected(request), 1);
  EXPECT_EQ(cluster_.Partition("r").leader, NodeId(2));
}

// A topic that moves to brokers 3 and 4, of which 3 is in sync; 4 has not caught up.
class MovedCopiesTest : public LastCopiesTest {
 protected:
  void Move(const char* topic, std::vector<int> from, const char* durability = "replicated") {
    cluster_.Start(4, 1);
    cluster_.CreateOn(topic, from, {{"durability", durability}, {"min.insync.replicas", "1"}});
    AlterReassignmentsCommand move;
    auto* const wanted = move.request.add_reassignments();
    wanted->set_topic(topic);
    wanted->add_replicas(3);
    wanted->add_replicas(4);
    EXPECT_OK(cluster_.Run(move));
    std::vector<int> in_sync = from;
    in_sync.push_back(3);
    cluster_.Sync(topic, in_sync);
  }
  // As Move, and then 3 leads alone.
  void MoveAndLead(const char* topic, std::vector<int> from) {
    Move(topic, from);
    for (const int broker : from) cluster_.Fence(broker);
    EXPECT_EQ(cluster_.Partition(topic).leader, NodeId(3));
  }
  ReportLastCopiesRequest Of(const char* topic, const End& first, std::vector<End> heard) {
    ReportLastCopiesRequest request = From(first, topic);
    for (const End& end : heard) *request.add_heard() = From(end, topic);
    return request;
  }
};

TEST_F(MovedCopiesTest, S32_OneThatCameWithAReassignmentIsWaitedForAndLeads) {
  MoveAndLead("m", {1, 2});
  for (const int broker : {3, 1, 2}) cluster_.Start(broker, 3, /*suspect=*/true);
  ASSERT_TRUE(cluster_.Partition("m").IsLost());
  EXPECT_EQ(Elected(Of("m", {1, 0, 100}, {{2, 0, 100}, {4, 0, 50}})), 0);
  EXPECT_EQ(Elected(Of("m", {1, 0, 100}, {{2, 0, 100}, {3, 1, 200}})), 0);
  EXPECT_EQ(Elected(Of("m", {1, 0, 100}, {{2, 0, 100}, {3, 1, 200}, {4, 0, 50}})), 1);
  EXPECT_EQ(cluster_.Partition("m").leader, NodeId(3));
}

TEST_F(MovedCopiesTest, S32_SoIsOneThatWasInSyncAndDidNotLead) {
  Move("m", {1, 2});
  for (const int broker : {3, 2, 1}) cluster_.Start(broker, 3, /*suspect=*/true);
  ASSERT_TRUE(cluster_.Partition("m").IsLost());
  ASSERT_EQ(cluster_.Partition("m").last_known_leader, NodeId(1));
  EXPECT_EQ(Elected(Of("m", {1, 0, 100}, {{2, 0, 100}, {4, 0, 50}})), 0);
  EXPECT_EQ(Elected(Of("m", {1, 0, 100}, {{2, 0, 100}, {3, 0, 200}, {4, 0, 50}})), 1);
  EXPECT_EQ(cluster_.Partition("m").leader, NodeId(3));
}

TEST_F(MovedCopiesTest, S32_ItLeadsWhenThoseBeforeItNeverComeBack) {
  MoveAndLead("m", {1, 2});
  cluster_.Start(3, 3, /*suspect=*/true);
  ASSERT_TRUE(cluster_.Partition("m").IsLost());
  ReportLastCopiesRequest request = Of("m", {3, 1, 200}, {});
  EXPECT_EQ(Elected(request), 0);
  request.mutable_copies(0)->set_waited(true);
  EXPECT_EQ(Elected(request), 1);
  EXPECT_EQ(cluster_.Partition("m").leader, NodeId(3));
}

TEST_F(MovedCopiesTest, S32_ACopyThatWasAloneDoesNotLeadBeforeOneThatLedAfterIt) {
  MoveAndLead("one", {1});
  cluster_.Activate(1);
  cluster_.Start(3, 3, /*suspect=*/true);
  EXPECT_EQ(cluster_.Partition("one").leader, kNoNode);
  EXPECT_EQ(Elected(Of("one", {1, 0, 100}, {{3, 1, 200}, {4, 0, 50}})), 1);
  EXPECT_EQ(cluster_.Partition("one").leader, NodeId(3));
}

TEST_F(MovedCopiesTest, S32_NorBeforeOneThatWasInSyncWithIt) {
  Move("one", {1});
  for (const int broker : {3, 1}) cluster_.Start(broker, 3, /*suspect=*/true);
  ASSERT_EQ(cluster_.Partition("one").last_known_leader, NodeId(1));
  EXPECT_EQ(cluster_.Partition("one").leader, kNoNode);
  EXPECT_EQ(Elected(Of("one", {1, 0, 100}, {{3, 0, 200}, {4, 0, 50}})), 1);
  EXPECT_EQ(cluster_.Partition("one").leader, NodeId(3));
}

// Were it not being moved, it would lead as soon as its disk is back, durable or not.
TEST_F(MovedCopiesTest, S32_ADurableCopyThatWasAloneLeadsOnceAllHaveTold) {
  Move("one", {1}, "durable");
  cluster_.Sync("one", {1});
  const int64_t epoch = cluster_.image().FindBroker(NodeId(1))->epoch.value();
  ASSERT_OK(cluster_.Run(TestCluster::Registration(1, 3, {{DirectoryId(Uuid(5000, 1))}})));
  ASSERT_TRUE(cluster_.Partition("one").IsLost());
  ReportLastCopiesRequest request = Of("one", {3, 0, 100}, {{4, 0, 50}});
  request.mutable_copies(0)->set_waited(true);
  EXPECT_EQ(Elected(request), 0) << "who has it all may come back";
  ASSERT_OK(cluster_.Run(TestCluster::Registration(1, 4, {{TestCluster::DirectoryOf(1), epoch}})));
  cluster_.Activate(1);
  EXPECT_EQ(Elected(Of("one", {3, 0, 100}, {{4, 0, 50}, {1, 0, 200}})), 1);
  EXPECT_EQ(cluster_.Partition("one").leader, NodeId(1));
}

TEST_F(MovedCopiesTest, WhoCameDoesNotLeaveWhileNobodyIsKnownToBeInSync) {
  MoveAndLead("m", {1, 2});
  cluster_.Start(3, 3, /*suspect=*/true);
  ASSERT_TRUE(cluster_.Partition("m").IsLost());
  AlterReassignmentsCommand cancel;
  cancel.request.add_reassignments()->set_topic("m");
  const auto reply = cluster_.Run(cancel);
  ASSERT_OK(reply);
  EXPECT_EQ(reply->results(0).code(), v1::ERROR_CODE_INELIGIBLE_REPLICA);
  EXPECT_TRUE(cluster_.Partition("m").IsReplica(NodeId(3)));
}

TEST_F(LastCopiesTest, S32_ADurableTopicIsLeftToAPerson) {
  // Its copies were not suspect, so that it has a leader; without its disks it has none.
  for (const int broker : {1, 2, 3}) {
    EXPECT_OK(
        cluster_.Run(TestCluster::Registration(broker, 3, {{DirectoryId(Uuid(5000, broker))}})));
    cluster_.Activate(broker);
  }
  ReportLastCopiesRequest request = From({1, 0, 90}, "d");
  request.mutable_copies(0)->set_waited(true);
  EXPECT_EQ(Elected(request), 0);
  EXPECT_EQ(cluster_.Partition("d").leader, kNoNode);
}

TEST_F(LastCopiesTest, AReportOfAnEarlierProcessOrEpochDoesNotCount) {
  ReportLastCopiesRequest of_process = From({1, 0, 90}, {{2, 0, 100}, {3, 0, 95}});
  of_process.mutable_heard(0)->set_broker_epoch(of_process.heard(0).broker_epoch() - 1);
  EXPECT_EQ(Elected(of_process), 0);
  ReportLastCopiesRequest of_epoch = From({1, 0, 90}, {{2, 0, 100}, {3, 0, 95}});
  of_epoch.mutable_heard(1)->mutable_copies(0)->set_leader_epoch(77);
  EXPECT_EQ(Elected(of_epoch), 0);
  of_epoch.set_broker_epoch(1);
  EXPECT_THAT(cluster_.Run(of_epoch), HasCode(ErrorCode::kStaleBrokerEpoch));
}

TEST_F(LastCopiesTest, WhatMakesNoSenseIsPassedOver) {
  ReportLastCopiesRequest request = From({1, 0, 90});
  request.mutable_copies(0)->set_topic_id("short");
  internal::v1::LastCopy* unknown = request.add_copies();
  *unknown = From({1, 0, 90}).copies(0);
  unknown->set_partition(-5);
  EXPECT_EQ(Elected(request), 0);
}

}  // namespace
}  // namespace millrace::controller
