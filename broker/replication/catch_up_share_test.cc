#include "broker/replication/catch_up_share.h"

#include <string>
#include <vector>

#include "broker/replication/shard_index.h"
#include "gtest/gtest.h"
#include "metadata/apply.h"
#include "metadata/image_records.h"
#include "metadata/record_types.h"

namespace millrace::broker {
namespace {

constexpr int kShards = 2;

// Topics of which broker 1 leads partitions, as the metadata log makes them; two shards follow it.
class CatchUpShareTest : public ::testing::Test {
 protected:
  static TopicId Topic(uint64_t number) { return TopicId(Uuid(9, number)); }

  void Apply(const std::vector<rsm::Record>& records) {
    const metadata::Image before = image_;
    image_ = metadata::Apply(before, before.index() + 1, records);
    const metadata::Delta delta = metadata::DeltaOf(before, image_, records);
    for (int shard = 0; shard < kShards; ++shard) {
      rates_[shard] = shares_[shard].OnImage(image_, delta);
    }
  }
  void Make(uint64_t topic, int partitions, int64_t throttle, int leader = 1) {
    metadata::records::TopicRecord made;
    made.set_topic_id(Topic(topic).ToBytes());
    made.set_name("t" + std::to_string(topic));
    std::vector<rsm::Record> records = {metadata::Encode(made)};
    for (int index = 0; index < partitions; ++index) {
      records.push_back(metadata::Encode(metadata::PartitionRecordOf(
          {Topic(topic), PartitionIndex(index)}, Partition(throttle, leader))));
    }
    Apply(records);
  }
  void Change(uint64_t topic, int index, int64_t throttle, int leader = 1) {
    const TopicPartition id{Topic(topic), PartitionIndex(index)};
    const metadata::PartitionImage& before = *image_.FindPartition(id);
    metadata::PartitionImage after = Partition(throttle, leader);
    after.partition_epoch = before.partition_epoch + 1;
    Apply({metadata::Encode(metadata::PartitionChangeOf(id, before, after))});
  }
  static metadata::PartitionImage Partition(int64_t throttle, int leader) {
    metadata::PartitionImage partition;
    partition.leader = NodeId(leader);
    partition.throttle_bytes_per_s = throttle;
    return partition;
  }

  metadata::Image image_;
  CatchUpShare shares_[kShards] = {{NodeId(1), 0, kShards}, {NodeId(1), 1, kShards}};
  int64_t rates_[kShards] = {0, 0};
};

TEST_F(CatchUpShareTest, WithoutThrottlesThereIsNoLimit) {
  Make(1, 4, 0);
  EXPECT_EQ(rates_[0], 0);
  EXPECT_EQ(rates_[1], 0);
}

TEST_F(CatchUpShareTest, ShardsDivideTheRateByTheirPartitions) {
  Make(1, 4, 1000);
  EXPECT_EQ(rates_[0], 500);
  EXPECT_EQ(rates_[1], 500);
  Change(1, 0, 0);
  const int of_first = ShardIndexOf({Topic(1), PartitionIndex(0)}, kShards);
  EXPECT_EQ(rates_[of_first], 333);
  EXPECT_EQ(rates_[1 - of_first], 666);
}

TEST_F(CatchUpShareTest, AShardThatHasAllOfThemHasTheWholeRate) {
  Make(1, 1, 1000);
  EXPECT_EQ(rates_[0] + rates_[1], 1000);
  EXPECT_EQ(rates_[0] * rates_[1], 0);
}

TEST_F(CatchUpShareTest, OfSeveralThrottlesTheLeastCountsUntilItIsGone) {
  Make(1, 4, 1000);
  Make(2, 4, 200);
  EXPECT_EQ(rates_[0], 100);
  for (int index = 0; index < 4; ++index) Change(2, index, 0);
  EXPECT_EQ(rates_[0], 500);
}

TEST_F(CatchUpShareTest, WhatOthersLeadDoesNotCount) {
  Make(1, 4, 1000);
  for (int index = 0; index < 4; ++index) Change(1, index, 1000, /*leader=*/2);
  EXPECT_EQ(rates_[0], 0);
  EXPECT_EQ(rates_[1], 0);
}

TEST_F(CatchUpShareTest, ADeletedTopicTakesItsThrottleAlong) {
  Make(1, 4, 1000);
  metadata::records::TopicRemovedRecord gone;
  gone.set_topic_id(Topic(1).ToBytes());
  Apply({metadata::Encode(gone)});
  EXPECT_EQ(rates_[0], 0);
  EXPECT_EQ(rates_[1], 0);
}

}  // namespace
}  // namespace millrace::broker
