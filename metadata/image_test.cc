#include "metadata/image.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "metadata/test_image.h"

namespace millrace::metadata {
namespace {

using ::testing::ElementsAre;

TEST(ImageTest, TopicsAreFoundByNameAndByIdAndComeInOrder) {
  const Image image = Next(TestImage(), {TopicMade(2, "a"), TopicMade(3, "z")});
  EXPECT_EQ(image.FindTopic("a")->id, TestTopicId(2));
  EXPECT_EQ(image.FindTopic(TestTopicId(3))->name, "z");
  EXPECT_EQ(image.FindTopic("nope"), nullptr);
  std::vector<std::string> names;
  for (const TopicImage* topic : image.TopicsByName()) names.push_back(topic->name);
  EXPECT_THAT(names, ElementsAre("a", "t", "z"));
}

TEST(ImageTest, EmptyImageAnswersEverythingWithNothing) {
  const Image image;
  EXPECT_TRUE(image.cluster_id().is_zero());
  EXPECT_EQ(image.FindBroker(NodeId(1)), nullptr);
  EXPECT_EQ(image.FindPartition({TestTopicId(1), PartitionIndex(0)}), nullptr);
  EXPECT_TRUE(image.ConfigsOf(ConfigOwner::AllBrokers()).empty());
}

TEST(ImageTest, PartitionTellsItsMembers) {
  PartitionImage partition = TestPartition();
  partition.isr = {NodeId(1)};
  partition.elr = {NodeId(2)};
  EXPECT_TRUE(partition.IsReplica(NodeId(3)));
  EXPECT_FALSE(partition.IsReplica(NodeId(4)));
  EXPECT_TRUE(partition.InIsr(NodeId(1)));
  EXPECT_TRUE(partition.InElr(NodeId(2)));
  EXPECT_EQ(partition.DirectoryOf(NodeId(3)), TestDirectory(3));
  EXPECT_TRUE(partition.DirectoryOf(NodeId(4)).is_zero());
}

TEST(ImageTest, KIP455_ReassignedPartitionTellsWhoComesAndWhoLeaves) {
  const PartitionImage partition = ReassignedPartition();
  EXPECT_TRUE(partition.IsReassigned());
  EXPECT_TRUE(partition.IsAdding(NodeId(4)));
  EXPECT_FALSE(partition.IsAdding(NodeId(1)));
  EXPECT_THAT(partition.Removing(), ElementsAre(NodeId(1)));
  EXPECT_EQ(partition.replication_factor(), 3);
  EXPECT_FALSE(TestPartition().IsReassigned());
  EXPECT_TRUE(TestPartition().Removing().empty());
}

TEST(ImageTest, BrokerTellsListenersAndDirectories) {
  const Image image = TestImage();
  const BrokerImage& broker = *image.FindBroker(NodeId(1));
  EXPECT_EQ(broker.FindListener("PLAINTEXT")->ToString(), "PLAINTEXT://localhost:9092");
  EXPECT_EQ(broker.FindListener("TLS"), nullptr);
  EXPECT_EQ(broker.ListenerFor("PLAINTEXT"), broker.FindListener("PLAINTEXT"));
  EXPECT_EQ(broker.ListenerFor("TLS"), broker.FindListener("PLAINTEXT"));
  EXPECT_EQ(BrokerImage().ListenerFor("TLS"), nullptr);
  EXPECT_NE(broker.FindLogDir(TestDirectory(1)), nullptr);
  EXPECT_EQ(broker.FindLogDir(TestDirectory(2)), nullptr);
}

TEST(ImageTest, AListenersIpv6AddressHasBrackets) {
  const Listener listener = {"PLAINTEXT", "::1", 9092};
  EXPECT_EQ(listener.address(), "[::1]:9092");
  EXPECT_EQ(listener.ToString(), "PLAINTEXT://[::1]:9092");
  EXPECT_EQ((Listener{"A", "h", 1}).address(), "h:1");
}

TEST(ImageTest, PartitionImageIsSmall) {
  // With its key and its share of the tree the whole stays under 600 bytes: image_size_test.
  EXPECT_LE(sizeof(PartitionImage), 232u);
}

TEST(ImageTest, PartitionsComeInOrderOfIndex) {
  std::vector<rsm::Record> records;
  for (int i = 99; i >= 2; --i) records.push_back(PartitionMade(1, i));
  const Image image = Next(TestImage(), records);
  int next = 0;
  image.FindTopic("t")->ForEachPartition(
      [&](PartitionIndex index, const PartitionImage&) { EXPECT_EQ(index.value(), next++); });
  EXPECT_EQ(next, 100);
}

}  // namespace
}  // namespace millrace::metadata
