#include "client/topic_table.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::client {
namespace {

api::TopicLeaders TopicWith(std::vector<int> partitions) {
  api::TopicLeaders topic;
  topic.topic = "t";
  for (int partition : partitions) {
    api::PartitionLeader leader;
    leader.partition = PartitionIndex(partition);
    leader.leader_id = NodeId(partition + 10);
    topic.partitions.push_back(leader);
  }
  return topic;
}

TEST(TopicTable, PushReplacesTheTopicsItNames) {
  TopicTable table;
  api::WatchTopicsResponse push;
  push.metadata_index = LogIndex(5);
  push.topics = {TopicWith({0})};
  push.brokers = {{NodeId(10), "a:1", ""}};
  push.cluster_id = "c";
  table.Apply(push);
  table.Apply({.metadata_index = LogIndex(4), .topics = {TopicWith({1, 0})}});
  EXPECT_EQ(table.metadata_index, LogIndex(5));
  EXPECT_EQ(table.cluster_id, "c");
  ASSERT_NE(table.Find("t"), nullptr);
  EXPECT_EQ(table.Find("u"), nullptr);
  EXPECT_EQ(table.Find("t", PartitionIndex(1))->leader_id, NodeId(11));
  EXPECT_EQ(table.Find("t", PartitionIndex(0))->leader_id, NodeId(10));
  EXPECT_EQ(table.Find("t", PartitionIndex(2)), nullptr);
  EXPECT_EQ(table.Find("t", PartitionIndex(-1)), nullptr);
}

TEST(TopicTable, BrokersAreReplacedAsAWhole) {
  TopicTable table;
  table.Apply({.brokers = {{NodeId(1), "a:1", ""}, {NodeId(2), "b:1", ""}}});
  table.Apply({.topics = {TopicWith({0})}});
  EXPECT_EQ(table.AddressOf(NodeId(2)), "b:1");
  table.Apply({.brokers = {{NodeId(1), "a:2", ""}}});
  EXPECT_EQ(table.AddressOf(NodeId(1)), "a:2");
  EXPECT_EQ(table.AddressOf(NodeId(2)), "");
}

TEST(TopicTable, BoardTellsThatThereIsANewTable) {
  TopicBoard board;
  ASSERT_NE(board.Read(), nullptr);
  const uint64_t before = board.version();
  TopicTable table;
  table.cluster_id = "c";
  board.Publish(std::make_shared<const TopicTable>(table));
  EXPECT_NE(board.version(), before);
  EXPECT_EQ(board.Read()->cluster_id, "c");
}

}  // namespace
}  // namespace millrace::client
