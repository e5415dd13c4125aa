// Three whole brokers in one process: what replication promises, end to end. Rules of single
// replicas are in replica_test.cc, those of streams in replication/.
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "broker/testing/cluster_fixture.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace millrace::broker {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Lt;
using ::testing::Not;
using ::testing::SizeIs;

class ShardReplicationTest : public ::testing::TestWithParam<int> {
 protected:
  ClusterFixture cluster_{3, GetParam()};
};
INSTANTIATE_TEST_SUITE_P(Shards, ShardReplicationTest, ::testing::Values(1, 2));

TEST_P(ShardReplicationTest, AnAcknowledgedBatchIsOnAllThreeByteForByte) {
  cluster_.CreateTopic(3, {{"min.insync.replicas", "2"}});
  for (int partition = 0; partition < 3; ++partition) {
    for (int i = 0; i < 5; ++i) {
      const auto result = cluster_.Produce(MakeBatch(3, 100 + i), partition);
      ASSERT_TRUE(result.outcome.ok()) << result.outcome.message;
      EXPECT_EQ(result.base_offset, Offset(3 * i));
      EXPECT_EQ(result.level, api::DurabilityLevel::kDurable);
    }
    EXPECT_TRUE(cluster_.LogsAreEqual({1, 2, 3}, partition));
  }
  EXPECT_THAT(cluster_.Isr(), ElementsAre(1, 2, 3));
  EXPECT_EQ(cluster_.alterations, 0);
}

TEST_P(ShardReplicationTest, FollowersLearnTheHighWatermarkWithoutMoreBatches) {
  cluster_.CreateTopic();
  ASSERT_TRUE(cluster_.Produce(MakeBatch(4)).outcome.ok());
  cluster_.Run(absl::Milliseconds(5));
  EXPECT_TRUE(cluster_.HighWatermarkIs(4));
}

TEST_P(ShardReplicationTest, TheMetricIsTheHighWatermarkThatReadersSee) {
  const auto served = [&](int id) {
    double value = -1;
    for (const MetricSample& sample : cluster_.members.at(id)->metrics->Collect()) {
      if (sample.name == "millrace_log_high_watermark") value = sample.value;
    }
    return value;
  };
  cluster_.CreateTopic();
  for (int i = 1; i <= 2; ++i) {
    ASSERT_TRUE(cluster_.Produce(MakeBatch(4)).outcome.ok());
    cluster_.Run(absl::Milliseconds(5));
    ASSERT_TRUE(cluster_.HighWatermarkIs(4 * i));
    for (const int id : {1, 2, 3}) EXPECT_EQ(served(id), 4 * i) << "of broker " << id;
  }
  // Nothing is produced any more: nor does it stay behind then.
  for (const int id : {1, 2, 3}) {
    cluster_.Kill(id);
    cluster_.Start(id);
  }
  cluster_.Elect(1, {1, 2, 3});
  ASSERT_TRUE(cluster_.RunUntil([&] { return cluster_.HighWatermarkIs(8); }));
  for (const int id : {1, 2, 3}) EXPECT_EQ(served(id), 8) << "of broker " << id;
}

TEST_P(ShardReplicationTest, AnIdleClusterSendsNothing) {
  cluster_.CreateTopic(4);
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(cluster_.Produce(MakeBatch(), i).outcome.ok());
  cluster_.Run(absl::Seconds(1));
  const int down = cluster_.network.messages_down;
  const int up = cluster_.network.messages_up;
  cluster_.Run(absl::Minutes(1));
  EXPECT_EQ(cluster_.network.messages_down, down);
  EXPECT_EQ(cluster_.network.messages_up, up);
}

TEST_P(ShardReplicationTest, ANewLeaderGoesOnWhereTheOldOneStopped) {
  cluster_.CreateTopic();
  ASSERT_TRUE(cluster_.Produce(MakeBatch(3)).outcome.ok());
  cluster_.Elect(2, {1, 2, 3});
  const auto result = cluster_.ProduceUntilTaken(MakeBatch(2));
  EXPECT_EQ(result.base_offset, Offset(3));
  cluster_.Run(absl::Milliseconds(100));
  EXPECT_TRUE(cluster_.LogsAreEqual());
  EXPECT_TRUE(cluster_.HighWatermarkIs(5));
  EXPECT_TRUE(cluster_.StateOf(2).is_leader);
  EXPECT_FALSE(cluster_.StateOf(1).is_leader);
}

TEST_P(ShardReplicationTest, S14_TheSameLeaderInANewEpochIsAttachedToAnew) {
  cluster_.CreateTopic();
  ASSERT_TRUE(cluster_.Produce(MakeBatch(3)).outcome.ok());
  cluster_.Elect(1, {1, 2, 3});
  EXPECT_EQ(cluster_.ProduceUntilTaken(MakeBatch(2)).base_offset, Offset(3));
  EXPECT_TRUE(cluster_.LogsAreEqual());
}

TEST_P(ShardReplicationTest, AnEmptyFollowerCatchesUpAndJoinsAgain) {
  cluster_.CreateTopic(1, {{"min.insync.replicas", "2"}});
  cluster_.Kill(3);
  cluster_.Elect(1, {1, 2});
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(cluster_.ProduceUntilTaken(MakeBatch(10, 5000)).outcome.ok());
  }
  cluster_.Wipe(3);
  cluster_.Start(3);
  EXPECT_TRUE(cluster_.RunUntil([&] { return cluster_.Isr().size() == 3; }));
  cluster_.Run(absl::Milliseconds(100));
  EXPECT_TRUE(cluster_.LogsAreEqual());
  EXPECT_TRUE(cluster_.HighWatermarkIs(500));
  ASSERT_TRUE(cluster_.Produce(MakeBatch()).outcome.ok());
  EXPECT_TRUE(cluster_.LogsAreEqual());
}

