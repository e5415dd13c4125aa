#include "test/sim/cluster_streams.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace millrace::sim {
namespace {

// As many as a leader remembers of a producer.
constexpr size_t kBatchesMax = 5;
// Beyond a batch's own timeout and what a broker that passes it on waits longer.
constexpr absl::Duration kSilenceMax = absl::Seconds(4);

}  // namespace

ClusterStreams::ClusterStreams(ClusterState* world, ClusterCalls* calls)
    : world_(*world), calls_(*calls) {
  for (const auto& [idempotent, forward] : {std::pair(true, true), std::pair(true, true),
                                            std::pair(false, true), std::pair(false, false)}) {
    producers_.push_back(std::make_unique<Producer>());
    // All that is pending goes over one stream, so it must reach all leaders.
    producers_.back()->idempotent = idempotent && world->options.forwarding;
    producers_.back()->forward = forward && world->options.forwarding;
  }
}

int64_t ClusterStreams::Pending() const {
  int64_t pending = 0;
  for (const auto& producer : producers_) {
    if (!producer->idempotent) continue;
    for (const auto& [partition, lane] : producer->lanes) {
      pending += std::count_if(lane.batches.begin(), lane.batches.end(),
                               [](const Batch& batch) { return !batch.acknowledged; });
    }
  }
  return pending;
}

// ---- Streams ----

void ClusterStreams::Open(Producer* producer, int host) {
  producer->host = host;
  producer->first_message = true;
  const int generation = ++producer->generation;
  const auto later = [this, producer, generation](auto then) {
    world_.clients->Post([producer, generation, then = std::move(then)] {
      if (producer->generation == generation && producer->stream != nullptr) then();
    });
  };
  producer->stream = ClusterProduceStream::Open(
      &world_.network, 0, host, [this, host]() -> SimServer& { return world_.server(host); },
      ClusterCalls::AsClient(),
      {.answered =
           [this, producer, later](api::ProduceStreamResponse response) {
             later([this, producer, response = std::move(response)] {
               OnAnswered(producer, response);
             });
           },
       .closed =
           [this, producer, later](bool has_sent) {
             later([this, producer, has_sent] { Close(producer, has_sent); });
           }});
}

void ClusterStreams::Close(Producer* producer, bool has_sent) {
  world_.Reached(has_sent ? "stream-lost" : "stream-not-opened");
  producer->stream->End();
  producer->stream = nullptr;
  producer->in_flight.clear();
  for (auto& [partition, lane] : producer->lanes) {
    for (Batch& batch : lane.batches) {
      if (batch.request == 0) continue;
      batch.request = 0;
      lane.failed = true;
      if (has_sent || producer->idempotent) continue;
      for (const int64_t number : batch.records.numbers) world_.history.OnRefused(number);
    }
    if (producer->idempotent) PlanAgain(producer, partition);
  }
  // What comes next does not follow on what was sent.
  if (!producer->idempotent) producer->lanes.clear();
}

// ---- Batches ----

void ClusterStreams::Produce() {
  const std::shared_ptr<ClusterTopic> topic = world_.AnyTopic();
  if (topic == nullptr) return;
  Producer* const producer = producers_[world_.random.Below(producers_.size())].get();
  if (producer->idempotent && producer->identity.id == kNoProducerId) {
    if (std::exchange(producer->asking, true)) return;
    return calls_.InitProducerId([producer](const std::optional<api::ProducerIdentity>& identity) {
      producer->asking = false;
      if (identity) producer->identity = *identity;
    });
  }
  const TopicPartition partition = world_.AnyPartition(*topic);
  if (producer->stream != nullptr && OneIn(world_.random, producer->forward ? 60 : 10)) {
    Close(producer, /*has_sent=*/true);
  }
  if (producer->stream == nullptr) {
    Open(producer,
         producer->forward ? world_.any(world_.broker_hosts()) : calls_.LeaderOf(partition));
  }
  const uint64_t count = 1 + world_.random.Below(4);
  for (uint64_t i = 0; i < count; ++i) SendNew(producer, partition);
}

void ClusterStreams::SendNew(Producer* producer, const TopicPartition& partition) {
  Lane& lane = producer->lanes[partition];
  if (lane.ended || lane.batches.size() >= kBatchesMax) return;
  if (producer->idempotent && lane.failed) return;
  if (lane.lane == 0) lane.lane = calls_.NewLane();
  Batch& batch = lane.batches.emplace_back();
  batch.records = calls_.Build(partition, lane.lane,
                               producer->idempotent ? producer->identity : api::ProducerIdentity(),
                               lane.next_sequence);
  batch.sequence = lane.next_sequence;
  lane.next_sequence += static_cast<int32_t>(batch.records.numbers.size());
  if (lane.batches.size() > 2) world_.Reached("stream-pipelined");
  Send(producer, partition, &batch);
}

void ClusterStreams::Send(Producer* producer, const TopicPartition& partition, Batch* batch) {
  batch->request = producer->next_request++;
  const uint32_t restart = producer->lanes.at(partition).restart;
  producer->in_flight[batch->request] = {partition, restart};
  api::ProduceStreamRequest request;
  request.request_number = batch->request;
  request.forward = std::exchange(producer->first_message, false) && producer->forward;
  request.request.acks = api::Acks::kAll;
  request.request.timeout =
      Between(world_.random, absl::Milliseconds(100), absl::Milliseconds(2500));
  request.request.partitions.push_back(
      {.name = {.topic_id = partition.topic_id, .partition = partition.partition},
       .batches = batch->records.bytes,
       .restart = restart});
  producer->stream->Send(request);
  world_.clients->PostAt(world_.loop.now() + request.request.timeout + kSilenceMax,
                         [this, producer, number = batch->request] {
                           if (!producer->in_flight.contains(number)) return;
                           world_.Reached("stream-silent");
                           Close(producer, /*has_sent=*/true);
                         });
}

