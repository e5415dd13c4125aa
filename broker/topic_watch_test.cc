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

}  // namespace
}  // namespace millrace::broker
