#include "metadata/apply.h"

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "metadata/test_image.h"

namespace millrace::metadata {
namespace {

TEST(ApplyTest, FoundingSetsIdAndLevel) {
  const Image image = Next(Image(), {Founded()});
  EXPECT_EQ(image.cluster_id(), ClusterId(Uuid(7, 7)));
  EXPECT_EQ(image.feature_level(), 1);
  EXPECT_EQ(image.index(), LogIndex(1));
}

TEST(ApplyTest, BrokerEpochIsTheIndexOfTheRegistration) {
  Image image = Next(Image(), {Founded()});
  image = Next(image, {Registered(1, 1)});
  EXPECT_EQ(image.FindBroker(NodeId(1))->epoch, BrokerEpoch(2));
  EXPECT_EQ(image.FindBroker(NodeId(1))->state, BrokerState::kFenced);
  image = Next(image, {BrokerBecame(1, 2, records::BROKER_STATE_ACTIVE)});
  EXPECT_EQ(image.FindBroker(NodeId(1))->state, BrokerState::kActive);
  EXPECT_TRUE(image.FindBroker(NodeId(1))->was_active);
  // A fact about an older process is none about this one.
  const Image same = Next(image, {BrokerBecame(1, 1, records::BROKER_STATE_FENCED)});
  EXPECT_EQ(same.FindBroker(NodeId(1))->state, BrokerState::kActive);
  image = Next(image, {Registered(1, 2)});
  EXPECT_EQ(image.FindBroker(NodeId(1))->epoch, BrokerEpoch(4));
  EXPECT_EQ(image.FindBroker(NodeId(1))->state, BrokerState::kFenced);
  EXPECT_FALSE(image.FindBroker(NodeId(1))->was_active);
}

TEST(ApplyTest, PartitionChangeSetsWhatItSaysAndRaisesTheEpoch) {
  const Image before = TestImage();
  PartitionImage wanted = TestPartition();
  wanted.isr = {NodeId(2)};
  wanted.elr = {NodeId(1)};
  wanted.leader = NodeId(2);
  wanted.leader_epoch = LeaderEpoch(5);
  wanted.recovery_state = RecoveryState::kRecovering;
  const Image after = Next(before, {PartitionBecame(1, 1, TestPartition(), wanted)});
  wanted.partition_epoch = PartitionEpoch(1);
  EXPECT_EQ(*after.FindPartition({TestTopicId(1), PartitionIndex(1)}), wanted);
  // The image before is another value, and the other partition is as it was.
  EXPECT_EQ(*before.FindPartition({TestTopicId(1), PartitionIndex(1)}), TestPartition());
  EXPECT_EQ(*after.FindPartition({TestTopicId(1), PartitionIndex(0)}), TestPartition());
}

TEST(ApplyTest, S05_ADirectoryThatFailsBeforeItsBrokerIsActiveIsAbsentFromLevel7On) {
  for (const int level : {kAbsentDirectoriesLevel - 1, kAbsentDirectoriesLevel}) {
    for (const bool active : {false, true}) {
      records::FeatureLevelRecord raised;
      raised.set_feature_level(level);
      Image image = Next(Image(), {Founded(), Encode(raised)});
      image = Next(image, {Registered(1, 1)});
      if (active) image = Next(image, {BrokerBecame(1, 2, records::BROKER_STATE_ACTIVE)});
      image = Next(image, {DirectoryFailed(1, 2, records::BROKER_STATE_FENCED)});
      const LogDirImage& dir = image.FindBroker(NodeId(1))->log_dirs.at(0);
      EXPECT_TRUE(dir.failed);
      EXPECT_EQ(dir.absent(), level == kAbsentDirectoriesLevel && !active);
      EXPECT_EQ(dir.last_registered_epoch, BrokerEpoch(dir.absent() ? 2 : 0));
    }
  }
}

TEST(ApplyTest, RemovedTopicTakesItsPartitionsAndConfigs) {
  const Image image = Next(TestImage(), {TopicGone(1)});
  EXPECT_EQ(image.topic_count(), 0u);
  EXPECT_EQ(image.FindTopic("t"), nullptr);
  EXPECT_TRUE(image.ConfigsOf(ConfigOwner::Topic(TestTopicId(1))).empty());
  // What was about it is about nothing now.
  const Image same = Next(image, {PartitionMade(1, 5), TopicGone(1),
                                  PartitionBecame(1, 0, TestPartition(), TestPartition())});
  EXPECT_EQ(same.topic_count(), 0u);
}

TEST(ApplyTest, KIP516_TopicMadeAgainUnderTheSameNameIsAnotherTopic) {
  const Image image = Next(TestImage(), {TopicMade(2, "t"), PartitionMade(2, 0), TopicGone(1)});
  ASSERT_NE(image.FindTopic("t"), nullptr);
  EXPECT_EQ(image.FindTopic("t")->id, TestTopicId(2));
  EXPECT_EQ(image.FindTopic(TestTopicId(1)), nullptr);
}

TEST(ApplyTest, ConfigsAreSetAndUnset) {
  const ConfigOwner broker = ConfigOwner::Broker(NodeId(1));
  Image image = Next(TestImage(), {Configured(broker, "a", "1"), Configured(broker, "b", "2")});
  image = Next(image, {Unconfigured(broker, "a"), Configured(broker, "b", "3")});
  EXPECT_EQ(image.ConfigsOf(broker), (ConfigValues{{"b", "3"}}));
  image = Next(image, {Unconfigured(broker, "b")});
  EXPECT_TRUE(image.ConfigsOf(broker).empty());
}

TEST(ApplyTest, ProducerIdsNeverFall) {
  Image image = Next(Image(), {ProducerIdsUpTo(1000)});
  image = Next(image, {ProducerIdsUpTo(500)});
  EXPECT_EQ(image.next_producer_id(), ProducerId(1000));
}

TEST(ApplyTest, S39_RequestIsRememberedAtTheIndexOfItsEntry) {
  const Image image = Next(TestImage(), {TopicMade(2, "u"), Completed(1, 5)});
  const CompletedRequest* request = image.completed_requests().Find({TestClient(1), 5});
  ASSERT_NE(request, nullptr);
  EXPECT_EQ(request->index, image.index());
  EXPECT_EQ(request->reply, Bytes::Copy("reply"));
  EXPECT_EQ(request->request_hash, 77u);
  EXPECT_EQ(TestImage().completed_requests().client_count(), 0u);
}

TEST(ApplyTest, CordonOutlivesRegistrationsUntilItIsLifted) {
  Image image = Next(TestImage(), {Cordoned(1, true), Cordoned(9, true)});
  EXPECT_TRUE(image.FindBroker(NodeId(1))->cordoned);
  EXPECT_EQ(image.FindBroker(NodeId(9)), nullptr);
  image = Next(image, {Registered(1, 2)});
  EXPECT_TRUE(image.FindBroker(NodeId(1))->cordoned);
  image = Next(image, {Cordoned(1, false)});
  EXPECT_FALSE(image.FindBroker(NodeId(1))->cordoned);
}

TEST(ApplyTest, DirectoriesAreSlowUntilARecordSaysOtherwiseOrTheBrokerRegistersAnew) {
  const int64_t epoch = TestImage().FindBroker(NodeId(1))->epoch.value();
  const auto is_slow = [](const Image& image) {
    return image.FindBroker(NodeId(1))->HasSlowLogDir(TestDirectory(1));
  };
  Image image = Next(TestImage(), {DirectoryBecame(1, epoch, true)});
  EXPECT_TRUE(is_slow(image));
  image = Next(image, {BrokerBecame(1, epoch, records::BROKER_STATE_FENCED)});
  EXPECT_TRUE(is_slow(image)) << "the record does not speak of directories";
  EXPECT_FALSE(is_slow(Next(image, {DirectoryBecame(1, epoch, false)})));
  EXPECT_TRUE(is_slow(Next(image, {DirectoryBecame(1, epoch - 1, false)})));
  EXPECT_FALSE(is_slow(Next(image, {Registered(1, 2)})));
}

TEST(ApplyTest, RemovedBrokerTakesItsConfigsAndALaterRegistrationStays) {
  Image image = Next(TestImage(), {Configured(ConfigOwner::Broker(NodeId(1)), "a", "1")});
  const int64_t epoch = image.FindBroker(NodeId(1))->epoch.value();
  EXPECT_EQ(Next(image, {BrokerGone(1, epoch - 1)}).broker_count(), 1u);
  image = Next(image, {BrokerGone(1, epoch)});
  EXPECT_EQ(image.broker_count(), 0u);
  EXPECT_TRUE(image.ConfigsOf(ConfigOwner::Broker(NodeId(1))).empty());
}

TEST(ApplyTest, EntryWithoutRecordsMovesTheIndexOnly) {
  const Image before = TestImage();
  const Image after = Next(before, {});
  EXPECT_EQ(after.index(), before.index() + 1);
  EXPECT_EQ(*after.FindTopic("t"), *before.FindTopic("t"));
}

TEST(ApplyTest, UnknownTypeVersionOrLevelIsRefusedByName) {
  rsm::Record record = Founded();
  EXPECT_OK(CheckKnown({&record, 1}));
  record.type = rsm::RecordType(99);
  EXPECT_THAT(CheckKnown({&record, 1}), IsError(ErrorCode::kUnsupportedVersion, "type 99"));
  EXPECT_DEATH(Next(Image(), {record}), "type 99");
  records::FeatureLevelRecord level;
  level.set_feature_level(kFeatureLevelMax + 1);
  record = Encode(level);
  EXPECT_THAT(CheckKnown({&record, 1}), IsError(ErrorCode::kUnsupportedVersion,
                                                absl::StrCat("level ", kFeatureLevelMax + 1)));
}

}  // namespace
}  // namespace millrace::metadata
