// S-05: a log directory that cannot be opened at a start may come back. What it has counts as much
// then as if it had failed while the broker ran, and no more.
#include <utility>
#include <vector>

#include "controller/broker_commands.h"
#include "controller/directory_commands.h"
#include "controller/limits.h"
#include "controller/testing/two_disks_fixture.h"
#include "metadata/record_types.h"

namespace millrace::controller {
namespace {

using metadata::LogDirImage;
using metadata::PartitionImage;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

// A `durable` topic "d" on brokers 1 and 2, of which only 1 has all that was acknowledged.
class RegisteredLogDirsTest : public TwoDisksFixture {
 protected:
  RegisteredLogDirsTest() {
    Create("d", {});
    absent_ = cluster_.Partition("d").DirectoryOf(NodeId(1));
    present_ = absent_ == kSecondDisk ? TestCluster::DirectoryOf(1) : kSecondDisk;
    registered_ = EpochOf(1).value();
  }
  void Create(const char* name, ConfigValues configs) {
    cluster_.Start(2, ++incarnation_);
    configs.emplace("min.insync.replicas", "1");
    cluster_.CreateOn(name, {1, 2}, std::move(configs));
    cluster_.Fence(2);
    ASSERT_THAT(Ids(cluster_.Partition(name).isr), ElementsAre(1));
    ASSERT_THAT(Ids(cluster_.Partition(name).elr), IsEmpty());
  }
  const PartitionImage& Partition() const { return cluster_.Partition("d"); }
  const LogDirImage* Absent() const {
    return cluster_.image().FindBroker(NodeId(1))->FindLogDir(absent_);
  }

  // Registers broker 1 anew with these beside the one that works.
  void Register(std::vector<TestCluster::LogDir> dirs, bool unopened) {
    dirs.push_back({present_, EpochOf(1).value()});
    auto request = TestCluster::Registration(1, ++incarnation_, std::move(dirs));
    request.set_has_unopened_log_dirs(unopened);
    ASSERT_OK(cluster_.Run(request));
  }
  void StartWithoutIt(bool unopened = true) {
    Register({}, unopened);
    cluster_.Activate(1);
  }
  // Last open under the broker epoch `last_open`.
  void StartWithIt(int64_t last_open) {
    Register({{absent_, last_open, /*suspect=*/true}}, /*unopened=*/false);
    cluster_.Activate(1);
  }
  void ExpectSeatKept() {
    EXPECT_EQ(Partition().leader, kNoNode);
    EXPECT_THAT(Ids(Partition().isr), IsEmpty());
    EXPECT_THAT(Ids(Partition().elr), ElementsAre(1));
  }
  void ExpectLed() {
    EXPECT_EQ(Partition().leader, NodeId(1));
    EXPECT_THAT(Ids(Partition().isr), ElementsAre(1));
    EXPECT_EQ(cluster_.state().recovering_elections, 0);
    EXPECT_FALSE(Absent()->absent());
    EXPECT_FALSE(Absent()->failed);
  }

