#include "broker/fetch_call.h"

#include <map>
#include <optional>
#include <string>
#include <utility>

#include "broker/testing/broker_fixture.h"

namespace millrace::broker {
namespace {

using ::testing::IsEmpty;

TEST(FetchCallTest, ALongPollIsWokenByTheAcknowledgement) {
  for (const int shards : {1, 3}) {
    BrokerFixture f(shards);
    f.Start();
    f.CreateTopic("t", 3);
    api::FetchRequest request;
    for (int i = 0; i < 3; ++i)
      request.partitions.push_back({.name = {"t", {}, PartitionIndex(i)}});
    request.max_wait = absl::Seconds(60);
    std::optional<api::FetchResponse> response;
    f.SendFetch(request, &response);
    f.Run(absl::Seconds(1));
    EXPECT_FALSE(response.has_value());
    const MonotonicTime before = f.clock.Now();
    f.Produce("t", MakeBatch(), 2);
    ASSERT_TRUE(f.loop.RunUntil([&] { return response.has_value(); }, absl::Seconds(1)));
    EXPECT_LT(f.clock.Now() - before, absl::Milliseconds(100));
    EXPECT_EQ(response->partitions[2].high_watermark, Offset(1));
  }
}

TEST(FetchCallTest, ALongPollEndsEmptyAfterMaxWait) {
  BrokerFixture f;
  f.Start();
  f.CreateTopic("t");
  api::FetchRequest request = BrokerFixture::FetchOf("t", 0);
  request.max_wait = absl::Milliseconds(500);
  const MonotonicTime before = f.clock.Now();
  const api::FetchResponse response = f.Fetch(request);
  EXPECT_EQ(f.clock.Now() - before, absl::Milliseconds(500));
  EXPECT_TRUE(response.partitions[0].outcome.ok());
  EXPECT_THAT(response.partitions[0].batches, IsEmpty());
}

TEST(FetchCallTest, TheWaitOfALongPollIsTimedApartFromItsReads) {
  BrokerFixture f(2);
  f.Start();
  f.CreateTopic("t");
  api::FetchRequest request = BrokerFixture::FetchOf("t", 0);
  request.max_wait = absl::Milliseconds(500);
  f.Fetch(request);
  std::map<std::string, MetricSample> stages;
  for (MetricSample& sample : f.metrics.Collect()) {
    if (sample.name != "millrace_broker_fetch_stage_seconds") continue;
    stages[sample.labels.at(0).second] = std::move(sample);
  }
  const auto count = [&](const std::string& stage) {
    int64_t sum = 0;
    for (const int64_t each : stages.at(stage).counts) sum += each;
    return sum;
  };
  EXPECT_EQ(count("wait"), 1);
  EXPECT_NEAR(stages.at("wait").value, 0.5, 0.001);
  for (const std::string stage : {"queue", "read", "reply"}) {
    EXPECT_EQ(count(stage), 2) << stage << ": before the wait, and after it";
    EXPECT_LT(stages.at(stage).value, 0.001) << stage;
  }
}

TEST(FetchCallTest, MinBytesCountsOverAllPartitions) {
  BrokerFixture f(2);
  f.Start();
  f.CreateTopic("t", 2);
  const Bytes batch = MakeBatch(1, 100);
  api::FetchRequest request;
  for (int i = 0; i < 2; ++i) request.partitions.push_back({.name = {"t", {}, PartitionIndex(i)}});
  request.max_wait = absl::Seconds(60);
  request.bytes_min = static_cast<int32_t>(batch.size() * 3);
  std::optional<api::FetchResponse> response;
  f.SendFetch(request, &response);
  f.Produce("t", batch, 0);
  f.Produce("t", batch, 1);
  f.Run(absl::Seconds(1));
  EXPECT_FALSE(response.has_value());
  f.Produce("t", batch, 0);
  ASSERT_TRUE(f.loop.RunUntil([&] { return response.has_value(); }, absl::Seconds(1)));
}

TEST(FetchCallTest, OneThatWaitsForMemoryIsAnsweredInTimeToo) {
  for (const int shards : {1, 2}) {
    BrokerFixture f(shards);
    f.Start();
    f.CreateTopic("t");
    f.Produce("t", MakeBatch(1, 1000));
    const Reservation all = f.budget.ReserveAlways(f.budget.limit_bytes());
    // The one that may exceed the budget.
    const api::FetchResponse held = f.Fetch(BrokerFixture::FetchOf("t", 0));
    EXPECT_EQ(held.partitions[0].batches.size(), 1u);
    api::FetchRequest request = BrokerFixture::FetchOf("t", 0);
    request.max_wait = absl::Seconds(2);
    const MonotonicTime before = f.clock.Now();
    const api::FetchResponse response = f.Fetch(request);
    EXPECT_TRUE(response.partitions[0].outcome.ok());
    EXPECT_THAT(response.partitions[0].batches, IsEmpty());
    EXPECT_EQ(response.partitions[0].high_watermark, Offset(1));
    EXPECT_GE(f.clock.Now() - before, absl::Seconds(2));
    EXPECT_LT(f.clock.Now() - before, absl::Seconds(3));
  }
}

// It went round and round, for max_wait, on a thread that all clients of the shard share.
TEST(FetchCallTest, WhatLimitsKeepBelowMinBytesIsAnsweredAtOnce) {
  for (const int shards : {1, 2}) {
    BrokerFixture f(shards);
    f.Start();
    f.CreateTopic("t");
    const Bytes batch = MakeBatch(1, 1000);
    for (int i = 0; i < 3; ++i) f.Produce("t", batch);
    api::FetchRequest request = BrokerFixture::FetchOf("t", 0);
    request.max_wait = absl::Seconds(60);
    request.bytes_min = static_cast<int32_t>(batch.size() * 2);
    request.partitions[0].bytes_max = 1;
    const MonotonicTime before = f.clock.Now();
    const api::FetchResponse of_partition = f.Fetch(request);
    EXPECT_EQ(of_partition.partitions[0].batches.size(), 1u);
    request.partitions[0].bytes_max = 0;
    request.bytes_max = static_cast<int32_t>(batch.size() + 1);
    const api::FetchResponse of_all = f.Fetch(request);
    EXPECT_EQ(of_all.partitions[0].batches.size(), 1u);
    EXPECT_LT(f.clock.Now() - before, absl::Seconds(1));
  }
}

TEST(FetchCallTest, AFailedPartitionAnswersTheLongPollAtOnce) {
  BrokerFixture f;
  f.Start();
  f.CreateTopic("t");
  api::FetchRequest request = BrokerFixture::FetchOf("t", 7);
  request.max_wait = absl::Seconds(60);
  std::optional<api::FetchResponse> response;
  f.SendFetch(request, &response);
  ASSERT_TRUE(response.has_value());
  EXPECT_EQ(response->partitions[0].outcome.code, ErrorCode::kOffsetOutOfRange);
}

TEST(FetchCallTest, DeletingTheTopicAnswersTheLongPoll) {
  BrokerFixture f(2);
  f.Start();
  f.CreateTopic("t", 2);
  api::FetchRequest request = BrokerFixture::FetchOf("t", 0, 1);
  request.max_wait = absl::Seconds(60);
  std::optional<api::FetchResponse> response;
  f.SendFetch(request, &response);
  f.Run();
  f.RemoveTopic();
  ASSERT_TRUE(f.loop.RunUntil([&] { return response.has_value(); }, absl::Seconds(1)));
  EXPECT_EQ(response->partitions[0].outcome.code, ErrorCode::kUnknownTopicOrPartition);
}

TEST(FetchCallTest, AtLeastOneBatchIsReturnedWhateverTheLimits) {
  BrokerFixture f;
  f.Start();
  f.CreateTopic("t");
  f.Produce("t", MakeBatch(1, 5000));
  f.Produce("t", MakeBatch(1, 5000));
  api::FetchRequest request = BrokerFixture::FetchOf("t", 0);
  request.bytes_max = 1;
  request.partitions[0].bytes_max = 1;
  const api::FetchResponse response = f.Fetch(request);
  EXPECT_EQ(api::TotalBytes(response.partitions[0].batches), MakeBatch(1, 5000).size());
}

TEST(FetchCallTest, WithSmallLimitsEveryPartitionGetsItsTurn) {
  for (const int shards : {1, 2}) {
    BrokerFixture f(shards);
    f.Start();
    f.CreateTopic("t", 4);
    api::FetchRequest request;
    for (int i = 0; i < 4; ++i) {
      f.Produce("t", MakeBatch(1, 1000), i);
      request.partitions.push_back({.name = {"t", {}, PartitionIndex(i)}});
    }
    request.bytes_max = 100;
    std::map<int, int> served;
    for (int n = 0; n < 16; ++n) {
      const api::FetchResponse response = f.Fetch(request);
      for (int i = 0; i < 4; ++i) served[i] += response.partitions[i].batches.empty() ? 0 : 1;
    }
    for (int i = 0; i < 4; ++i) EXPECT_GE(served[i], 1) << "partition " << i;
  }
}

}  // namespace
}  // namespace millrace::broker
