#include "controller/directory_commands.h"

#include <set>

#include "controller/testing/two_disks_fixture.h"

namespace millrace::controller {
namespace {

using internal::v1::PartitionProposalResult;
using metadata::BrokerState;
using metadata::PartitionImage;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class DirectoryCommandsTest : public TwoDisksFixture {
 protected:
  absl::StatusOr<FailDirectoriesReply> Fail(int broker, std::set<DirectoryId> directories) {
    return cluster_.Run(
        FailDirectoriesCommand{NodeId(broker), EpochOf(broker), std::move(directories)});
  }
};

TEST_F(DirectoryCommandsTest, KIP858_OnlyWhatLiesInTheDirectoryMovesInOneEntry) {
  const PartitionImage other = cluster_.Partition("a", 1);
  const size_t entries = cluster_.log().size();
  ASSERT_OK_AND_ASSIGN(const FailDirectoriesReply reply, Fail(1, {first_}));
  EXPECT_EQ(cluster_.log().size(), entries + 1);
  EXPECT_GE(reply.replicas, 1);
  EXPECT_EQ(cluster_.Partition("a").leader, NodeId(2));
  EXPECT_EQ(cluster_.Partition("a").leader_epoch, LeaderEpoch(1));
  EXPECT_THAT(Ids(cluster_.Partition("a").isr), ElementsAre(2, 3));
  EXPECT_EQ(cluster_.Partition("a", 1), other);
  EXPECT_EQ(cluster_.image().FindBroker(NodeId(1))->state, BrokerState::kActive);
}

TEST_F(DirectoryCommandsTest, ToldAgainItIsARead) {
  ASSERT_OK(Fail(1, {first_}));
  const size_t entries = cluster_.log().size();
  ASSERT_OK(Fail(1, {first_}));
  ASSERT_OK(Fail(1, {DirectoryId(Uuid(77, 77))}));
  EXPECT_EQ(cluster_.log().size(), entries);
}

TEST_F(DirectoryCommandsTest, NothingInAFailedDirectoryLeadsOrJoins) {
  ASSERT_OK(Fail(1, {first_}));
  internal::v1::AlterPartitionRequest request;
  request.set_broker_id(2);
  request.set_broker_epoch(EpochOf(2).value());
  auto* topic = request.add_topics();
  topic->set_topic_id(cluster_.IdOf("a").ToBytes());
  auto* proposal = topic->add_partitions();
  proposal->set_leader_epoch(cluster_.Partition("a").leader_epoch.value());
  proposal->set_partition_epoch(cluster_.Partition("a").partition_epoch.value());
  for (const int id : {1, 2, 3}) {
    auto* member = proposal->add_new_isr();
    member->set_broker_id(id);
    member->set_broker_epoch(EpochOf(id).value());
  }
  ASSERT_OK_AND_ASSIGN(const auto reply, cluster_.Run(request));
  EXPECT_EQ(reply.topics(0).partitions(0).code(), v1::ERROR_CODE_INELIGIBLE_REPLICA);
  // 2 and 3 go: nobody is left.
  cluster_.Fence(3);
  cluster_.Fence(2);
  EXPECT_EQ(cluster_.Partition("a").leader, kNoNode);
}

TEST_F(DirectoryCommandsTest, TheLastMemberOfADurableTopicIsEligibleWhenItsDiskIsBack) {
  cluster_.Fence(2);
  cluster_.Fence(3);
  ASSERT_THAT(Ids(cluster_.Partition("a").isr), ElementsAre(1));
  ASSERT_OK_AND_ASSIGN(const FailDirectoriesReply reply, Fail(1, {first_}));
  EXPECT_GE(reply.partitions_without_leader, 1);
  EXPECT_EQ(cluster_.Partition("a").leader, kNoNode);
  EXPECT_THAT(Ids(cluster_.Partition("a").elr), ::testing::Contains(1));
  // It registers anew with the disk as it was: the failure is forgotten.
  const int64_t epoch = EpochOf(1).value();
  ASSERT_OK(cluster_.Run(TestCluster::Registration(
      1, 2, {{TestCluster::DirectoryOf(1), epoch, true}, {kSecondDisk, epoch, true}})));
  cluster_.Activate(1);
  EXPECT_EQ(cluster_.Partition("a").leader, NodeId(1));
}

TEST_F(DirectoryCommandsTest, S03_WhatAReplicatedTopicHadInAFailedDirectoryIsNotTrusted) {
  cluster_.Create("r", 4, 1, {{"durability", "replicated"}});
  cluster_.CreateOn("r3", {1, 2}, {{"durability", "replicated"}});
  cluster_.Fence(2);
  const DirectoryId directory = cluster_.Partition("r3").DirectoryOf(NodeId(1));
  ASSERT_OK(Fail(1, {directory}));
  EXPECT_THAT(Ids(cluster_.Partition("r3").isr), IsEmpty());
  EXPECT_THAT(Ids(cluster_.Partition("r3").elr), ::testing::Not(::testing::Contains(1)));
}

TEST_F(DirectoryCommandsTest, NewReplicasGoWhereTheDiskWorks) {
  ASSERT_OK(Fail(1, {first_}));
  const DirectoryId left = first_ == kSecondDisk ? TestCluster::DirectoryOf(1) : kSecondDisk;
  for (int i = 0; i < 4; ++i) {
    const std::string name = absl::StrCat("new", i);
    cluster_.CreateOn(name, {1, 2});
    EXPECT_EQ(cluster_.Partition(name).DirectoryOf(NodeId(1)), left);
    EXPECT_EQ(cluster_.Partition(name).leader, NodeId(1));
  }
}

TEST_F(DirectoryCommandsTest, ABrokerWithoutAWorkingDiskIsInSyncWithNoNewPartition) {
  ASSERT_OK(Fail(2, {TestCluster::DirectoryOf(2)}));
  cluster_.CreateOn("new", {2, 3});
  EXPECT_EQ(cluster_.Partition("new").leader, NodeId(3));
  EXPECT_THAT(Ids(cluster_.Partition("new").isr), ElementsAre(3));
}

TEST_F(DirectoryCommandsTest, OnlyTheLatestProcessOfABrokerTellsOfItsDisks) {
  EXPECT_THAT(cluster_.Run(FailDirectoriesCommand{NodeId(1), BrokerEpoch(1), {first_}}),
              HasCode(ErrorCode::kStaleBrokerEpoch));
}

// Broker 1 was registered anew: partition 0 lay in a directory that is gone.
class LostDirectoryTest : public DirectoryCommandsTest {
 protected:
  LostDirectoryTest() {
    kept_ = first_ == kSecondDisk ? TestCluster::DirectoryOf(1) : kSecondDisk;
    const int64_t epoch = EpochOf(1).value();
    EXPECT_OK(cluster_.Run(TestCluster::Registration(1, 2, {{kept_, epoch, false}, {kFresh}})));
    cluster_.Activate(1);
  }
  // What the controller says to replicas of broker 1 in `directory`.
  v1::ErrorCode Assign(DirectoryId directory, const std::string& topic = "a", int partition = 0) {
    const auto reply = cluster_.Run(Request(directory, topic, partition));
    EXPECT_OK(reply);
    return reply.ok() ? reply->replicas(0).code() : v1::ERROR_CODE_UNKNOWN_SERVER_ERROR;
  }
  internal::v1::AssignReplicasToDirsRequest Request(DirectoryId directory, const std::string& topic,
                                                    int partition) {
    internal::v1::AssignReplicasToDirsRequest request;
    request.set_broker_id(1);
    request.set_broker_epoch(EpochOf(1).value());
    internal::v1::ReplicaDirectory* const replica = request.add_replicas();
    replica->set_topic_id(cluster_.IdOf(topic).ToBytes());
    replica->set_partition(partition);
    replica->set_directory_id(directory.ToBytes());
    return request;
  }

