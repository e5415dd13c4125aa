#include "broker/broker.h"

#include <map>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "broker/broker_fixture.h"
#include "broker/topic_watch.h"

namespace millrace::broker {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST(Broker, WhatIsAcknowledgedIsFetchedByteForByte) {
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

TEST(Broker, UnknownNamesAreTold) {
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

TEST(Broker, BeforeTheFirstImageItSaysThatItStarts) {
  BrokerFixture f;
  f.Construct();
  ASSERT_OK(f.OpenLogDirs());
  EXPECT_EQ(f.Produce("t", MakeBatch()).outcome.code, ErrorCode::kBrokerNotAvailable);
}

TEST(Broker, PartitionsOfSeveralShardsAnswerOneRequest) {
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

// --- Long poll ---

TEST(Broker, ALongPollIsWokenByTheAcknowledgement) {
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

TEST(Broker, ALongPollEndsEmptyAfterMaxWait) {
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

TEST(Broker, MinBytesCountsOverAllPartitions) {
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

TEST(Broker, AFailedPartitionAnswersTheLongPollAtOnce) {
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

TEST(Broker, DeletingTheTopicAnswersTheLongPoll) {
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

// --- Byte limits ---

TEST(Broker, AtLeastOneBatchIsReturnedWhateverTheLimits) {
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

TEST(Broker, WithSmallLimitsEveryPartitionGetsItsTurn) {
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

// --- ListOffsets, DeleteRecords ---

TEST(Broker, OffsetsAreListedAndRecordsDeleted) {
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

// --- Metadata, directories, life ---

TEST(Broker, ConfigsTakeEffectWithoutARestart) {
  BrokerFixture f;
  f.Start();
  f.CreateTopic("t");
  EXPECT_TRUE(f.Produce("t", MakeBatch(1, 5000)).outcome.ok());
  f.Commit({BrokerFixture::TopicConfig(1, "max.message.bytes", "1000")});
  EXPECT_EQ(f.Produce("t", MakeBatch(1, 5000)).outcome.code, ErrorCode::kMessageTooLarge);
}

TEST(Broker, ADeletedTopicIsGoneFromDiskAndItsNameCanBeUsedAgain) {
  BrokerFixture f;
  f.Start();
  f.CreateTopic("t");
  f.Produce("t", MakeBatch(5));
  f.RemoveTopic();
  f.CreateTopic("t", 1, 2);
  f.Run(absl::Seconds(1));
  const api::ProducePartitionResult result = f.Produce("t", MakeBatch(1));
  EXPECT_TRUE(result.outcome.ok()) << result.outcome.message;
  EXPECT_EQ(result.base_offset, Offset(0)) << "nothing of the old topic is left";
}

TEST(Broker, NewReplicasGoWhereThereAreFewest) {
  BrokerFixture f(1, {"a", "b", "c"});
  std::map<DirectoryId, int> assigned;
  f.Construct();
  f.broker->SetOnDirectoryAssigned(
      [&](const TopicPartition&, DirectoryId directory) { ++assigned[directory]; });
  ASSERT_OK(f.OpenLogDirs());
  f.Commit({BrokerFixture::Registration()});
  f.CreateTopic("t", 6);
  EXPECT_THAT(assigned, SizeIs(3));
  for (const auto& [directory, count] : assigned) EXPECT_EQ(count, 2);
}

TEST(Broker, AFailedDirectoryTakesOnlyItsPartitionsOffline) {
  BrokerFixture f(1, {"a", "b"});
  f.Start();
  f.CreateTopic("t", 2);
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(f.Produce("t", MakeBatch(), i).outcome.ok());
  std::string failing;
  f.files->SetFaults([&](const sim::SimCall& call) -> std::optional<sim::SimFault> {
    if (absl::StrContains(call.path, "a/")) return sim::SimFault::kIoError;
    return std::nullopt;
  });
  int ok = 0;
  for (int i = 0; i < 2; ++i) ok += f.Produce("t", MakeBatch(), i).outcome.ok() ? 1 : 0;
  EXPECT_EQ(ok, 1);
  f.Run(absl::Seconds(1));
  ok = 0;
  for (int i = 0; i < 2; ++i) {
    const api::PartitionOutcome outcome = f.Produce("t", MakeBatch(), i).outcome;
    ok += outcome.ok() ? 1 : 0;
    EXPECT_TRUE(outcome.ok() || outcome.code == ErrorCode::kStorageError) << outcome.message;
  }
  EXPECT_EQ(ok, 1);
}

TEST(Broker, ALeadershipOfAnotherRegistrationIsNotTakenUp_S01) {
  BrokerFixture f;
  f.Start(10);
  f.CreateTopic("t");
  // The metadata goes on to another incarnation of this broker: this one is fenced.
  f.Commit({BrokerFixture::Registration()});
  f.CreateTopic("u", 1, 2);
  EXPECT_EQ(f.Produce("u", MakeBatch()).outcome.code, ErrorCode::kNotLeaderOrFollower);
  EXPECT_EQ(f.Produce("t", MakeBatch()).outcome.code, ErrorCode::kNotLeaderOrFollower);
}

TEST(Broker, ACleanShutdownIsFoundAndNothingIsLost) {
  BrokerFixture f;
  f.Start(10);
  f.CreateTopic("t");
  ASSERT_TRUE(f.Produce("t", MakeBatch(4)).outcome.ok());
  ASSERT_OK(f.Shutdown());
  f.Crash();
  f.Start(20);
  ASSERT_THAT(f.found, SizeIs(1));
  EXPECT_TRUE(f.found[0].state.clean);
  EXPECT_EQ(f.found[0].state.last_broker_epoch, BrokerEpoch(10));
  f.Elect(0, 2);
  EXPECT_EQ(f.Fetch(BrokerFixture::FetchOf("t", 0)).partitions[0].high_watermark, Offset(4));
  EXPECT_EQ(f.Produce("t", MakeBatch(1)).base_offset, Offset(4));
}

TEST(Broker, ShutdownRefusesProduceAndAnswersWhatIsParked) {
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

TEST(Broker, DescribesItsDirectories) {
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