TEST_P(ShardReplicationTest, AStalledFollowerLeavesTheInSyncSetAndComesBack) {
  cluster_.CreateTopic(1, {{"min.insync.replicas", "2"}});
  ASSERT_TRUE(cluster_.Produce(MakeBatch()).outcome.ok());
  cluster_.network.SetDeaf(NodeId(3), true);
  std::optional<api::ProducePartitionResult> result;
  cluster_.SendProduce(MakeBatch(), &result);
  cluster_.Run(absl::Seconds(1));
  EXPECT_FALSE(result.has_value());
  EXPECT_TRUE(cluster_.RunUntil([&] { return result.has_value(); }));
  EXPECT_TRUE(result->outcome.ok());
  EXPECT_THAT(cluster_.Isr(), ElementsAre(1, 2));
  cluster_.network.SetDeaf(NodeId(3), false);
  EXPECT_TRUE(cluster_.RunUntil([&] { return cluster_.Isr().size() == 3; }));
  cluster_.Run(absl::Milliseconds(100));
  EXPECT_TRUE(cluster_.LogsAreEqual());
}

TEST_P(ShardReplicationTest, ALeaderThatWasKilledFollowsTheNextOne) {
  cluster_.CreateTopic(1, {{"min.insync.replicas", "2"}});
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(cluster_.Produce(MakeBatch(2)).outcome.ok());
  // What only the leader has is not acknowledged, and goes.
  cluster_.network.SetDeaf(NodeId(2), true);
  cluster_.network.SetDeaf(NodeId(3), true);
  std::optional<api::ProducePartitionResult> lost;
  cluster_.SendProduce(MakeBatch(7), &lost);
  cluster_.Run(absl::Milliseconds(100));
  EXPECT_FALSE(lost.has_value());
  cluster_.Kill(1);
  cluster_.network.SetDeaf(NodeId(2), false);
  cluster_.network.SetDeaf(NodeId(3), false);
  cluster_.Elect(2, {2, 3});
  // The messages on their way may have arrived after all: the next leader has them or not.
  ASSERT_TRUE(cluster_.ProduceUntilTaken(MakeBatch(3)).outcome.ok());
  cluster_.Start(1);
  EXPECT_TRUE(cluster_.RunUntil([&] { return cluster_.Isr().size() == 3; }));
  cluster_.Run(absl::Milliseconds(100));
  EXPECT_TRUE(cluster_.LogsAreEqual());
}

TEST_P(ShardReplicationTest, BrokenStreamsAreOpenedAgain) {
  cluster_.CreateTopic(2);
  ASSERT_TRUE(cluster_.Produce(MakeBatch()).outcome.ok());
  for (int i = 0; i < 5; ++i) {
    cluster_.network.BreakStreamsOf(NodeId(2));
    cluster_.network.BreakStreamsOf(NodeId(3));
    for (int partition = 0; partition < 2; ++partition) {
      ASSERT_TRUE(cluster_.Produce(MakeBatch(), partition).outcome.ok());
    }
  }
  EXPECT_TRUE(cluster_.LogsAreEqual());
  EXPECT_THAT(cluster_.Isr(), ElementsAre(1, 2, 3));
}

TEST_P(ShardReplicationTest, S37_AFailedDirectoryDetachesItsPartitionsAndNotTheStream) {
  ClusterFixture cluster(3, GetParam(), {"data", "more"});
  cluster.CreateTopic(6, {{"min.insync.replicas", "2"}});
  for (int i = 0; i < 6; ++i) ASSERT_TRUE(cluster.Produce(MakeBatch(), i).outcome.ok());
  sim::SimFileSystem& files = *cluster.members.at(3)->files;
  std::set<int> lost;
  for (int i = 0; i < 6; ++i) {
    if (*files.Exists(absl::StrCat("more/t-", i))) lost.insert(i);
  }
  ASSERT_THAT(lost, AllOf(Not(IsEmpty()), SizeIs(Lt(6))));
  const int opened = cluster.network.opened;
  files.SetFaults([](const sim::SimCall& call) -> std::optional<sim::SimFault> {
    if (!call.mutating() || !absl::StartsWith(call.path, "more/")) return std::nullopt;
    return sim::SimFault::kIoError;
  });
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 6; ++i) ASSERT_TRUE(cluster.Produce(MakeBatch(), i).outcome.ok());
  }
  for (int i = 0; i < 6; ++i) {
    const std::vector<int> left = lost.contains(i) ? std::vector{1, 2} : std::vector{1, 2, 3};
    EXPECT_EQ(cluster.Isr(i), left) << i;
  }
  EXPECT_EQ(cluster.network.opened, opened);
}

TEST_P(ShardReplicationTest, S15_WithoutAControllerNothingIsAcknowledgedByFewer) {
  cluster_.CreateTopic(1, {{"min.insync.replicas", "2"}});
  cluster_.controller_is_away = true;
  cluster_.network.SetDeaf(NodeId(3), true);
  std::optional<api::ProducePartitionResult> result;
  cluster_.SendProduce(MakeBatch(), &result, 0, absl::Minutes(1));
  cluster_.Run(absl::Seconds(20));
  EXPECT_FALSE(result.has_value());
  EXPECT_GT(cluster_.alterations, 0);
  cluster_.controller_is_away = false;
  EXPECT_TRUE(cluster_.RunUntil([&] { return result.has_value(); }));
  EXPECT_TRUE(result->outcome.ok());
  EXPECT_THAT(cluster_.Isr(), ElementsAre(1, 2));
}

}  // namespace
}  // namespace millrace::broker