  DirectoryId absent_;
  DirectoryId present_;
  // The broker epoch under which both were open.
  int64_t registered_ = 0;
  int incarnation_ = 1;
};

TEST_F(RegisteredLogDirsTest, S05_TheLastCopyLeadsAgainWhenItsDiskIsBack) {
  const LeaderEpoch epoch = Partition().leader_epoch;
  StartWithoutIt();
  ExpectSeatKept();
  ASSERT_NE(Absent(), nullptr);
  EXPECT_TRUE(Absent()->absent());
  EXPECT_TRUE(Absent()->failed);
  // Who may lack what it acknowledged does not lead in its stead.
  cluster_.Start(2, ++incarnation_);
  ExpectSeatKept();
  StartWithIt(registered_);
  ExpectLed();
  // S-01.
  EXPECT_GE(Partition().leader_epoch, epoch + 2);
}

TEST_F(RegisteredLogDirsTest, S05_ItIsAllTheSameWhetherItFailedBefore) {
  ASSERT_OK(cluster_.Run(FailDirectoriesCommand{NodeId(1), EpochOf(1), {absent_}}));
  ExpectSeatKept();
  const PartitionImage before = Partition();
  StartWithoutIt();
  EXPECT_EQ(Partition(), before);
  StartWithIt(registered_);
  ExpectLed();
}

TEST_F(RegisteredLogDirsTest, S05_ItIsWaitedForThroughSeveralStarts) {
  StartWithoutIt();
  Register({}, /*unopened=*/true);
  StartWithoutIt();
  ExpectSeatKept();
  StartWithIt(registered_);
  ExpectLed();
}

TEST_F(RegisteredLogDirsTest, S05_AnEarlierCopyOfItHasNoSeat) {
  // Others of 1 go on under later registrations.
  StartWithIt(registered_);
  const int64_t later = EpochOf(1).value();
  StartWithoutIt();
  ExpectSeatKept();
  for (const int64_t earlier : {int64_t{0}, registered_, EpochOf(1).value()}) {
    SCOPED_TRACE(earlier);
    ASSERT_NE(earlier, later);
    const TestCluster kept = cluster_;
    StartWithIt(earlier);
    EXPECT_TRUE(Partition().IsLost());
    EXPECT_FALSE(Absent()->trusted);
    cluster_ = kept;
  }
  StartWithIt(later);
  ExpectLed();
}

TEST_F(RegisteredLogDirsTest, S05_ARegistrationThatNeverBecameActiveWroteNothing) {
  // Whether the process recorded its epoch before it died is not known.
  Register({{absent_, registered_}}, /*unopened=*/false);
  const int64_t recorded = EpochOf(1).value();
  StartWithoutIt();
  ExpectSeatKept();
  for (const int64_t last_open : {registered_, recorded}) {
    SCOPED_TRACE(last_open);
    const TestCluster kept = cluster_;
    StartWithIt(last_open);
    ExpectLed();
    cluster_ = kept;
  }
  StartWithIt(0);
  EXPECT_TRUE(Partition().IsLost());
}

TEST_F(RegisteredLogDirsTest, S05_OneThatFailedBeforeTheBrokerWasActiveIsLikeOneThatWasNotThere) {
  for (const bool again : {false, true}) {
    SCOPED_TRACE(again);
    Register({{absent_, registered_}}, /*unopened=*/false);
    ASSERT_OK(cluster_.Run(FailDirectoriesCommand{NodeId(1), EpochOf(1), {absent_}}));
    cluster_.Activate(1);
    ExpectSeatKept();
  }
  const TestCluster kept = cluster_;
  StartWithIt(EpochOf(1).value());
  ExpectLed();
  cluster_ = kept;
  StartWithIt(registered_);
  ExpectLed();
}

TEST_F(RegisteredLogDirsTest, S05_OneThatFailedLaterIsNotTakenBackAsItWasBefore) {
  StartWithIt(registered_);
  ASSERT_OK(cluster_.Run(FailDirectoriesCommand{NodeId(1), EpochOf(1), {absent_}}));
  StartWithIt(registered_);
  EXPECT_TRUE(Partition().IsLost());
}

TEST_F(RegisteredLogDirsTest, S05_WhatCaughtUpAfterItWasNotTrustedIsTrustedAgain) {
  StartWithIt(0);
  ASSERT_TRUE(Partition().IsLost());
  ASSERT_FALSE(Absent()->trusted);
  v1::ElectLeadersRequest anyhow;
  anyhow.set_type(v1::ELECTION_TYPE_UNCLEAN);
  anyhow.add_topics()->set_name("d");
  ASSERT_OK(cluster_.Run(anyhow));
  ASSERT_EQ(Partition().leader, NodeId(1));
  const int64_t epoch = EpochOf(1).value();
  StartWithoutIt();
  ExpectSeatKept();
  StartWithIt(epoch);
  EXPECT_EQ(Partition().leader, NodeId(1));
}

// Who takes a directory out of log.dirs, or puts an empty one in its place, gives it up.
TEST_F(RegisteredLogDirsTest, S05_OneThatIsNotConfiguredAnyMoreIsLost) {
  StartWithoutIt();
  ExpectSeatKept();
  StartWithoutIt(/*unopened=*/false);
  EXPECT_TRUE(Partition().IsLost());
  EXPECT_EQ(Absent(), nullptr);
  // Put back, it is only known as one that had a seat.
  Register({{absent_, registered_}}, /*unopened=*/false);
  EXPECT_TRUE(Partition().IsLost());
}

TEST_F(RegisteredLogDirsTest, S03_OfAReplicatedTopicItHasNoSeat) {
  StartWithIt(registered_);
  Create("r", {{"durability", "replicated"}});
  absent_ = cluster_.Partition("r").DirectoryOf(NodeId(1));
  present_ = absent_ == kSecondDisk ? TestCluster::DirectoryOf(1) : kSecondDisk;
  StartWithoutIt();
  EXPECT_TRUE(cluster_.Partition("r").IsLost());
}

TEST_F(RegisteredLogDirsTest, NothingNewIsPlacedInIt) {
  StartWithoutIt();
  for (const char* name : {"new1", "new2"}) {
    cluster_.CreateOn(name, {1});
    EXPECT_EQ(cluster_.Partition(name).DirectoryOf(NodeId(1)), present_);
    EXPECT_EQ(cluster_.Partition(name).leader, NodeId(1));
  }
}

TEST_F(RegisteredLogDirsTest, ItBelongsToNoOtherBroker) {
  StartWithoutIt();
  EXPECT_THAT(cluster_.Run(TestCluster::Registration(2, ++incarnation_, {{absent_, registered_}})),
              HasCode(ErrorCode::kInvalidDirectory));
}

TEST_F(RegisteredLogDirsTest, ABrokerHasNoMoreThanItMayRegister) {
  std::vector<TestCluster::LogDir> dirs;
  while (dirs.size() + 1 < static_cast<size_t>(kLogDirsPerBrokerMax)) {
    dirs.push_back({DirectoryId(Uuid(5000, dirs.size() + 1))});
  }
  Register(std::move(dirs), /*unopened=*/true);
  EXPECT_EQ(cluster_.image().FindBroker(NodeId(1))->log_dirs.size(),
            static_cast<size_t>(kLogDirsPerBrokerMax));
  EXPECT_TRUE(Partition().IsLost());
}

TEST_F(RegisteredLogDirsTest, BelowItsFeatureLevelItIsLost) {
  metadata::records::FeatureLevelRecord level;
  level.set_feature_level(metadata::kAbsentDirectoriesLevel - 1);
  auto request = TestCluster::Registration(1, ++incarnation_, {{present_, registered_}});
  request.set_has_unopened_log_dirs(true);
  const State below =
      Machine::Apply(cluster_.state(), cluster_.index() + 1, {{metadata::Encode(level)}});
  const auto decision = RegisterBroker(below, request);
  ASSERT_OK(decision.reply);
  EXPECT_GT(decision.reply->replicas_distrusted(), 0);
  const State after = Machine::Apply(below, cluster_.index() + 2, decision.records);
  EXPECT_EQ(after.image.FindBroker(NodeId(1))->log_dirs.size(), 1u);
  EXPECT_TRUE(after.image.FindTopic("d")->FindPartition(PartitionIndex(0))->IsLost());
}

}  // namespace
}  // namespace millrace::controller
