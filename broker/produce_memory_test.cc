// The memory of a produce on its way through a whole broker: it is never copied, counts against the
// budget until it is written and no longer, and a flood waits instead of being refused.
#include <cstring>
#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "broker/produce_stream.h"
#include "broker/testing/broker_fixture.h"

namespace millrace::broker {
namespace {

using ::testing::SizeIs;

// A batch in memory of its own that holds its share of the budget, as rpc and the codec make it.
Bytes Received(const Bytes& batch, Reservation reservation) {
  Buffer memory(batch.size(), std::move(reservation));
  std::memcpy(memory.data(), batch.data(), batch.size());
  return std::move(memory).Freeze();
}

double MetricOf(const MetricRegistry& metrics, const std::string& name) {
  for (const MetricSample& sample : metrics.Collect()) {
    if (sample.name == name) return sample.value;
  }
  ADD_FAILURE() << "no metric " << name;
  return -1;
}

TEST(ProduceMemoryTest, WhatCameInIsWhatReadersSee) {
  for (const int shards : {1, 2}) {
    BrokerFixture f(shards);
    f.Start();
    f.CreateTopic("t", 4);
    MemoryBudget inbound(1 << 20);
    for (int partition = 0; partition < 4; ++partition) {
      const Bytes made = MakeBatch(3, 1000);
      Bytes batch = Received(made, inbound.ReserveAlways(static_cast<int64_t>(made.size())));
      const char* const where = batch.data();
      api::ProduceRequest request;
      request.partitions.push_back({.name = {"t", {}, PartitionIndex(partition)}});
      request.partitions[0].batches = std::move(batch);
      std::optional<api::ProduceResponse> response;
      f.SendProduce(std::move(request), &response);
      EXPECT_GT(inbound.used_bytes(), 0);
      ASSERT_TRUE(f.loop.RunUntil([&] { return response.has_value(); }, absl::Minutes(1)));
      EXPECT_TRUE(response->partitions[0].outcome.ok());
      // Written: the tail cache keeps the memory, and the budget has it back.
      EXPECT_EQ(inbound.used_bytes(), 0);
      const api::FetchResponse fetched = f.Fetch(f.FetchOf("t", 0, partition));
      ASSERT_THAT(fetched.partitions[0].batches, SizeIs(1));
      EXPECT_EQ(fetched.partitions[0].batches[0].data(), where) << "the same memory";
    }
    EXPECT_EQ(MetricOf(f.metrics, "millrace_broker_produce_copied_bytes_total"), 0);
  }
}

TEST(ProduceMemoryTest, WhatIsRefusedGivesItsMemoryBack) {
  BrokerFixture f;
  f.Start();
  f.CreateTopic("t");
  MemoryBudget inbound(1 << 20);
  api::ProduceRequest request;
  for (const char* topic : {"t", "nope"}) {
    api::ProducePartition& partition = request.partitions.emplace_back();
    partition.name.topic = topic;
    partition.batches = Received(Bytes::Copy("not a batch"), inbound.ReserveAlways(11));
  }
  std::optional<api::ProduceResponse> response;
  f.SendProduce(std::move(request), &response);
  ASSERT_TRUE(f.loop.RunUntil([&] { return response.has_value(); }, absl::Minutes(1)));
  EXPECT_EQ(inbound.used_bytes(), 0);
}

TEST(ProduceMemoryTest, AFloodPastTheBudgetWaitsAndIsWhollyAcknowledged) {
  BrokerFixture f(2);
  // Smaller than what the flood holds at once: the directory's own bound must not be met.
  f.options.log_dir.staged_bytes_max = 1000;
  f.Start();
  f.CreateTopic("t", 4, 1, {{"max.message.bytes", "4000000"}});
  MemoryBudget inbound(8 << 20);
  int acknowledged = 0;
  std::vector<std::string> refused;
  std::unique_ptr<ProduceStream> stream;
  f.OnShard([&] {
    stream = f.broker->OpenProduceStream(f.caller, [&](api::ProduceStreamResponse response) {
      for (const api::ProducePartitionResult& result : response.partitions) {
        ++acknowledged;
        if (!result.outcome.ok()) refused.push_back(result.outcome.message);
      }
    });
  });
  const Bytes batch = MakeBatch(1, 1'000'000);
  constexpr int kProduces = 200;
  int64_t largest = 0;
  int waits = 0;
  for (int sent = 0; sent < kProduces;) {
    Reservation reservation;
    // What the edge does: it reads no further until the message fits.
    if (!inbound.TryReserve(static_cast<int64_t>(batch.size()), &reservation)) {
      ++waits;
      ASSERT_TRUE(
          f.loop.RunUntil([&] { return inbound.used_bytes() <= 7 << 20; }, absl::Minutes(1)));
      continue;
    }
    api::ProduceStreamRequest request;
    request.request_number = static_cast<uint64_t>(sent);
    request.request.partitions.push_back({.name = {"t", {}, PartitionIndex(sent % 4)}});
    request.request.partitions[0].batches = Received(batch, std::move(reservation));
    f.OnShard([&] { stream->Handle(std::move(request)); });
    largest = std::max(largest, inbound.used_bytes());
    ++sent;
  }
  ASSERT_TRUE(f.loop.RunUntil([&] { return acknowledged == kProduces; }, absl::Minutes(10)));
  EXPECT_THAT(refused, SizeIs(0));
  EXPECT_GT(waits, 0);
  EXPECT_LE(largest, 8 << 20);
  EXPECT_EQ(inbound.used_bytes(), 0) << "the tail caches are not in flight";
  f.OnShard([&] { stream.reset(); });
}

TEST(ProduceMemoryTest, AFailedDirectoryGivesTheMemoryBack) {
  BrokerFixture f;
  f.Start();
  f.CreateTopic("t");
  ASSERT_TRUE(f.Produce("t", MakeBatch()).outcome.ok());
  MemoryBudget inbound(1 << 20);
  f.files->FailSyncs(true);
  api::ProduceRequest request;
  request.partitions.push_back({.name = {"t", {}, PartitionIndex(0)}});
  const Bytes batch = MakeBatch(3, 200'000);
  request.partitions[0].batches = Received(batch, inbound.ReserveAlways(600'000));
  std::optional<api::ProduceResponse> response;
  f.SendProduce(std::move(request), &response);
  ASSERT_TRUE(f.loop.RunUntil([&] { return response.has_value(); }, absl::Minutes(1)));
  EXPECT_FALSE(response->partitions[0].outcome.ok());
  EXPECT_EQ(inbound.used_bytes(), 0);
}

TEST(ProduceMemoryTest, AFullDirectoryGivesTheMemoryBackWhenThereIsRoom) {
  BrokerFixture f;
  f.Start();
  f.CreateTopic("t");
  ASSERT_TRUE(f.Produce("t", MakeBatch()).outcome.ok());
  MemoryBudget inbound(1 << 20);
  f.files->SetCapacity(0);
  api::ProduceRequest request;
  request.partitions.push_back({.name = {"t", {}, PartitionIndex(0)}});
  const Bytes batch = MakeBatch(3, 200'000);
  request.partitions[0].batches = Received(batch, inbound.ReserveAlways(600'000));
  std::optional<api::ProduceResponse> response;
  f.SendProduce(std::move(request), &response);
  f.loop.RunFor(absl::Seconds(2));
  EXPECT_FALSE(response.has_value()) << "it waits for room, in its place";
  EXPECT_EQ(f.Produce("t", MakeBatch()).outcome.code, ErrorCode::kStorageFull);
  f.files->SetCapacity(uint64_t{1} << 40);
  ASSERT_TRUE(f.loop.RunUntil([&] { return response.has_value(); }, absl::Seconds(10)));
  EXPECT_TRUE(response->partitions[0].outcome.ok());
  EXPECT_EQ(inbound.used_bytes(), 0);
}

}  // namespace
}  // namespace millrace::broker
