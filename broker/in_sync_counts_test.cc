#include "broker/in_sync_counts.h"

#include "gtest/gtest.h"

namespace millrace::broker {
namespace {

TopicPartition P(int index) { return {TopicId(Uuid(1, 1)), PartitionIndex(index)}; }

TEST(InSyncCountsTest, APartitionCountsAsItIsNow) {
  InSyncCounts counts;
  counts.Note(P(0), true, 3, 3, 2);
  EXPECT_EQ(counts.under_replicated() + counts.at_min() + counts.under_min(), 0u);
  counts.Note(P(0), true, 2, 3, 2);
  EXPECT_EQ(counts.under_replicated(), 1u);
  EXPECT_EQ(counts.at_min(), 1u);
  EXPECT_EQ(counts.under_min(), 0u);
  counts.Note(P(0), true, 1, 3, 2);
  EXPECT_EQ(counts.under_replicated(), 1u);
  EXPECT_EQ(counts.at_min(), 0u);
  EXPECT_EQ(counts.under_min(), 1u);
  counts.Note(P(1), true, 1, 3, 2);
  EXPECT_EQ(counts.under_min(), 2u);
  counts.Forget(P(1));
  // Another leads, and counts it.
  counts.Note(P(0), false, 1, 3, 2);
  EXPECT_EQ(counts.under_replicated() + counts.under_min(), 0u);
}

TEST(InSyncCountsTest, NoMoreThanThereAreIsAskedFor_S16) {
  InSyncCounts counts;
  counts.Note(P(0), true, 1, 1, 2);
  EXPECT_EQ(counts.at_min(), 1u);
  EXPECT_EQ(counts.under_min(), 0u);
}

}  // namespace
}  // namespace millrace::broker
