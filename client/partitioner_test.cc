#include "client/partitioner.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::client {
namespace {

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

TEST(Partitioner, StickyPartitionStaysUntilItsBatchIsClosedAndThenTakesTurns) {
  StickyPartition sticky(5);
  EXPECT_EQ(sticky.Current(3), PartitionIndex(2));
  EXPECT_EQ(sticky.Current(3), PartitionIndex(2));
  sticky.Advance();
  EXPECT_EQ(sticky.Current(3), PartitionIndex(0));
}

}  // namespace
}  // namespace millrace::client
