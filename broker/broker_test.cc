#include "broker/broker.h"

#include <optional>
#include <vector>

#include "broker/testing/broker_fixture.h"

namespace millrace::broker {
namespace {

using ::testing::SizeIs;

TEST(BrokerTest, WhatIsAcknowledgedIsFetchedByteForByte) {
  BrokerFixture f;
  f.Start();
  f.CreateTopic("t");
  const api::ProducePartitionResult result = f.Produce("t", MakeBatch(3));
  ASSERT_TRUE(result.outcome.ok()) << result.outcome.message;
  EXPECT_EQ(result.base_offset, Offset(0));
  EXPECT_EQ(result.level, api::DurabilityLevel::kDurable);
  EXPECT_EQ(result.name.topic_id, BrokerFixture::IdOf(1));
  EXPECT_EQ(f.Produce("t", MakeBatch(2)).base_offset, Offset(3));
  const api::FetchResponse fetched = f.Fetch(BrokerFixture::FetchOf("t", 0));
  ASSERT_TRUE(fetched.partitions[0].outcome.ok());
  EXPECT_EQ(fetched.partitions[0].high_watermark, Offset(5));
  EXPECT_EQ(api::TotalBytes(fetched.partitions[0].batches),
            MakeBatch(3).size() + MakeBatch(2).size());
}

// The other direction, and answers, are the simulated replicas' (replica_world_test).
TEST(BrokerTest, ARaisedMinimumCountsWithTheInSyncSetThatWasDecidedByIt_KIP966) {
  BrokerFixture f;
  f.Start();
  f.CreateTopic("t", 1, 1, {{"min.insync.replicas", "1"}});
  const TopicPartition id{BrokerFixture::IdOf(1), PartitionIndex(0)};
  const metadata::PartitionImage before = *f.image->FindPartition(id);
  metadata::PartitionImage both = before;
  both.replicas.push_back({NodeId(2), {}});
  both.isr.push_back(NodeId(2));
  ++both.partition_epoch;
  f.Commit({metadata::Encode(metadata::PartitionChangeOf(id, before, both))});
  api::ProduceRequest request;
  request.timeout = absl::Seconds(2);
  request.partitions.push_back({.name = {"t", {}, PartitionIndex(0)}});
  request.partitions[0].batches = MakeBatch(1);
  std::optional<api::ProduceResponse> response;
  f.SendProduce(std::move(request), &response);
  f.Run(absl::Milliseconds(50));
  ASSERT_FALSE(response.has_value()) << "broker 2 has not said that it has it";
  metadata::PartitionImage alone = both;
  alone.isr = before.isr;
  alone.elr = {NodeId(2)};
  ++alone.partition_epoch;
  f.Commit({BrokerFixture::TopicConfig(1, "min.insync.replicas", "2"),
            metadata::Encode(metadata::PartitionChangeOf(id, both, alone))});
  f.Run(absl::Seconds(10));
  ASSERT_TRUE(response.has_value());
  EXPECT_EQ(response->partitions[0].outcome.code, ErrorCode::kNotEnoughReplicasAfterAppend)
      << response->partitions[0].outcome.message;
}

TEST(BrokerTest, ShutdownRefusesProduceAndAnswersWhatIsParked) {
  BrokerFixture f;
  f.Start();
  f.CreateTopic("t");
  api::FetchRequest request = BrokerFixture::FetchOf("t", 0);
  request.max_wait = absl::Minutes(2);
  std::optional<api::FetchResponse> fetched;
  f.SendFetch(request, &fetched);
  bool done = false;
  f.home->RunNow([&] {
    f.broker->Shutdown(absl::Seconds(2), [&](absl::Status status) {
      EXPECT_OK(status);
      done = true;
    });
  });
  f.Run(absl::ZeroDuration());
  EXPECT_EQ(f.Produce("t", MakeBatch()).outcome.code, ErrorCode::kShuttingDown);
  ASSERT_TRUE(f.loop.RunUntil([&] { return done && fetched.has_value(); }, absl::Seconds(5)));
}

TEST(BrokerTest, DescribesItsDirectories) {
  BrokerFixture f(2, {"a", "b"});
  f.Start();
  f.CreateTopic("t", 4);
  f.Produce("t", MakeBatch(3), 1);
  std::optional<std::vector<LogDirDescription>> dirs;
  f.home->RunNow([&] {
    f.broker->DescribeLogDirs([&](std::vector<LogDirDescription> d) { dirs = std::move(d); });
  });
  ASSERT_TRUE(f.loop.RunUntil([&] { return dirs.has_value(); }, absl::Seconds(1)));
  ASSERT_THAT(*dirs, SizeIs(2));
  EXPECT_THAT((*dirs)[0].replicas, SizeIs(2));
  EXPECT_THAT((*dirs)[1].replicas, SizeIs(2));
  int64_t records = 0;
  for (const LogDirDescription& dir : *dirs) {
    for (const ReplicaState& replica : dir.replicas) records += replica.end_offset.value();
  }
  EXPECT_EQ(records, 3);
  EXPECT_TRUE(f.broker->recovery_progress().done());
}

}  // namespace
}  // namespace millrace::broker
