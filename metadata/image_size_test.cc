// What an image costs in memory; that a change costs a path and not a copy shows in the time of the
// test, which makes ten thousand of them in an image of a hundred thousand partitions.

#include <cstddef>
#include <cstdlib>
#include <iostream>
#include <new>
#include <vector>

#include "gtest/gtest.h"
#include "metadata/test_image.h"

// Bytes asked for and not given back. Each block remembers its size in front of it; alignment
// beyond that of max_align_t is not used here.
static size_t used_bytes = 0;
constexpr size_t kFront = alignof(std::max_align_t);

void* operator new(size_t size) {
  auto* block = static_cast<char*>(std::malloc(size + kFront));
  if (block == nullptr) std::abort();
  *reinterpret_cast<size_t*>(block) = size;
  used_bytes += size;
  return block + kFront;
}
void operator delete(void* memory) noexcept {
  if (memory == nullptr) return;
  char* block = static_cast<char*>(memory) - kFront;
  used_bytes -= *reinterpret_cast<size_t*>(block);
  std::free(block);
}
void operator delete(void* memory, size_t) noexcept { operator delete(memory); }

namespace millrace::metadata {
namespace {

constexpr int kPartitions = 100'000;

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
  const size_t before = used_bytes;
  Image image;
  for (const std::vector<rsm::Record>& records : entries) image = Next(image, records);
  const size_t bytes = (used_bytes - before) / (size_t{1} * topics * partitions);
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
