// What an image costs in memory; that a change costs a path and not a copy shows in the time of the
// test, which makes ten thousand of them in an image of a hundred thousand partitions.
#include <malloc.h>

#include <iostream>
#include <vector>

#include "gtest/gtest.h"
#include "metadata/test_image.h"

namespace millrace::metadata {
namespace {

constexpr int kPartitions = 100'000;

size_t UsedBytes() { return mallinfo2().uordblks; }

std::vector<rsm::Record> TopicOf(uint64_t n, int partitions) {
  std::vector<rsm::Record> records = {TopicMade(n, "topic-" + std::to_string(n))};
  for (int i = 0; i < partitions; ++i) records.push_back(PartitionMade(n, i));
  return records;
}

// Applies one change to each of many partitions, one entry each.
void ChangeMany(Image image, int topics, int partitions) {
  for (int i = 0; i < 10'000; ++i) {
    const uint64_t topic = static_cast<uint64_t>(i % topics);
    const int index = i % partitions;
    const PartitionImage before = *image.FindPartition({TestTopicId(topic), PartitionIndex(index)});
    PartitionImage after = before;
    ++after.leader_epoch;
    image = Next(image, {PartitionBecame(topic, index, before, after)});
  }
}

// Builds an image and changes it; bytes per partition.
size_t Measure(int topics, int partitions) {
  std::vector<std::vector<rsm::Record>> entries;
  for (int i = 0; i < topics; ++i) {
    entries.push_back(TopicOf(static_cast<uint64_t>(i), partitions));
  }
  const size_t before = UsedBytes();
  Image image;
  for (const std::vector<rsm::Record>& records : entries) image = Next(image, records);
  const size_t bytes = (UsedBytes() - before) / (size_t{1} * topics * partitions);
  std::cout << topics << " topics of " << partitions << " partitions: " << bytes
            << " bytes per partition\n";
  ChangeMany(image, topics, partitions);
  return bytes;
}

TEST(ImageSizeTest, PartitionOfALargeTopicTakesAtMost600Bytes) {
  EXPECT_LE(Measure(1, kPartitions), 600u);
}

TEST(ImageSizeTest, PartitionOfOneOfAThousandTopicsTakesAtMost600Bytes) {
  EXPECT_LE(Measure(1000, kPartitions / 1000), 600u);
}

TEST(ImageSizeTest, TopicOfOnePartitionTakesLittleMore) { EXPECT_LE(Measure(10'000, 1), 1200u); }

}  // namespace
}  // namespace millrace::metadata
