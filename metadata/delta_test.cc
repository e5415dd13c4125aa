#include "metadata/delta.h"

#include <utility>

#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "metadata/test_image.h"

namespace millrace::metadata {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Delta DeltaOfNext(const Image& before, const std::vector<rsm::Record>& records) {
  return DeltaOf(before, Next(before, records), records);
}

TEST(DeltaTest, RecordsTellWhatTheyTouch) {
  const ConfigOwner owner = ConfigOwner::Broker(NodeId(1));
  const Delta delta =
      DeltaOfNext(TestImage(), {Registered(2, 1), TopicMade(2, "u"), PartitionMade(2, 0),
                                Configured(owner, "a", "1"),
                                PartitionBecame(1, 1, TestPartition(), TestPartition())});
  EXPECT_EQ(delta.from, LogIndex(2));
  EXPECT_EQ(delta.to, LogIndex(3));
  EXPECT_THAT(delta.brokers_changed, ElementsAre(NodeId(2)));
  EXPECT_THAT(delta.topics_created, ElementsAre(TestTopicId(2)));
  EXPECT_THAT(delta.partitions_changed,
              ElementsAre(TopicPartition{TestTopicId(1), PartitionIndex(1)},
                          TopicPartition{TestTopicId(2), PartitionIndex(0)}));
  EXPECT_THAT(delta.configs_changed, ElementsAre(owner));
  EXPECT_FALSE(delta.empty());
}

TEST(DeltaTest, CordonedBrokersAreChangedAndRemovedOnesAreRemoved) {
  const Image before = TestImage();
  const std::vector<rsm::Record> cordon = {Cordoned(1, true), Cordoned(9, true)};
  EXPECT_EQ(DeltaOf(before, Next(before, cordon), cordon).brokers_changed,
            std::set<NodeId>{NodeId(1)});
  const std::vector<rsm::Record> removal = {
      BrokerGone(1, before.FindBroker(NodeId(1))->epoch.value())};
  EXPECT_EQ(DeltaOf(before, Next(before, removal), removal).brokers_removed,
            std::set<NodeId>{NodeId(1)});
}

TEST(DeltaTest, S20_OnlyARecordThatNamesTheIdIsARemoval) {
  const Image before = TestImage();
  const Delta removed = DeltaOfNext(before, {TopicGone(1)});
  EXPECT_THAT(removed.topics_removed, ElementsAre(RemovedTopic{TestTopicId(1), "t"}));
  EXPECT_THAT(removed.topics_absent, IsEmpty());
  const Delta absent = DeltaBetween(before, Next(before, {TopicGone(1)}));
  EXPECT_THAT(absent.topics_removed, IsEmpty());
  EXPECT_THAT(absent.topics_absent, ElementsAre(RemovedTopic{TestTopicId(1), "t"}));
}

TEST(DeltaTest, TopicMadeAndRemovedInOneEntryNeverWas) {
  const Delta delta =
      DeltaOfNext(TestImage(), {TopicMade(2, "u"), PartitionMade(2, 0), TopicGone(2)});
  EXPECT_TRUE(delta.empty());
}

TEST(DeltaTest, ComparisonOfImagesFindsWhatTheRecordsSaid) {
  const Image before = TestImage();
  const std::vector<rsm::Record> records = {
      Registered(2, 1), TopicMade(2, "u"), PartitionMade(2, 0),
      Unconfigured(ConfigOwner::Topic(TestTopicId(1)), "retention.ms"),
      PartitionBecame(1, 1, TestPartition(), TestPartition())};
  const Image after = Next(before, records);
  Delta found = DeltaBetween(before, after);
  EXPECT_TRUE(std::exchange(found.whole, false)) << "S-20";
  EXPECT_EQ(found, DeltaOf(before, after, records));
  EXPECT_TRUE(DeltaBetween(after, after).empty());
}

TEST(DeltaTest, WholeImageIsADeltaFromNothing) {
  const Image image = TestImage();
  const Delta delta = DeltaBetween(Image(), image);
  EXPECT_TRUE(delta.founded_or_feature_changed);
  EXPECT_EQ(delta.partitions_changed.size(), 2u);
  EXPECT_EQ(delta.brokers_changed.size(), 1u);
  EXPECT_EQ(delta.configs_changed.size(), 1u);
}

TEST(DeltaTest, S39_ForgottenRequestsAreInItThoughNoRecordNamesThem) {
  const Image before = Next(TestImage(), {Completed(1, 1)});
  const std::vector<rsm::Record> records = {Completed(2, 1, 1000 + 16 * 60'000)};
  const Image after = Next(before, records);
  const Delta delta = DeltaOf(before, after, records);
  EXPECT_EQ(delta.request_clients_changed, (std::set{TestClient(1), TestClient(2)}));
  EXPECT_EQ(delta.completed_requests_changed,
            (std::set<RequestKey>{{TestClient(1), 1}, {TestClient(2), 1}}));
  EXPECT_FALSE(delta.empty());
  Delta found = DeltaBetween(before, after);
  found.whole = false;
  EXPECT_EQ(found, delta);
}

TEST(DeltaTest, TwoChangesJoinedSayWhatTheyChangedTogether) {
  const Image first = TestImage();
  const std::vector<rsm::Record> a = {TopicMade(2, "u"), PartitionMade(2, 0), Registered(2, 1),
                                      TopicGone(1)};
  const Image second = Next(first, a);
  const std::vector<rsm::Record> b = {TopicGone(2), TopicMade(3, "w"), PartitionMade(3, 0)};
  const Image third = Next(second, b);
  const Delta joined = Joined(DeltaOf(first, second, a), DeltaOf(second, third, b));
  EXPECT_EQ(joined.from, first.index());
  EXPECT_EQ(joined.to, third.index());
  EXPECT_THAT(joined.topics_created, ElementsAre(TestTopicId(3)));
  EXPECT_THAT(joined.topics_removed,
              ElementsAre(RemovedTopic{TestTopicId(1), "t"}, RemovedTopic{TestTopicId(2), "u"}));
  EXPECT_THAT(joined.partitions_changed,
              ElementsAre(TopicPartition{TestTopicId(3), PartitionIndex(0)}));
  EXPECT_THAT(joined.brokers_changed, ElementsAre(NodeId(2)));
}

}  // namespace
}  // namespace millrace::metadata