  const DirectoryId kFresh{Uuid(4000, 2)};
  // Of broker 1, where partition 1 lies.
  DirectoryId kept_;
};

TEST_F(LostDirectoryTest, KIP858_AReplicaThatWasMadeAnewIsWhereItsBrokerSays) {
  ASSERT_EQ(cluster_.Partition("a").DirectoryOf(NodeId(1)), first_);
  const PartitionImage other = cluster_.Partition("a", 1);
  const PartitionEpoch before = cluster_.Partition("a").partition_epoch;
  EXPECT_EQ(Assign(kFresh), v1::ERROR_CODE_UNSPECIFIED);
  const PartitionImage after = cluster_.Partition("a");
  EXPECT_EQ(after.DirectoryOf(NodeId(1)), kFresh);
  EXPECT_EQ(after.partition_epoch, before + 1);
  EXPECT_THAT(Ids(after.isr), ElementsAre(2, 3));
  EXPECT_EQ(cluster_.Partition("a", 1), other);
  // Told again it is a read.
  const size_t entries = cluster_.log().size();
  EXPECT_EQ(Assign(kFresh), v1::ERROR_CODE_UNSPECIFIED);
  EXPECT_EQ(cluster_.log().size(), entries);
}

TEST_F(LostDirectoryTest, S05_ASeatDoesNotGoWithAReplicaToAnotherDirectory) {
  // Of a new topic it is in sync, and leads.
  cluster_.CreateOn("b", {1, 2});
  const DirectoryId there = cluster_.Partition("b").DirectoryOf(NodeId(1));
  ASSERT_EQ(cluster_.Partition("b").leader, NodeId(1));
  const LeaderEpoch epoch = cluster_.Partition("b").leader_epoch;
  EXPECT_EQ(Assign(there == kFresh ? kept_ : kFresh, "b"), v1::ERROR_CODE_UNSPECIFIED);
  EXPECT_THAT(Ids(cluster_.Partition("b").isr), ElementsAre(2));
  EXPECT_EQ(cluster_.Partition("b").leader, NodeId(2));
  EXPECT_EQ(cluster_.Partition("b").leader_epoch, epoch + 1);
}

TEST_F(LostDirectoryTest, S05_TheLastCopyStaysWhereItWas) {
  cluster_.CreateOn("alone", {1});
  const PartitionImage before = cluster_.Partition("alone");
  const DirectoryId there = before.DirectoryOf(NodeId(1));
  EXPECT_EQ(Assign(there == kFresh ? kept_ : kFresh, "alone"), v1::ERROR_CODE_INELIGIBLE_REPLICA);
  EXPECT_EQ(cluster_.Partition("alone"), before);
}

TEST_F(LostDirectoryTest, S05_WhoLedWithADirectoryThatIsGoneIsNotElectedForIt) {
  cluster_.CreateOn("b", {1, 2}, {{"min.insync.replicas", "2"}});
  cluster_.Fence(2);
  ASSERT_EQ(cluster_.Partition("b").leader, NodeId(1));
  const DirectoryId left =
      cluster_.Partition("b").DirectoryOf(NodeId(1)) == kFresh ? kept_ : kFresh;
  ASSERT_OK(cluster_.Run(TestCluster::Registration(1, 3, {{left, EpochOf(1).value(), false}})));
  cluster_.Activate(1);
  ASSERT_EQ(cluster_.Partition("b").last_known_leader, NodeId(1));
  EXPECT_EQ(Assign(left, "b"), v1::ERROR_CODE_UNSPECIFIED);
  EXPECT_EQ(cluster_.Partition("b").last_known_leader, kNoNode);
  EXPECT_EQ(cluster_.Partition("b").leader, kNoNode);
  EXPECT_THAT(Ids(cluster_.Partition("b").elr), ElementsAre(2));
}

TEST_F(LostDirectoryTest, WhatIsNotThereIsRefusedOneByOne) {
  EXPECT_EQ(Assign(DirectoryId(Uuid(77, 77))), v1::ERROR_CODE_DIRECTORY_UNAVAILABLE);
  EXPECT_EQ(Assign(kFresh, "a", 9), v1::ERROR_CODE_UNKNOWN_TOPIC_OR_PARTITION);
  cluster_.CreateOn("others", {2, 3});
  EXPECT_EQ(Assign(kFresh, "others"), v1::ERROR_CODE_INVALID_REQUEST);
  internal::v1::AssignReplicasToDirsRequest request = Request(kFresh, "a", 9);
  *request.add_replicas() = Request(kFresh, "a", 0).replicas(0);
  *request.add_replicas() = request.replicas(1);
  ASSERT_OK_AND_ASSIGN(const auto reply, cluster_.Run(request));
  EXPECT_EQ(reply.replicas(0).code(), v1::ERROR_CODE_UNKNOWN_TOPIC_OR_PARTITION);
  EXPECT_EQ(reply.replicas(1).code(), v1::ERROR_CODE_UNSPECIFIED);
  EXPECT_EQ(reply.replicas(2).code(), v1::ERROR_CODE_INVALID_REQUEST);
  EXPECT_EQ(cluster_.Partition("a").DirectoryOf(NodeId(1)), kFresh);
}

TEST_F(LostDirectoryTest, OnlyTheLatestProcessSaysWhereReplicasLie) {
  internal::v1::AssignReplicasToDirsRequest request = Request(kFresh, "a", 0);
  request.set_broker_epoch(1);
  EXPECT_THAT(cluster_.Run(request), HasCode(ErrorCode::kStaleBrokerEpoch));
}

}  // namespace
}  // namespace millrace::controller
