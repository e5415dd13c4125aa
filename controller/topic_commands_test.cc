#include "controller/topic_commands.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "controller/limits.h"
#include "controller/testing/test_cluster.h"

namespace millrace::controller {
namespace {

using ::testing::ElementsAre;

class TopicCommandsTest : public ::testing::Test {
 protected:
  TopicCommandsTest() {
    cluster_.Start(1, 1);
    cluster_.Create("b", 2, 1, {{"retention.ms", "1000"}});
    cluster_.Create("a", 1, 1);
    cluster_.Create("__consumer_offsets", 1, 1);
  }
  TestCluster cluster_;
};

TEST_F(TopicCommandsTest, ListIsSortedAndLeavesOutInternalTopicsUnlessAskedFor) {
  v1::ListTopicsRequest request;
  auto reply = cluster_.Run(request);
  ASSERT_OK(reply);
  ASSERT_EQ(reply->topics_size(), 2);
  EXPECT_EQ(reply->topics(0).name(), "a");
  EXPECT_EQ(reply->topics(1).name(), "b");
  EXPECT_EQ(reply->topics(1).partitions(), 2);
  EXPECT_EQ(reply->topics(1).replication_factor(), 1);
  EXPECT_EQ(reply->metadata_index(), cluster_.index().value());
  request.set_include_internal(true);
  reply = cluster_.Run(request);
  ASSERT_OK(reply);
  EXPECT_TRUE(reply->topics(0).internal());
}

TEST_F(TopicCommandsTest, DescribeByNameByIdAndUnknown) {
  v1::DescribeTopicsRequest request;
  request.add_names("b");
  request.add_names("nope");
  request.add_topic_ids(cluster_.IdOf("a").ToBytes());
  request.add_topic_ids("short");
  request.add_topic_ids(Uuid(5, 5).ToBytes());
  auto reply = cluster_.Run(request);
  ASSERT_OK(reply);
  ASSERT_EQ(reply->topics_size(), 5);
  EXPECT_EQ(reply->topics(0).partitions_size(), 2);
  EXPECT_THAT(reply->topics(0).partitions(1).in_sync_replicas(), ElementsAre(1));
  EXPECT_EQ(reply->topics(1).code(), v1::ERROR_CODE_UNKNOWN_TOPIC_OR_PARTITION);
  EXPECT_EQ(reply->topics(2).name(), "a");
  EXPECT_EQ(reply->topics(3).code(), v1::ERROR_CODE_INVALID_REQUEST);
  EXPECT_EQ(reply->topics(4).code(), v1::ERROR_CODE_UNKNOWN_TOPIC_ID);
}

TEST_F(TopicCommandsTest, DescribeWithoutNamesIsEverythingAndTellsOwnConfigs) {
  auto reply = cluster_.Run(v1::DescribeTopicsRequest());
  ASSERT_OK(reply);
  ASSERT_EQ(reply->topics_size(), 3);
  bool found = false;
  for (const auto& config : reply->topics(2).configs()) {
    found = found || (config.name() == "retention.ms" && config.value() == "1000");
  }
  EXPECT_TRUE(found);
}

TEST_F(TopicCommandsTest, ATopicIsDescribedOnceInARequest) {
  v1::DescribeTopicsRequest request;
  for (int i = 0; i < 2; ++i) request.add_names("b");
  request.add_topic_ids(cluster_.IdOf("b").ToBytes());
  request.add_topic_ids(cluster_.IdOf("a").ToBytes());
  const auto reply = cluster_.Run(request);
  ASSERT_OK(reply);
  ASSERT_EQ(reply->topics_size(), 4);
  EXPECT_EQ(reply->topics(0).partitions_size(), 2);
  for (const int again : {1, 2}) {
    EXPECT_EQ(reply->topics(again).code(), v1::ERROR_CODE_INVALID_REQUEST) << again;
    EXPECT_EQ(reply->topics(again).message(), "topic 'b' is in this request twice") << again;
    EXPECT_EQ(reply->topics(again).partitions_size(), 0) << again;
  }
  EXPECT_EQ(reply->topics(3).partitions_size(), 1);
}

TEST_F(TopicCommandsTest, TheTopicsThatARequestNamesAreBounded) {
  v1::DescribeTopicsRequest describe;
  v1::DeleteTopicsRequest remove;
  const std::string id = cluster_.IdOf("a").ToBytes();
  for (int i = 0; i < kTopicsPerRequestMax; ++i) {
    describe.add_names(absl::StrCat("t", i));
    remove.add_names(absl::StrCat("t", i));
  }
  EXPECT_OK(cluster_.Run(describe));
  EXPECT_OK(cluster_.Run(remove));
  describe.add_topic_ids(id);
  remove.add_topic_ids(id);
  const auto refused =
      IsError(ErrorCode::kInvalidRequest, "a request may name 10000 topics, not 10001");
  EXPECT_THAT(cluster_.Run(describe), refused);
  EXPECT_THAT(cluster_.Run(remove), refused);
  EXPECT_NE(cluster_.image().FindTopic("a"), nullptr);
}

TEST_F(TopicCommandsTest, FencedBrokersReplicasAreOffline) {
  cluster_.Fence(1);
  v1::DescribeTopicsRequest request;
  request.add_names("a");
  auto reply = cluster_.Run(request);
  ASSERT_OK(reply);
  EXPECT_THAT(reply->topics(0).partitions(0).offline_replicas(), ElementsAre(1));
  EXPECT_EQ(reply->topics(0).partitions(0).leader_id(), -1);
}

TEST_F(TopicCommandsTest, DeletionTakesPartitionsAndConfigsAndFreesTheName) {
  const TopicId id = cluster_.IdOf("b");
  v1::DeleteTopicsRequest request;
  request.add_names("b");
  auto reply = cluster_.Run(request);
  ASSERT_OK(reply);
  EXPECT_EQ(reply->topics(0).topic_id(), id.ToBytes());
  EXPECT_EQ(cluster_.image().FindTopic("b"), nullptr);
  EXPECT_EQ(cluster_.image().FindPartition({id, PartitionIndex(0)}), nullptr);
  EXPECT_TRUE(cluster_.image().ConfigsOf(metadata::ConfigOwner::Topic(id)).empty());
  // KIP-516: the same name again is another topic.
  cluster_.Create("b", 1, 1);
  EXPECT_NE(cluster_.IdOf("b"), id);
}

TEST_F(TopicCommandsTest, DeletionNamesWhatIsUnknownOrRepeated) {
  v1::DeleteTopicsRequest request;
  request.add_names("nope");
  request.add_names("a");
  request.add_topic_ids(cluster_.IdOf("a").ToBytes());
  auto reply = cluster_.Run(request);
  ASSERT_OK(reply);
  EXPECT_EQ(reply->topics(0).code(), v1::ERROR_CODE_UNKNOWN_TOPIC_OR_PARTITION);
  EXPECT_EQ(reply->topics(1).code(), 0);
  EXPECT_EQ(reply->topics(2).code(), v1::ERROR_CODE_INVALID_REQUEST);
}

TEST_F(TopicCommandsTest, ValidateOnlyDeletesNothing) {
  v1::DeleteTopicsRequest request;
  request.add_names("a");
  request.set_validate_only(true);
  ASSERT_OK(cluster_.Run(request));
  EXPECT_NE(cluster_.image().FindTopic("a"), nullptr);
}

TEST(TopicCommandsDisabledTest, DeletionCanBeDisabled) {
  TestCluster cluster(ConfigValues{{"delete.topic.enable", "false"}});
  cluster.Start(1, 1);
  cluster.Create("a", 1, 1);
  v1::DeleteTopicsRequest request;
  request.add_names("a");
  auto reply = cluster.Run(request);
  ASSERT_OK(reply);
  EXPECT_EQ(reply->topics(0).code(), v1::ERROR_CODE_TOPIC_DELETION_DISABLED);
  EXPECT_NE(cluster.image().FindTopic("a"), nullptr);
}

}  // namespace
}  // namespace millrace::controller
