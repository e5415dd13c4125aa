#include "client/partitioner.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::client {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::UnorderedElementsAre;

// The vectors of Kafka's own UtilsTest.testMurmur2, as signed there.
TEST(Partitioner, Murmur2IsThatOfKafkasJavaClient) {
  EXPECT_EQ(static_cast<int32_t>(Murmur2("21")), -973932308);
  EXPECT_EQ(static_cast<int32_t>(Murmur2("foobar")), -790332482);
  EXPECT_EQ(static_cast<int32_t>(Murmur2("a-little-bit-long-string")), -985981536);
  EXPECT_EQ(static_cast<int32_t>(Murmur2("a-little-bit-longer-string")), -1486304829);
  EXPECT_EQ(static_cast<int32_t>(Murmur2("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8")),
            -58897971);
  EXPECT_EQ(static_cast<int32_t>(Murmur2("abc")), 479470107);
}

TEST(Partitioner, KeyChoosesByTheHashWithoutItsSign) {
  // -790332482 & 0x7fffffff = 1357151166.
  EXPECT_EQ(PartitionOfKey("foobar", 10), PartitionIndex(6));
  EXPECT_EQ(PartitionOfKey("abc", 10), PartitionIndex(7));
  EXPECT_EQ(PartitionOfKey("", 1), PartitionIndex(0));
}

std::vector<PartitionLoad> Loads(const std::vector<int64_t>& batches) {
  std::vector<PartitionLoad> loads;
  for (const int64_t count : batches) loads.push_back({.batches = count});
  return loads;
}

std::vector<int> Turns(PartitionTurns* turns, const std::vector<PartitionLoad>& loads, int count,
                       bool adaptive = true) {
  std::vector<int> order;
  for (int i = 0; i < count; ++i) order.push_back(turns->Next(loads, adaptive).value());
  return order;
}

TEST(PartitionTurns, EqualPartitionsTakeTurnsFromTheStart) {
  PartitionTurns turns(5);
  EXPECT_THAT(Turns(&turns, Loads({0, 0, 0}), 7), ElementsAre(2, 0, 1, 2, 0, 1, 2));
}

TEST(PartitionTurns, BusyPartitionsGetASmallerShareButSome) {
  PartitionTurns turns(0);
  // Weights 4, 1, 3.
  std::vector<int> count(3);
  for (const int partition : Turns(&turns, Loads({0, 3, 1}), 800)) {
    ++count[static_cast<size_t>(partition)];
  }
  EXPECT_THAT(count, ElementsAre(400, 100, 300));
}

// One batch comes per round; partitions 0 and 1 finish one every second round, 2 every tenth.
// Returns how many wait at the slow one in the end.
int64_t SlowQueueAfter(int rounds, bool adaptive) {
  PartitionTurns turns(0);
  std::vector<PartitionLoad> loads = Loads({0, 0, 0});
  const int every[] = {2, 2, 10};
  for (int round = 1; round <= rounds; ++round) {
    ++loads[static_cast<size_t>(turns.Next(loads, adaptive).value())].batches;
    for (size_t i = 0; i < loads.size(); ++i) {
      if (round % every[i] == 0 && loads[i].batches > 0) --loads[i].batches;
    }
  }
  return loads[2].batches;
}

TEST(PartitionTurns, ASlowPartitionDoesNotCollectTheRecords) {
  EXPECT_GT(SlowQueueAfter(10'000, /*adaptive=*/false), 2000);
  EXPECT_LT(SlowQueueAfter(10'000, /*adaptive=*/true), 20);
}

TEST(PartitionTurns, NotAdaptiveMeansEqualShares) {
  PartitionTurns turns(0);
  EXPECT_THAT(Turns(&turns, Loads({0, 9}), 4, /*adaptive=*/false), ElementsAre(0, 1, 0, 1));
}

TEST(PartitionTurns, WhatNobodyLeadsIsPassedOverUnlessNobodyLeadsAny) {
  PartitionTurns turns(0);
  std::vector<PartitionLoad> loads = Loads({0, 0, 0});
  loads[1].available = false;
  EXPECT_THAT(Turns(&turns, loads, 4), ElementsAre(0, 2, 0, 2));
  for (PartitionLoad& load : loads) load.available = false;
  EXPECT_THAT(Turns(&turns, loads, 30), Contains(1));
}

TEST(PartitionTurns, ATopicThatGrowsGetsRecordsEverywhere) {
  PartitionTurns turns(0);
  EXPECT_THAT(Turns(&turns, Loads({0, 0}), 3), ElementsAre(0, 1, 0));
  EXPECT_THAT(Turns(&turns, Loads({0, 0, 0}), 3), UnorderedElementsAre(0, 1, 2));
}

TEST(StickyPartition, StaysForABatchsWorthOfBytesAndLeavesAtABatchsEnd) {
  StickyPartition sticky(1);
  EXPECT_TRUE(sticky.none());
  sticky.Switch(Loads({0, 0, 0}), true);
  EXPECT_EQ(sticky.Current(), PartitionIndex(1));
  // Small batches that left at once do not end its turn: shares are by bytes.
  EXPECT_FALSE(sticky.Added(50, /*at_batch_end=*/true, 100));
  EXPECT_FALSE(sticky.Added(60, /*at_batch_end=*/false, 100));
  EXPECT_TRUE(sticky.Added(10, /*at_batch_end=*/true, 100));
  sticky.Switch(Loads({0, 0, 0}), true);
  EXPECT_EQ(sticky.Current(), PartitionIndex(2));
  EXPECT_FALSE(sticky.Added(99, /*at_batch_end=*/true, 100));
}

TEST(StickyPartition, TwiceABatchsBytesEndATurnInAnyCase) {
  StickyPartition sticky(0);
  sticky.Switch(Loads({0, 0}), true);
  EXPECT_FALSE(sticky.Added(199, /*at_batch_end=*/false, 100));
  EXPECT_TRUE(sticky.Added(1, /*at_batch_end=*/false, 100));
}

}  // namespace
}  // namespace millrace::client
