#include "broker/reconciler.h"

#include <map>

#include "broker/testing/broker_fixture.h"

namespace millrace::broker {
namespace {

using ::testing::SizeIs;

TEST(ReconcilerTest, ConfigsTakeEffectWithoutARestart) {
  BrokerFixture f;
  f.Start();
  f.CreateTopic("t");
  EXPECT_TRUE(f.Produce("t", MakeBatch(1, 5000)).outcome.ok());
  f.Commit({BrokerFixture::TopicConfig(1, "max.message.bytes", "1000")});
  EXPECT_EQ(f.Produce("t", MakeBatch(1, 5000)).outcome.code, ErrorCode::kMessageTooLarge);
}

TEST(ReconcilerTest, ADeletedTopicIsGoneFromDiskAndItsNameCanBeUsedAgain) {
  BrokerFixture f;
  f.Start();
  f.CreateTopic("t");
  f.Produce("t", MakeBatch(5));
  f.RemoveTopic();
  f.CreateTopic("t", 1, 2);
  f.Run(absl::Seconds(1));
  const api::ProducePartitionResult result = f.Produce("t", MakeBatch(1));
  EXPECT_TRUE(result.outcome.ok()) << result.outcome.message;
  EXPECT_EQ(result.base_offset, Offset(0)) << "nothing of the old topic is left";
}

TEST(ReconcilerTest, NewReplicasGoWhereThereAreFewest) {
  BrokerFixture f(1, {"a", "b", "c"});
  std::map<DirectoryId, int> assigned;
  f.Construct();
  f.broker->SetOnDirectoryAssigned(
      [&](const TopicPartition&, DirectoryId directory) { ++assigned[directory]; });
  ASSERT_OK(f.OpenLogDirs());
  f.Commit({BrokerFixture::Registration()});
  f.CreateTopic("t", 6);
  EXPECT_THAT(assigned, SizeIs(3));
  for (const auto& [directory, count] : assigned) EXPECT_EQ(count, 2);
}

TEST(ReconcilerTest, ALeadershipOfAnotherRegistrationIsNotTakenUp_S01) {
  BrokerFixture f;
  f.Start(10);
  f.CreateTopic("t");
  // The metadata goes on to another incarnation of this broker: this one is fenced.
  f.Commit({BrokerFixture::Registration()});
  f.CreateTopic("u", 1, 2);
  EXPECT_EQ(f.Produce("u", MakeBatch()).outcome.code, ErrorCode::kNotLeaderOrFollower);
  EXPECT_EQ(f.Produce("t", MakeBatch()).outcome.code, ErrorCode::kNotLeaderOrFollower);
}

TEST(ReconcilerTest, APartitionOfADirectoryThatIsGoneIsNotMadeAnewElsewhere_S05) {
  BrokerFixture f(1, {"a", "b"});
  f.Start();
  f.CreateTopic("t");
  metadata::PartitionImage lost = f.Led(1);
  lost.replicas[0].directory = DirectoryId(Uuid(9, 9));
  f.Commit({metadata::Encode(
      metadata::PartitionRecordOf({BrokerFixture::IdOf(1), PartitionIndex(1)}, lost))});
  f.Run(absl::Milliseconds(50));
  EXPECT_EQ(f.Produce("t", MakeBatch(1), 1).outcome.code, ErrorCode::kStorageError);
  EXPECT_TRUE(f.Produce("t", MakeBatch()).outcome.ok());
}

TEST(ReconcilerTest, ATopicMadeAgainWhileTheBrokerWasAwayDoesNotMeetTheOldOnesRecords) {
  BrokerFixture f;
  f.Start();
  f.CreateTopic("t");
  f.Produce("t", MakeBatch(5));
  // The topic is removed and made again between two runs: no delta names the old one.
  metadata::records::TopicRemovedRecord removed;
  removed.set_topic_id(BrokerFixture::IdOf(1).ToBytes());
  f.Crash();
  f.image = std::make_shared<const metadata::Image>(
      metadata::Apply(*f.image, f.image->index() + 1, {metadata::Encode(removed)}));
  metadata::records::TopicRecord made;
  made.set_topic_id(BrokerFixture::IdOf(2).ToBytes());
  made.set_name("t");
  f.broker_epoch = BrokerEpoch(40);
  f.image = std::make_shared<const metadata::Image>(metadata::Apply(
      *f.image, LogIndex(30),
      {metadata::Encode(made), metadata::Encode(metadata::PartitionRecordOf(
                                   {BrokerFixture::IdOf(2), PartitionIndex(0)}, f.Led(1)))}));
  f.Start(40);
  f.Run(absl::Seconds(1));
  const api::ProducePartitionResult result = f.Produce("t", MakeBatch(1));
  EXPECT_TRUE(result.outcome.ok()) << result.outcome.message;
  EXPECT_EQ(result.base_offset, Offset(0)) << "nothing of the old topic is left";
}

}  // namespace
}  // namespace millrace::broker
