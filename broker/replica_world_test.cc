// Replicas of one partition on three brokers, from seeds: what must hold is checked by
// testing/replica_world.h after every event.
#include "broker/testing/replica_world.h"

#include <cstdio>

#include "base/sim/sample_step.h"
#include "base/sim/seeds.h"
#include "gtest/gtest.h"

namespace millrace::broker {
namespace {

const uint64_t kSeeds = sim::SampledSeeds(3000);

TEST(ReplicaWorldTest, EverySeedKeepsWhatIsAcknowledgedAndComesIntoSync) {
  ReplicaWorld::Result sum;
  // A seed that finds a bug goes into the braces.
  for (const uint64_t seed : sim::SeedsToRun({}, {.count = kSeeds})) {
    const ReplicaWorld::Result result = ReplicaWorld::Run(seed);
    ASSERT_EQ(result.violation, "") << "seed " << seed;
    sum.events += result.events;
    sum.acknowledged += result.acknowledged;
    sum.elections += result.elections;
  }
  std::printf("%lld events, %d acknowledged, %d elections\n", static_cast<long long>(sum.events),
              sum.acknowledged, sum.elections);
  if (sim::OnlySeed().has_value()) return;
  EXPECT_GT(sum.acknowledged, static_cast<int>(kSeeds) * 5);
  EXPECT_GT(sum.elections, static_cast<int>(kSeeds));
}

TEST(ReplicaWorldTest, S33_ALeaderCutOffFromTheControllersSaysNothingThatIsUntrueForLong) {
  int served = 0;
  int refused = 0;
  for (const uint64_t seed : sim::SeedsToRun({}, {.count = kSeeds})) {
    const ReplicaWorld::Result result = ReplicaWorld::RunWithCutOffs(seed);
    ASSERT_EQ(result.violation, "") << "seed " << seed;
    served += result.served_cut_off;
    refused += result.refused_cut_off;
  }
  std::printf("without contact: %d served, %d refused\n", served, refused);
  if (sim::OnlySeed().has_value()) return;
  EXPECT_GT(served, static_cast<int>(kSeeds));
  EXPECT_GT(refused, static_cast<int>(kSeeds));
}

TEST(ReplicaWorldTest, NothingCommittedIsLostWhileTheMinimumIsRaisedAndLowered) {
  int acknowledged = 0;
  for (const uint64_t seed : sim::SeedsToRun({}, {.count = kSeeds})) {
    const ReplicaWorld::Result result = ReplicaWorld::RunWithMinChanges(seed);
    ASSERT_EQ(result.violation, "") << "seed " << seed;
    acknowledged += result.acknowledged;
  }
  if (sim::OnlySeed().has_value()) return;
  EXPECT_GT(acknowledged, static_cast<int>(kSeeds) * 5);
}

TEST(ReplicaWorldTest, WhatWasSaidToBeDeletedComesBackWithNoLeader_KIP107) {
  int deletions = 0;
  for (const uint64_t seed : sim::SeedsToRun({}, {.count = kSeeds})) {
    const ReplicaWorld::Result result = ReplicaWorld::RunWithDeletions(seed);
    ASSERT_EQ(result.violation, "") << "seed " << seed;
    deletions += result.deletions;
  }
  std::printf("%d deletions\n", deletions);
  if (sim::OnlySeed().has_value()) return;
  EXPECT_GT(deletions, static_cast<int>(kSeeds) / 2);
}

TEST(ReplicaWorldTest, ASeedGivesTheSameRun) {
  const ReplicaWorld::Result a = ReplicaWorld::Run(7);
  const ReplicaWorld::Result b = ReplicaWorld::Run(7);
  EXPECT_EQ(a.events, b.events);
  EXPECT_EQ(a.acknowledged, b.acknowledged);
}

}  // namespace
}  // namespace millrace::broker
