#include "broker/gather.h"

#include <map>
#include <optional>
#include <string>

#include "broker/testing/broker_fixture.h"

namespace millrace::broker {
namespace {

TEST(GatherTest, UnknownNamesAreTold) {
  BrokerFixture f;
  f.Start();
  f.CreateTopic("t", 2);
  EXPECT_EQ(f.Produce("nope", MakeBatch()).outcome.code, ErrorCode::kUnknownTopicOrPartition);
  EXPECT_EQ(f.Produce("t", MakeBatch(), 2).outcome.code, ErrorCode::kUnknownTopicOrPartition);
  api::FetchRequest request = BrokerFixture::FetchOf("", 0);
  request.partitions[0].name.topic_id = BrokerFixture::IdOf(9);
  EXPECT_EQ(f.Fetch(request).partitions[0].outcome.code, ErrorCode::kUnknownTopicId);
  request.partitions[0].name = {"other", BrokerFixture::IdOf(1), PartitionIndex(0)};
  EXPECT_EQ(f.Fetch(request).partitions[0].outcome.code, ErrorCode::kUnknownTopicId);
}

TEST(GatherTest, BeforeTheFirstImageItSaysThatItStarts) {
  BrokerFixture f;
  f.Construct();
  ASSERT_OK(f.OpenLogDirs());
  EXPECT_EQ(f.Produce("t", MakeBatch()).outcome.code, ErrorCode::kBrokerNotAvailable);
}

TEST(GatherTest, EachStageOfAProduceIsTimedOnce) {
  BrokerFixture f(2);
  f.Start();
  f.CreateTopic("t");
  ASSERT_TRUE(f.Produce("t", MakeBatch()).outcome.ok());
  std::map<std::string, int64_t> counts;
  for (const MetricSample& sample : f.metrics.Collect()) {
    if (sample.name != "millrace_broker_produce_stage_seconds") continue;
    for (const int64_t each : sample.counts) counts[sample.labels.at(0).second] += each;
  }
  EXPECT_EQ(counts, (std::map<std::string, int64_t>{
                        {"append", 1}, {"queue", 1}, {"replicate", 1}, {"reply", 1}, {"sync", 1}}));
}

TEST(GatherTest, PartitionsOfSeveralShardsAnswerOneRequest) {
  BrokerFixture f(3);
  f.Start();
  f.CreateTopic("t", 6);
  api::ProduceRequest request;
  for (int i = 0; i < 6; ++i) {
    request.partitions.push_back({.name = {"t", {}, PartitionIndex(i)}});
    request.partitions.back().batches = MakeBatch(i + 1);
  }
  std::optional<api::ProduceResponse> response;
  f.SendProduce(std::move(request), &response);
  ASSERT_TRUE(f.loop.RunUntil([&] { return response.has_value(); }, absl::Seconds(5)));
  api::FetchRequest fetch;
  for (int i = 0; i < 6; ++i) {
    EXPECT_TRUE(response->partitions[i].outcome.ok());
    fetch.partitions.push_back({.name = {"t", {}, PartitionIndex(i)}});
  }
  const api::FetchResponse fetched = f.Fetch(fetch);
  for (int i = 0; i < 6; ++i) {
    EXPECT_EQ(fetched.partitions[i].high_watermark, Offset(i + 1));
    EXPECT_EQ(fetched.partitions[i].name.partition, PartitionIndex(i));
  }
}

TEST(GatherTest, OffsetsAreListedAndRecordsDeleted) {
  BrokerFixture f;
  f.Start();
  f.CreateTopic("t");
  f.Produce("t", MakeBatch(1, 10, 1'767'225'600'000));
  f.Produce("t", MakeBatch(1, 10, 1'767'225'600'500));
  const auto list = [&](api::OffsetPosition position, int64_t timestamp = 0) {
    api::ListOffsetsRequest request;
    request.partitions.push_back({.name = {"t", {}, PartitionIndex(0)}});
    request.partitions[0].position = position;
    request.partitions[0].timestamp_ms = timestamp;
    std::optional<api::ListOffsetsResponse> response;
    f.OnShard([&] {
      f.broker->ListOffsets(request, f.caller,
                            [&](api::ListOffsetsResponse r) { response = std::move(r); });
    });
    CHECK(f.loop.RunUntil([&] { return response.has_value(); }, absl::Seconds(5)));
    return response->partitions.at(0);
  };
  EXPECT_EQ(list(api::OffsetPosition::kEarliest).offset, Offset(0));
  EXPECT_EQ(list(api::OffsetPosition::kLatest).offset, Offset(2));
  EXPECT_EQ(list(api::OffsetPosition::kTimestamp, 1'767'225'600'001).offset, Offset(1));
  EXPECT_EQ(list(api::OffsetPosition::kTimestamp, 1'767'225'700'000).offset, kNoOffset);
  EXPECT_EQ(list(api::OffsetPosition::kMaxTimestamp).timestamp_ms, 1'767'225'600'500);
  EXPECT_EQ(list(api::OffsetPosition::kUnspecified).outcome.code, ErrorCode::kInvalidRequest);

  api::DeleteRecordsRequest erase;
  erase.partitions.push_back({{"t", {}, PartitionIndex(0)}, Offset(1)});
  std::optional<api::DeleteRecordsResponse> erased;
  f.OnShard([&] {
    f.broker->DeleteRecords(erase, f.caller,
                            [&](api::DeleteRecordsResponse r) { erased = std::move(r); });
  });
  ASSERT_TRUE(f.loop.RunUntil([&] { return erased.has_value(); }, absl::Seconds(5)));
  EXPECT_TRUE(erased->partitions[0].outcome.ok()) << erased->partitions[0].outcome.message;
  EXPECT_EQ(erased->partitions[0].log_start_offset, Offset(1));
  EXPECT_EQ(list(api::OffsetPosition::kEarliest).offset, Offset(1));
  EXPECT_EQ(f.Fetch(BrokerFixture::FetchOf("t", 0)).partitions[0].outcome.code,
            ErrorCode::kOffsetOutOfRange);
}

TEST(GatherTest, ALeaderTellsWhereItsEpochsEnd) {
  BrokerFixture f;
  f.Start();
  f.CreateTopic("t");
  f.Produce("t", MakeBatch(3));
  f.Elect(0, 4);
  f.Produce("t", MakeBatch(2));
  api::OffsetForLeaderEpochRequest request;
  const api::PartitionName name{"t", {}, PartitionIndex(0)};
  request.partitions = {
      {.name = name, .leader_epoch = LeaderEpoch(3)},
      {.name = name, .leader_epoch = LeaderEpoch(4)},
      {.name = name, .current_leader_epoch = LeaderEpoch(1), .leader_epoch = LeaderEpoch(1)},
      {.name = name, .leader_epoch = LeaderEpoch(0)}};
  std::optional<api::OffsetForLeaderEpochResponse> response;
  f.OnShard([&] {
    f.broker->OffsetForLeaderEpoch(
        request, f.caller, [&](const api::OffsetForLeaderEpochResponse& r) { response = r; });
  });
  ASSERT_TRUE(f.loop.RunUntil([&] { return response.has_value(); }, absl::Seconds(1)));
  EXPECT_EQ(response->partitions[0].leader_epoch, LeaderEpoch(1));
  EXPECT_EQ(response->partitions[0].end_offset, Offset(3));
  EXPECT_EQ(response->partitions[1].leader_epoch, LeaderEpoch(4));
  EXPECT_EQ(response->partitions[1].end_offset, Offset(5));
  EXPECT_EQ(response->partitions[2].outcome.code, ErrorCode::kFencedLeaderEpoch);
  // What is left is of later epochs alone: it says where it begins.
  EXPECT_EQ(response->partitions[3].leader_epoch, kNoLeaderEpoch);
  EXPECT_EQ(response->partitions[3].end_offset, Offset(0));
}

}  // namespace
}  // namespace millrace::broker
