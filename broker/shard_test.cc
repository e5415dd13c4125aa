#include "broker/shard.h"

#include <vector>

#include "broker/testing/shard_fixture.h"

namespace millrace::broker {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST(ShardTest, AnUnacknowledgedProduceTimesOutByItsTimer) {
  ShardFixture f;
  f.Lead(1);
  f.logs[0]->set_auto_advance(false);
  std::vector<ProduceReply> replies;
  f.Produce(0, MakeBatch(), &replies);
  f.loop.RunFor(absl::Seconds(29));
  EXPECT_THAT(replies, IsEmpty());
  f.loop.RunFor(absl::Seconds(2));
  ASSERT_THAT(replies, SizeIs(1));
  EXPECT_EQ(replies[0].outcome.code, ErrorCode::kRequestTimedOut);
}

TEST(ShardTest, LogsAreHousekeptAtTheInterval) {
  ShardFixture f;
  f.Lead(2);
  f.loop.RunFor(absl::Seconds(35));
  EXPECT_EQ(f.logs[0]->housekeepings, 3);
  EXPECT_EQ(f.logs[1]->housekeepings, 3);
}

TEST(ShardTest, AFailedLogTakesOnlyItsReplicaOffline) {
  ShardFixture f;
  f.Lead(2);
  f.logs[0]->set_auto_advance(false);
  std::vector<ProduceReply> replies;
  f.Produce(0, MakeBatch(), &replies);
  f.executor->RunNow([&] { f.logs[0]->Fail(MakeError(ErrorCode::kStorageError, "gone")); });
  ASSERT_THAT(replies, SizeIs(1));
  EXPECT_EQ(replies[0].outcome.code, ErrorCode::kOutcomeUnknown);
  f.Produce(0, MakeBatch(), &replies);
  f.Produce(1, MakeBatch(), &replies);
  f.loop.RunFor(absl::Seconds(1));
  ASSERT_THAT(replies, SizeIs(3));
  EXPECT_EQ(replies[1].outcome.code, ErrorCode::kStorageError);
  EXPECT_TRUE(replies[2].outcome.ok());
}

TEST(ShardTest, ARemovedReplicaAnswersThoseWhoWait) {
  ShardFixture f;
  f.Lead(1);
  f.logs[0]->set_auto_advance(false);
  std::vector<ProduceReply> replies;
  f.Produce(0, MakeBatch(), &replies);
  bool woken = false;
  f.executor->RunNow([&] {
    f.shard->Park(ParkId(1), {{f.Partition(0), Offset(0)}}, [&] { woken = true; });
    f.shard->RemoveReplica(f.Partition(0), MakeError(ErrorCode::kUnknownTopicOrPartition, "gone"));
  });
  ASSERT_THAT(replies, SizeIs(1));
  EXPECT_EQ(replies[0].outcome.code, ErrorCode::kOutcomeUnknown);
  EXPECT_TRUE(woken);
  EXPECT_FALSE(f.shard->Find(f.Partition(0)).ok());
}

TEST(ShardTest, OnePartitionWakesAFetchThatIsParkedAtSeveralOnce) {
  ShardFixture f;
  f.Lead(3);
  int woken = 0;
  f.executor->RunNow([&] {
    f.shard->Park(ParkId(1), {{f.Partition(0), Offset(0)}, {f.Partition(1), Offset(0)}},
                  [&] { ++woken; });
  });
  std::vector<ProduceReply> replies;
  f.Produce(0, MakeBatch(), &replies);
  f.Produce(1, MakeBatch(), &replies);
  f.loop.RunFor(absl::Seconds(1));
  EXPECT_EQ(woken, 1);
  EXPECT_EQ((*f.shard->Find(f.Partition(1)))->fetch_waiters(), 0u);
}

TEST(ShardTest, AnswersMayAskAgain) {
  ShardFixture f;
  f.Lead(1);
  int answers = 0;
  std::function<void()> again = [&] {
    ShardProduce produce;
    produce.topic_partition = f.Partition(0);
    produce.event.batches = Bytes::Copy("garbage");
    f.shard->Produce(std::move(produce), [&](const ProduceReply&) {
      if (++answers < 100) again();
    });
  };
  f.executor->RunNow([&] { again(); });
  EXPECT_EQ(answers, 100);
}

TEST(ShardTest, ASecondDeleteRecordsIsAnsweredOnlyWhenTheFirstIsDurable) {
  ShardFixture f;
  f.Lead(1);
  std::vector<ProduceReply> replies;
  f.Produce(0, MakeBatch(5), &replies);
  f.loop.RunFor(absl::Seconds(1));
  std::vector<api::DeleteRecordsPartitionResult> deleted;
  f.executor->RunNow([&] {
    for (const int64_t before : {3, 3, 1}) {
      f.shard->DeleteRecords(
          ShardFixture::Partition(0), Offset(before), MonotonicTime::Never(),
          [&](api::DeleteRecordsPartitionResult result) { deleted.push_back(std::move(result)); });
    }
    EXPECT_THAT(deleted, IsEmpty()) << "nothing is durable yet";
  });
  f.loop.RunFor(absl::Seconds(1));
  ASSERT_THAT(deleted, SizeIs(3));
  for (const api::DeleteRecordsPartitionResult& result : deleted) {
    EXPECT_TRUE(result.outcome.ok());
    EXPECT_EQ(result.log_start_offset, Offset(3));
  }
}

TEST(ShardTest, MetricsOfPartitionsAreBoundedInNumber) {
  ShardFixture f;
  f.Lead(3);
  std::vector<ProduceReply> replies;
  for (int i = 0; i < 3; ++i) f.Produce(i, MakeBatch(5), &replies);
  f.loop.RunFor(absl::Seconds(1));
  const auto ends = [&] {
    std::vector<double> values;
    for (const MetricSample& sample : f.metrics.Collect()) {
      if (sample.name == "millrace_log_end_offset") values.push_back(sample.value);
      if (sample.name == "millrace_broker_replicas_without_metrics") {
        values.push_back(-sample.value);
      }
    }
    return values;
  };
  EXPECT_THAT(ends(), ::testing::ElementsAre(-1, 5, 5));
  f.executor->RunNow([&] {
    f.shard->RemoveReplica(f.Partition(0), MakeError(ErrorCode::kUnknownTopicOrPartition, "x"));
  });
  EXPECT_THAT(ends(), ::testing::ElementsAre(-1, 5));
  f.loop.RunFor(absl::Seconds(1));
  EXPECT_THAT(ends(), ::testing::ElementsAre(0, 5, 5)) << "the place that is free is given on";
}

TEST(ShardTest, ClosesAllLogs) {
  ShardFixture f;
  f.Lead(3);
  bool closed = false;
  f.executor->RunNow([&] {
    f.shard->CloseAll([&](const absl::Status& status) {
      EXPECT_OK(status);
      closed = true;
    });
  });
  f.loop.RunFor(absl::Seconds(1));
  EXPECT_TRUE(closed);
  EXPECT_THAT(f.shard->Describe(), IsEmpty());
}

}  // namespace
}  // namespace millrace::broker