void ClusterStreams::PlanAgain(Producer* producer, const TopicPartition& partition) {
  Lane& lane = producer->lanes.at(partition);
  if (!lane.failed || std::exchange(lane.again_planned, true)) return;
  const absl::Duration pause =
      Between(world_.random, absl::Milliseconds(1), absl::Milliseconds(80));
  world_.clients->PostAt(world_.loop.now() + pause,
                         [this, producer, partition] { SendAgain(producer, partition); });
}

void ClusterStreams::SendAgain(Producer* producer, const TopicPartition& partition) {
  Lane& lane = producer->lanes.at(partition);
  lane.again_planned = false;
  // Perhaps another broker reaches the leader.
  if (producer->stream != nullptr && OneIn(world_.random, 12)) Close(producer, /*has_sent=*/true);
  if (producer->stream == nullptr) Open(producer, world_.any(world_.broker_hosts()));
  if (lane.again_planned) return;
  lane.failed = false;
  ++lane.restart;
  for (Batch& batch : lane.batches) {
    if (batch.acknowledged) continue;
    world_.Reached("stream-sent-again");
    Send(producer, partition, &batch);
  }
}

// ---- Answers ----

void ClusterStreams::CheckOrder(const Producer& producer, uint64_t request, const InFlight& sent,
                                const api::ProducePartitionResult& result) {
  for (const auto& [other, in_flight] : producer.in_flight) {
    if (other >= request) break;
    if (in_flight.partition != sent.partition) continue;
    world_.Note(absl::InternalError(
        absl::StrCat("VIOLATION S-23: ", world_.NameOf(sent.partition), ": request ", request,
                     " of a stream is answered before ", other, " of the same partition")));
  }
  const Lane& lane = producer.lanes.at(sent.partition);
  if (!result.outcome.ok() || !lane.refused || sent.restart > *lane.refused) return;
  world_.Note(absl::InternalError(
      absl::StrCat("VIOLATION S-23: ", world_.NameOf(sent.partition), ": request ", request,
                   " of a stream is acknowledged, and one before it was refused")));
}

void ClusterStreams::OnAnswered(Producer* producer, const api::ProduceStreamResponse& response) {
  const auto found = producer->in_flight.find(response.request_number);
  if (found == producer->in_flight.end()) {
    return world_.Note(absl::InternalError(absl::StrCat(
        "VIOLATION: request ", response.request_number, " of a stream is answered twice")));
  }
  const InFlight sent = found->second;
  producer->in_flight.erase(found);
  const api::ProducePartitionResult& result = response.partitions.at(0);
  calls_.Learn(sent.partition, result.outcome);
  CheckOrder(*producer, response.request_number, sent, result);
  Lane& lane = producer->lanes.at(sent.partition);
  const auto batch = std::find_if(lane.batches.begin(), lane.batches.end(), [&](const Batch& each) {
    return each.request == response.request_number;
  });
  if (batch == lane.batches.end()) return;
  batch->request = 0;
  if (result.outcome.ok()) {
    if (result.outcome.leader && result.outcome.leader->leader.value() != producer->host) {
      world_.Reached("stream-passed-on");
    }
    calls_.OnAcknowledged(batch->records, result.base_offset);
    batch->acknowledged = true;
  } else {
    OnFailed(producer, sent.partition, sent, &*batch, result.outcome);
  }
  Settle(producer, sent.partition);
}

void ClusterStreams::OnFailed(Producer* producer, const TopicPartition& partition,
                              const InFlight& sent, Batch* batch,
                              const api::PartitionOutcome& outcome) {
  Lane& lane = producer->lanes.at(partition);
  world_.Reached(absl::StrCat("stream-", ErrorCodeName(outcome.code)));
  const bool refused = IsSureRefusal(outcome.code);
  if (refused) lane.refused = std::max(lane.refused.value_or(0), sent.restart);
  if (producer->idempotent && calls_.IsThere(partition, outcome.code)) {
    batch->acknowledged = true;
    return;
  }
  if (producer->idempotent) {
    lane.failed = true;
    lane.ended |= !calls_.MaySendAgain(partition, producer->identity.id, batch->sequence,
                                       outcome.code, outcome.message, &batch->out_of_order);
    return;
  }
  if (refused) {
    for (const int64_t number : batch->records.numbers) world_.history.OnRefused(number);
  }
  // It is over with this batch.
  batch->acknowledged = true;
  if (sent.restart != lane.restart) return;
  ++lane.restart;
  lane.lane = 0;
}

// Forgets what is done with, and goes on after a failure once nothing is in flight any more.
void ClusterStreams::Settle(Producer* producer, const TopicPartition& partition) {
  Lane& lane = producer->lanes.at(partition);
  while (!lane.batches.empty() && lane.batches.front().acknowledged) lane.batches.pop_front();
  const bool in_flight = std::any_of(lane.batches.begin(), lane.batches.end(),
                                     [](const Batch& batch) { return batch.request != 0; });
  if (in_flight || !producer->idempotent) return;
  if (lane.ended) return lane.batches.clear();
  PlanAgain(producer, partition);
}

}  // namespace millrace::sim
