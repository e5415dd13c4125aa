#include "broker/topic_watch.h"

#include <memory>
#include <vector>

#include "broker/testing/broker_fixture.h"

namespace millrace::broker {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST(TopicWatchTest, TellsAllFirstThenChanges) {
  BrokerFixture f;
  f.Start();
  f.CreateTopic("t", 2, 1, {{"max.message.bytes", "5000"}});
  std::vector<api::WatchTopicsResponse> seen;
  std::unique_ptr<TopicWatch> watch;
  f.OnShard([&] {
    watch = f.broker->OpenTopicWatch(
        f.caller, {{"t", "later"}, LogIndex(0)},
        [&](api::WatchTopicsResponse response) { seen.push_back(std::move(response)); });
  });
  ASSERT_THAT(seen, SizeIs(1));
  ASSERT_THAT(seen[0].topics, SizeIs(2));
  EXPECT_EQ(seen[0].topics[0].message_bytes_max, 5000);
  ASSERT_THAT(seen[0].topics[0].partitions, SizeIs(2));
  EXPECT_EQ(seen[0].topics[0].partitions[1].leader_id, BrokerFixture::kSelf);
  EXPECT_EQ(seen[0].topics[1].code, ErrorCode::kUnknownTopicOrPartition);
  ASSERT_THAT(seen[0].brokers, SizeIs(1));
  EXPECT_EQ(seen[0].brokers[0].address, "localhost:9092");
  EXPECT_EQ(seen[0].metadata_index, f.image->index());

  f.CreateTopic("unasked", 1, 3);
  EXPECT_THAT(seen, SizeIs(1));
  f.CreateTopic("later", 1, 2);
  ASSERT_THAT(seen, SizeIs(2));
  ASSERT_THAT(seen[1].topics, SizeIs(1));
  EXPECT_EQ(seen[1].topics[0].topic, "later");
  EXPECT_THAT(seen[1].brokers, IsEmpty());
  f.RemoveTopic(1);
  ASSERT_THAT(seen, SizeIs(3));
  EXPECT_EQ(seen[2].topics[0].code, ErrorCode::kUnknownTopicOrPartition);
  f.OnShard([&] { watch.reset(); });
  f.RemoveTopic(2);
  EXPECT_THAT(seen, SizeIs(3));
}

TEST(TopicWatchTest, AnIpv6AddressHasBrackets) {
  metadata::BrokerImage broker;
  broker.id = NodeId(3);
  broker.incarnation = IncarnationId(Uuid(6, 6));
  broker.feature_level_min = broker.feature_level_max = 1;
  broker.listeners = {{"PUBLIC", "::1", 9092}};
  metadata::Image image = metadata::Apply(
      metadata::Image(), LogIndex(1), {metadata::Encode(metadata::RegistrationRecordOf(broker))});
  metadata::records::BrokerChangeRecord active;
  active.set_broker_id(3);
  active.set_broker_epoch(1);
  active.set_state(metadata::StateToRecord(metadata::BrokerState::kActive));
  image = metadata::Apply(image, LogIndex(2), {metadata::Encode(active)});
  const std::vector<api::BrokerAddress> addresses = AddressesOf(image, "PUBLIC");
  ASSERT_THAT(addresses, SizeIs(1));
  EXPECT_EQ(addresses[0].address, "[::1]:9092");
}

TEST(TopicWatchTest, WaitsForTheIndexThatTheClientHasSeen_S40) {
  BrokerFixture f;
  f.Start();
  const LogIndex wanted = f.image->index() + 2;
  std::vector<api::WatchTopicsResponse> seen;
  std::unique_ptr<TopicWatch> watch;
  f.OnShard([&] {
    watch = f.broker->OpenTopicWatch(
        f.caller, {{"t"}, wanted},
        [&](api::WatchTopicsResponse response) { seen.push_back(std::move(response)); });
  });
  f.CreateTopic("x", 1, 5);
  EXPECT_THAT(seen, IsEmpty());
  f.CreateTopic("t", 1, 6);
  ASSERT_THAT(seen, SizeIs(1));
  EXPECT_EQ(seen[0].metadata_index, wanted);
  f.OnShard([&] { watch.reset(); });
}

TEST(TopicWatchTest, SaysSoBeforeTheDeadlineWhenTheIndexIsNotReached) {
  BrokerFixture f;
  f.Start();
  for (const bool bounded : {true, false}) {
    const LogIndex wanted = f.image->index() + 100;
    std::vector<absl::Status> late;
    std::unique_ptr<TopicWatch> watch;
    f.OnShard([&] {
      watch = f.broker->OpenTopicWatch(
          f.caller, {{"t"}, wanted}, [&](const api::WatchTopicsResponse&) {},
          bounded ? f.clock.Now() + absl::Seconds(5) : MonotonicTime::Never(),
          [&](absl::Status status) { late.push_back(std::move(status)); });
    });
    f.Run(bounded ? absl::Milliseconds(4700) : absl::Seconds(29));
    EXPECT_THAT(late, IsEmpty());
    f.Run(bounded ? absl::Milliseconds(250) : absl::Seconds(2));
    ASSERT_THAT(late, SizeIs(1));
    EXPECT_THAT(late[0], IsError(ErrorCode::kRequestTimedOut, absl::StrCat(wanted.value())));
    f.OnShard([&] { watch.reset(); });
  }
}

TEST(TopicWatchTest, AWatchThatBeganIsNeverLate) {
  BrokerFixture f;
  f.Start();
  int late = 0;
  std::unique_ptr<TopicWatch> watch;
  f.OnShard([&] {
    watch = f.broker->OpenTopicWatch(
        f.caller, {{"t"}, f.image->index() + 1}, [&](const api::WatchTopicsResponse&) {},
        f.clock.Now() + absl::Seconds(5), [&](const absl::Status&) { ++late; });
  });
  f.CreateTopic("t", 1, 6);
  f.Run(absl::Seconds(60));
  EXPECT_EQ(late, 0);
  f.OnShard([&] { watch.reset(); });
}

}  // namespace
}  // namespace millrace::broker
