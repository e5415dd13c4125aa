#include "metadata/image_records.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "metadata/test_image.h"

namespace millrace::metadata {
namespace {

const TopicPartition kId{TestTopicId(1), PartitionIndex(0)};

TEST(ImageRecordsTest, PartitionSurvivesItsRecord) {
  PartitionImage partition = TestPartition();
  partition.elr = {NodeId(3)};
  partition.leader = kNoNode;
  partition.last_known_leader = NodeId(0);
  partition.leader_epoch = LeaderEpoch(7);
  partition.partition_epoch = PartitionEpoch(9);
  partition.recovery_state = RecoveryState::kRecovering;
  EXPECT_EQ(PartitionFrom(PartitionRecordOf(kId, partition)), partition);
}

TEST(ImageRecordsTest, ChangeTakesOneImageToTheOther) {
  PartitionImage after = TestPartition();
  after.isr.clear();
  after.elr = {NodeId(1)};
  after.leader = kNoNode;
  after.leader_epoch = LeaderEpoch(1);
  after.last_known_leader = NodeId(1);
  after.partition_epoch = PartitionEpoch(1);
  const auto change = PartitionChangeOf(kId, TestPartition(), after);
  EXPECT_FALSE(change.has_replicas());
  EXPECT_EQ(ChangedPartition(TestPartition(), change), after);
}

TEST(ImageRecordsTest, ReassignmentSurvivesItsRecordsAndEndsInOne) {
  const PartitionImage partition = ReassignedPartition();
  EXPECT_EQ(PartitionFrom(PartitionRecordOf(kId, partition)), partition);
  PartitionImage after = partition;
  after.partition_epoch = PartitionEpoch(1);
  after.target.clear();
  after.adding.clear();
  after.replicas.erase(after.replicas.begin());
  EXPECT_EQ(ChangedPartition(partition, PartitionChangeOf(kId, partition, after)), after);
}

TEST(ImageRecordsTest, ThrottleSurvivesItsRecordsAndGoesByOne) {
  const PartitionImage partition = ThrottledPartition();
  EXPECT_EQ(PartitionFrom(PartitionRecordOf(kId, partition)), partition);
  PartitionImage after = partition;
  after.partition_epoch = PartitionEpoch(1);
  EXPECT_FALSE(PartitionChangeOf(kId, partition, after).has_throttle_bytes_per_s());
  after.throttle_bytes_per_s = 0;
  EXPECT_EQ(ChangedPartition(partition, PartitionChangeOf(kId, partition, after)), after);
}

TEST(ImageRecordsTest, S07_ARaiseSurvivesItsRecordsAndEndsByOne) {
  PartitionImage partition = TestPartition();
  EXPECT_FALSE(PartitionRecordOf(kId, partition).raising());
  partition.raising = true;
  EXPECT_EQ(PartitionFrom(PartitionRecordOf(kId, partition)), partition);
  PartitionImage after = partition;
  after.partition_epoch = PartitionEpoch(1);
  EXPECT_FALSE(PartitionChangeOf(kId, partition, after).has_raising());
  after.raising = false;
  EXPECT_EQ(ChangedPartition(partition, PartitionChangeOf(kId, partition, after)), after);
}

TEST(ImageRecordsTest, S08_WhoIsImpairedSurvivesItsRecordsAndIsForgottenByOne) {
  EXPECT_TRUE(PartitionRecordOf(kId, TestPartition()).impaired().empty());
  const PartitionImage partition = ImpairedPartition();
  EXPECT_EQ(PartitionFrom(PartitionRecordOf(kId, partition)), partition);
  PartitionImage after = partition;
  after.partition_epoch = PartitionEpoch(1);
  EXPECT_FALSE(PartitionChangeOf(kId, partition, after).has_impaired());
  after.impaired.clear();
  EXPECT_EQ(ChangedPartition(partition, PartitionChangeOf(kId, partition, after)), after);
}

TEST(ImageRecordsTest, BrokerSurvivesItsRecord) {
  const BrokerImage broker = *TestImage().FindBroker(NodeId(1));
  EXPECT_EQ(BrokerFrom(RegistrationRecordOf(broker), broker.epoch), broker);
}

TEST(ImageRecordsTest, S05_AnAbsentDirectorySurvivesItsRecord) {
  const Image image = Apply(TestImage(), LogIndex(1000), {{RegisteredWithout(1, 2)}});
  const BrokerImage broker = *image.FindBroker(NodeId(1));
  EXPECT_TRUE(broker.log_dirs.at(0).absent());
  EXPECT_EQ(broker.log_dirs[0].last_registered_epoch, BrokerEpoch(300));
  EXPECT_FALSE(broker.HasWorkingLogDir(TestDirectory(1)));
  EXPECT_EQ(BrokerFrom(RegistrationRecordOf(broker), broker.epoch), broker);
}

TEST(ImageRecordsTest, UnknownBrokerStateIsFenced) {
  EXPECT_EQ(StateFromRecord(static_cast<records::BrokerState>(99)), BrokerState::kFenced);
  for (const BrokerState state :
       {BrokerState::kFenced, BrokerState::kActive, BrokerState::kShuttingDown}) {
    EXPECT_EQ(StateFromRecord(StateToRecord(state)), state);
  }
}

TEST(ImageRecordsTest, ConfigOwnerSurvivesItsRecord) {
  for (const ConfigOwner& owner : {ConfigOwner::Topic(TestTopicId(1)),
                                   ConfigOwner::Broker(NodeId(3)), ConfigOwner::AllBrokers()}) {
    EXPECT_EQ(OwnerFrom(ConfigRecordOf(owner, "a", nullptr)), owner);
  }
}

}  // namespace
}  // namespace millrace::metadata
