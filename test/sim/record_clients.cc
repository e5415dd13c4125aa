#include "test/sim/record_clients.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "api/codec/fetch_codec.h"
#include "api/codec/produce_codec.h"
#include "api/codec/wire_writer.h"
#include "base/check.h"
#include "base/status.h"

namespace millrace::sim {
namespace {

constexpr int kProducerStreams = 3;
constexpr int kConsumerStreams = 2;
// Where a batch's checksum begins to cover it.
constexpr size_t kCheckedFrom = 21;

// What comes out at the other side of the wire.
template <class Message>
Message Wired(const Message& message, api::MessagePieces (*encode)(const Message&),
              absl::StatusOr<Message> (*decode)(const Bytes&)) {
  absl::StatusOr<Message> decoded = decode(api::Join(encode(message)));
  CHECK_OK(decoded);
  return *std::move(decoded);
}

api::Acks AnyAcks(SimRandom& random) {
  switch (random.Below(10)) {
    case 0:
      return api::Acks::kNone;
    case 1:
    case 2:
      return api::Acks::kLeader;
    default:
      return api::Acks::kAll;
  }
}

}  // namespace

RecordClients::RecordClients(WorldState* world) : world_(*world) {
  for (int i = 0; i < kProducerStreams; ++i) {
    producers_.push_back(std::make_unique<ProducerStream>());
  }
  for (int i = 0; i < kConsumerStreams; ++i) {
    consumers_.push_back(std::make_unique<ConsumerStream>());
  }
}

void RecordClients::InOrder(MonotonicTime* last_arrival, Task then) {
  *last_arrival = std::max(*last_arrival, world_.loop.now() + world_.NetworkDelay());
  world_.clients->PostAt(*last_arrival, std::move(then));
}

// --- Producers ---

SimBatch RecordClients::BuildBatch(const TopicPartition& partition, History::Lane lane) {
  SimRandom& random = world_.random;
  SimBatch batch =
      BuildSimBatch(&world_.history, &random, partition, lane, world_.server.clock().WallNow().ms);
  world_.report.produced += static_cast<int64_t>(batch.numbers.size());
  // A bit flips on the way: the checksum must tell.
  if (OneIn(random, 300)) {
    Buffer broken(batch.bytes.size());
    std::memcpy(broken.data(), batch.bytes.data(), batch.bytes.size());
    const size_t at = kCheckedFrom + random.Below(batch.bytes.size() - kCheckedFrom);
    broken.data()[at] = static_cast<char>(broken.data()[at] ^ (1 << random.Below(8)));
    batch.bytes = std::move(broken).Freeze();
    for (const int64_t number : batch.numbers) world_.history.OnRefused(number);
    world_.Reached("batch-damaged");
  }
  return batch;
}

void RecordClients::OnProduced(const std::vector<int64_t>& numbers,
                               const api::ProducePartitionResult& result) {
  if (!result.outcome.ok()) {
    world_.Reached(absl::StrCat("produce-", ErrorCodeName(result.outcome.code)));
    if (!IsSureRefusal(result.outcome.code)) return;
    for (const int64_t number : numbers) world_.history.OnRefused(number);
    return;
  }
  if (result.base_offset == kNoOffset) return world_.Reached("acks-none");
  world_.report.acknowledged += static_cast<int64_t>(numbers.size());
  for (size_t i = 0; i < numbers.size(); ++i) {
    world_.Note(
        world_.history.OnAcknowledged(numbers[i], result.base_offset + static_cast<int64_t>(i)));
  }
}

void RecordClients::Produce() {
  const std::shared_ptr<SimTopic> topic = world_.AnyLiveTopic();
  if (topic == nullptr) return;
  const TopicPartition partition = world_.AnyPartition(*topic);
  const SimBatch batch = BuildBatch(partition, 0);
  api::ProduceRequest request;
  request.acks = AnyAcks(world_.random);
  request.timeout = Between(world_.random, absl::Milliseconds(1), absl::Seconds(10));
  request.partitions.push_back(
      {.name = {.topic_id = partition.topic_id, .partition = partition.partition},
       .batches = batch.bytes});
  world_.AtServer(
      [this, request, numbers = batch.numbers] {
        world_.server.node().broker().Produce(
            Wired(request, &api::EncodeProduceRequest, &api::DecodeProduceRequest),
            broker::Caller(), [this, numbers](const api::ProduceResponse& response) {
              if (world_.server.dying()) return;
              const api::ProduceResponse read =
                  Wired(response, &api::EncodeProduceResponse, &api::DecodeProduceResponse);
              OnProduced(numbers, read.partitions.at(0));
            });
      },
      [this, numbers = batch.numbers] {
        for (const int64_t number : numbers) world_.history.OnRefused(number);
      });
}

void RecordClients::OpenProducer(ProducerStream* producer) {
  if (!world_.server.serving()) return;
  producer->open = true;
  ++producer->generation;
  producer->shard = world_.random.Next();
  producer->lanes.clear();
  producer->pending.clear();
  producer->refused.clear();
  world_.server.shard(producer->shard).Post([this, producer] {
    producer->stream = world_.server.node().broker().OpenProduceStream(
        broker::Caller(), [this, producer](const api::ProduceStreamResponse& response) {
          if (world_.server.dying()) return;
          OnStreamAnswer(producer, Wired(response, &api::EncodeProduceStreamResponse,
                                         &api::DecodeProduceStreamResponse));
        });
  });
  world_.Reached("produce-stream");
}

void RecordClients::ProduceOnStream() {
  ProducerStream* const producer = producers_[world_.random.Below(producers_.size())].get();
  if (!producer->open) return OpenProducer(producer);
  const std::shared_ptr<SimTopic> topic = world_.AnyLiveTopic();
  if (topic == nullptr) return;
  const TopicPartition partition = world_.AnyPartition(*topic);
  LaneState& lane = producer->lanes[partition];
  if (lane.lane == 0 || lane.broken) {
    if (lane.broken) ++lane.restart;
    lane.lane = next_lane_++;
    lane.broken = false;
  }
  SimBatch batch = BuildBatch(partition, lane.lane);
  api::ProduceStreamRequest request;
  request.request_number = producer->next_request++;
  request.request.acks = OneIn(world_.random, 4) ? api::Acks::kLeader : api::Acks::kAll;
  request.request.timeout = absl::Seconds(10);
  request.request.partitions.push_back(
      {.name = {.topic_id = partition.topic_id, .partition = partition.partition},
       .batches = batch.bytes,
       .restart = lane.restart});
  producer->pending[request.request_number] = {partition, lane.restart, std::move(batch.numbers)};
  InOrder(&producer->last_arrival, [this, producer, generation = producer->generation, request] {
    if (producer->generation != generation || !producer->open) return;
    world_.server.shard(producer->shard).Post([producer, request] {
      producer->stream->Handle(
          Wired(request, &api::EncodeProduceStreamRequest, &api::DecodeProduceStreamRequest));
    });
  });
}

void RecordClients::OnStreamAnswer(ProducerStream* producer,
                                   const api::ProduceStreamResponse& response) {
  const auto pending = producer->pending.find(response.request_number);
  if (pending == producer->pending.end()) {
    return world_.Note(absl::InternalError(
        absl::StrCat("VIOLATION: stream request ", response.request_number, " answered twice")));
  }
  const PendingBatch batch = std::move(pending->second);
  // Answers of one partition come in the order of its batches.
  for (auto other = producer->pending.begin(); other != pending; ++other) {
    if (other->second.partition != batch.partition) continue;
    world_.Note(absl::InternalError(absl::StrCat("VIOLATION S-23: request ",
                                                 response.request_number, " answered before ",
                                                 other->first, " of the same partition")));
  }
  producer->pending.erase(pending);
  const api::ProducePartitionResult& result = response.partitions.at(0);
  OnProduced(batch.numbers, result);
  const auto refused = producer->refused.find(batch.partition);
  if (result.outcome.ok()) {
    if (refused == producer->refused.end() || refused->second < batch.restart) return;
    return world_.Note(absl::InternalError(
        absl::StrCat("VIOLATION S-23: request ", response.request_number,
                     " was appended after an earlier one was refused, without a restart")));
  }
  if (IsSureRefusal(result.outcome.code)) producer->refused[batch.partition] = batch.restart;
  world_.AfterDelay([this, producer, generation = producer->generation, batch] {
    if (producer->generation != generation) return;
    LaneState& lane = producer->lanes[batch.partition];
    if (lane.restart != batch.restart || lane.broken) return;
    lane.broken = true;
    world_.Reached("stream-restart");
  });
}

// --- Consumers ---

void RecordClients::Fetch() {
  const std::shared_ptr<SimTopic> topic = world_.AnyLiveTopic();
  if (topic == nullptr) return;
  const TopicPartition partition = world_.AnyPartition(*topic);
  SimRandom& random = world_.random;
  const Offset known = world_.history.high_watermark_floor(partition);
  const Offset from(static_cast<int64_t>(random.Below(static_cast<uint64_t>(known.value()) + 2)));
  api::FetchRequest request;
  request.format = api::RecordFormat::kBatches;
  request.max_wait = Between(random, absl::ZeroDuration(), absl::Milliseconds(200));
  request.bytes_max = 1 << (8 + random.Below(12));
  request.partitions.push_back(
      {.name = {.topic_id = partition.topic_id, .partition = partition.partition}, .offset = from});
  world_.AtServer([this, request, partition, from] {
    const Offset floor = world_.history.high_watermark_floor(partition);
    world_.server.node().broker().Fetch(
        Wired(request, &api::EncodeFetchRequest, &api::DecodeFetchRequest), broker::Caller(),
        [this, partition, from, floor](const api::FetchResponse& response) {
          if (world_.server.dying()) return;
          const api::FetchResponse read =
              Wired(response, &api::EncodeFetchResponse, &api::DecodeFetchResponse);
          OnFetched(partition, from, floor, read.partitions.at(0));
        });
  });
}

void RecordClients::OnFetched(const TopicPartition& partition, Offset from, Offset floor,
                              const api::FetchPartitionResult& result) {
  if (!result.outcome.ok()) {
    return world_.Reached(absl::StrCat("fetch-", ErrorCodeName(result.outcome.code)));
  }
  world_.Note(world_.history.OnHighWatermark(partition, floor, result.high_watermark));
  const auto records = CheckedRecordsOf(&world_.history, partition, result, from);
  if (!records.ok()) return world_.Note(records.status());
  world_.report.records_read += static_cast<int64_t>(records->size());
}

void RecordClients::OpenConsumer(ConsumerStream* consumer) {
  if (!world_.server.serving()) return;
  consumer->open = true;
  ++consumer->generation;
  consumer->shard = world_.random.Next();
  consumer->next.clear();
  consumer->floors.clear();
  world_.server.shard(consumer->shard).Post([this, consumer] {
    consumer->stream = world_.server.node().broker().OpenFetchStream(
        broker::Caller(), [this, consumer](const api::FetchStreamResponse& response) {
          if (world_.server.dying()) return;
          OnPush(consumer,
                 Wired(response, &api::EncodeFetchStreamResponse, &api::DecodeFetchStreamResponse));
        });
  });
  world_.Reached("fetch-stream");
}

void RecordClients::FetchOnStream() {
  ConsumerStream* const consumer = consumers_[world_.random.Below(consumers_.size())].get();
  const bool fresh = !consumer->open;
  if (fresh) OpenConsumer(consumer);
  if (!consumer->open) return;
  api::FetchStreamRequest request;
  if (fresh) request.format = api::RecordFormat::kBatches;
  request.credit_bytes = static_cast<int64_t>(world_.random.Below(200000));
  const std::shared_ptr<SimTopic> topic = world_.AnyLiveTopic();
  if (topic != nullptr && consumer->next.size() < 4) {
    const TopicPartition partition = world_.AnyPartition(*topic);
    const auto known =
        static_cast<uint64_t>(world_.history.high_watermark_floor(partition).value());
    const Offset from(static_cast<int64_t>(world_.random.Below(known + 1)));
    if (consumer->next.emplace(partition, from).second) {
      consumer->floors[partition] = Offset(0);
      request.assign.push_back(
          {.name = {.topic_id = partition.topic_id, .partition = partition.partition},
           .offset = from});
    }
  }
  SendToConsumer(consumer, request);
}

void RecordClients::SendToConsumer(ConsumerStream* consumer,
                                   const api::FetchStreamRequest& request) {
  InOrder(&consumer->last_arrival, [this, consumer, generation = consumer->generation, request] {
    if (consumer->generation != generation || !consumer->open) return;
    world_.server.shard(consumer->shard).Post([this, consumer, request] {
      world_.Note(consumer->stream->Handle(
          Wired(request, &api::EncodeFetchStreamRequest, &api::DecodeFetchStreamRequest)));
    });
  });
}

void RecordClients::OnPush(ConsumerStream* consumer, const api::FetchStreamResponse& response) {
  for (const api::FetchPartitionResult& result : response.partitions) {
    const TopicPartition partition{result.name.topic_id, result.name.partition};
    const auto next = consumer->next.find(partition);
    if (next == consumer->next.end()) {
      world_.Note(absl::InternalError("VIOLATION: a push for a partition that is not assigned"));
      continue;
    }
    if (!result.outcome.ok()) {
      // It is no longer assigned.
      world_.Reached(absl::StrCat("push-", ErrorCodeName(result.outcome.code)));
      consumer->next.erase(next);
      continue;
    }
    world_.Reached("push");
    Offset& floor = consumer->floors[partition];
    OnFetched(partition, next->second, floor, result);
    floor = std::max(floor, result.high_watermark);
    const absl::StatusOr<std::vector<ReadRecord>> records = RecordsOf(result, next->second);
    if (!records.ok() || records->empty()) continue;
    if (records->front().offset != next->second) {
      world_.Note(absl::InternalError(absl::StrCat("VIOLATION: a stream jumps from offset ",
                                                   next->second.value(), " to ",
                                                   records->front().offset.value())));
    }
    next->second = records->back().offset + 1;
  }
}

void RecordClients::DeleteRecords() {
  const std::shared_ptr<SimTopic> topic = world_.AnyLiveTopic();
  if (topic == nullptr) return;
  const TopicPartition partition = world_.AnyPartition(*topic);
  const auto known = static_cast<uint64_t>(world_.history.high_watermark_floor(partition).value());
  const Offset before(static_cast<int64_t>(world_.random.Below(known / 2 + 2)));
  api::DeleteRecordsRequest request;
  request.partitions.push_back(
      {.name = {.topic_id = partition.topic_id, .partition = partition.partition},
       .before_offset = before});
  // It may take effect and its answer be lost: what is below is not promised from here on.
  world_.history.OnDeletedBefore(partition, before, false);
  world_.AtServer([this, request, partition, before] {
    world_.server.node().broker().DeleteRecords(
        request, broker::Caller(),
        [this, partition, before](const api::DeleteRecordsResponse& response) {
          if (world_.server.dying() || !response.partitions[0].outcome.ok()) return;
          world_.history.OnDeletedBefore(partition, before, true);
          world_.Reached("records-deleted");
        });
  });
}

void RecordClients::OnServerDown() {
  for (const auto& producer : producers_) {
    producer->open = false;
    producer->stream.reset();
  }
  for (const auto& consumer : consumers_) {
    consumer->open = false;
    consumer->stream.reset();
  }
}

}  // namespace millrace::sim
