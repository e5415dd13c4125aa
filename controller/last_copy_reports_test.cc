#include "controller/last_copy_reports.h"

#include "controller/testing/test_cluster.h"

namespace millrace::controller {
namespace {

using internal::v1::ReportLastCopiesRequest;
using ::testing::SizeIs;

constexpr absl::Duration kWait = absl::Seconds(10);

class LastCopyReportsTest : public ::testing::Test {
 protected:
  LastCopyReportsTest() {
    for (const int broker : {1, 2, 3}) cluster_.Start(broker, 1);
    cluster_.CreateOn("r", {1, 2, 3}, {{"durability", "replicated"}});
    for (const int broker : {1, 2, 3}) cluster_.Start(broker, 2, /*suspect=*/true);
    EXPECT_TRUE(cluster_.Partition("r").IsLost());
  }

  ReportLastCopiesRequest From(int broker, int64_t broker_epoch, int64_t end,
                               const char* topic = "r") {
    ReportLastCopiesRequest request;
    request.set_broker_id(broker);
    request.set_broker_epoch(broker_epoch);
    internal::v1::LastCopy* copy = request.add_copies();
    copy->set_topic_id(cluster_.IdOf(topic).ToBytes());
    copy->set_leader_epoch(cluster_.Partition(topic).leader_epoch.value());
    copy->set_end_offset(end);
    reports_.Complete(cluster_.image(), now_, &request);
    return request;
  }

  TestCluster cluster_;
  LastCopyReports reports_{kWait};
  MonotonicTime now_ = MonotonicTime() + absl::Seconds(100);
};

TEST_F(LastCopyReportsTest, AReportGoesWithWhatOthersSaidOfTheSamePartitions) {
  EXPECT_THAT(From(1, 10, 5).heard(), SizeIs(0));
  const ReportLastCopiesRequest second = From(2, 20, 7);
  ASSERT_THAT(second.heard(), SizeIs(1));
  EXPECT_EQ(second.heard(0).broker_id(), 1);
  EXPECT_EQ(second.heard(0).broker_epoch(), 10);
  EXPECT_EQ(second.heard(0).copies(0).end_offset(), 5);
  // The newest word of a broker counts.
  EXPECT_THAT(From(1, 11, 4).heard(), SizeIs(1));
  EXPECT_EQ(From(2, 20, 7).heard(0).broker_epoch(), 11);
}

TEST_F(LastCopyReportsTest, TheOthersAreWaitedForFromTheFirstReportOn) {
  EXPECT_FALSE(From(1, 10, 5).copies(0).waited());
  now_ = now_ + kWait;
  EXPECT_TRUE(From(2, 20, 7).copies(0).waited());
}

// Nobody reports while it has a leader, so nothing is forgotten in between.
TEST_F(LastCopyReportsTest, AtTheNextLossTheyAreWaitedForAnew_S32) {
  From(1, 10, 5);
  v1::ElectLeadersRequest elect;
  elect.set_type(v1::ELECTION_TYPE_UNCLEAN);
  elect.add_topics()->set_name("r");
  EXPECT_OK(cluster_.Run(elect));
  EXPECT_FALSE(cluster_.Partition("r").IsLost());
  for (const int broker : {1, 2, 3}) cluster_.Start(broker, 3, /*suspect=*/true);
  ASSERT_TRUE(cluster_.Partition("r").IsLost());
  now_ = now_ + kWait;
  const ReportLastCopiesRequest again = From(2, 30, 7);
  EXPECT_FALSE(again.copies(0).waited());
  EXPECT_THAT(again.heard(), SizeIs(0));
}

// While a seat was left, only who had it was waited for.
TEST_F(LastCopyReportsTest, S32_WhenTheLastSeatIsLostAllAreWaitedForAnew) {
  cluster_.CreateOn("q", {2, 3}, {{"durability", "replicated"}, {"min.insync.replicas", "1"}});
  cluster_.Sync("q", {2});
  cluster_.Fence(2);
  auto cut = TestCluster::Registration(
      2, 3, {{TestCluster::DirectoryOf(2), cluster_.image().FindBroker(NodeId(2))->epoch.value()}});
  internal::v1::ImpairedReplicas* const impaired = cut.add_impaired_replicas();
  impaired->set_topic_id(cluster_.IdOf("q").ToBytes());
  impaired->add_partitions(0);
  ASSERT_OK(cluster_.Run(cut));
  ASSERT_TRUE(cluster_.Partition("q").NeedsEnds());
  ASSERT_FALSE(cluster_.Partition("q").IsLost());
  EXPECT_FALSE(From(3, 30, 7, "q").copies(0).waited());
  const LeaderEpoch epoch = cluster_.Partition("q").leader_epoch;
  now_ = now_ + kWait;
  cluster_.Register(2, 4, /*suspect=*/true);
  ASSERT_TRUE(cluster_.Partition("q").IsLost());
  ASSERT_EQ(cluster_.Partition("q").leader_epoch, epoch);
  EXPECT_FALSE(From(3, 30, 7, "q").copies(0).waited());
  now_ = now_ + kWait;
  EXPECT_TRUE(From(3, 30, 7, "q").copies(0).waited());
}

// It was sent before an election, and comes after the next loss.
TEST_F(LastCopyReportsTest, S32_AReportOfAnotherLeaderEpochIsNotRemembered) {
  ReportLastCopiesRequest late = From(1, 10, 5);
  reports_.Complete(metadata::Image(), now_, &late);
  ASSERT_EQ(reports_.size(), 0u);
  late.mutable_copies(0)->set_leader_epoch(late.copies(0).leader_epoch() - 1);
  reports_.Complete(cluster_.image(), now_, &late);
  EXPECT_EQ(reports_.size(), 0u);
}

TEST_F(LastCopyReportsTest, WhatAClientClaimsToHaveHeardIsNotTaken) {
  ReportLastCopiesRequest request = From(1, 10, 5);
  request.add_heard()->set_broker_id(2);
  request.mutable_copies(0)->set_waited(true);
  reports_.Complete(cluster_.image(), now_, &request);
  EXPECT_THAT(request.heard(), SizeIs(0));
  EXPECT_FALSE(request.copies(0).waited());
}

TEST_F(LastCopyReportsTest, OnlyPartitionsThatAreLostAreRemembered) {
  ReportLastCopiesRequest request = From(1, 10, 5);
  EXPECT_EQ(reports_.size(), 1u);
  request.mutable_copies(0)->set_partition(1);
  request.mutable_copies(0)->set_topic_id("short");
  reports_.Complete(cluster_.image(), now_, &request);
  EXPECT_EQ(reports_.size(), 1u);
  reports_.Complete(metadata::Image(), now_, &request);
  EXPECT_EQ(reports_.size(), 0u);
}

}  // namespace
}  // namespace millrace::controller
