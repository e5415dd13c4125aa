#include "test/sim/cluster_clients.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "broker/broker.h"
#include "millrace/v1/admin_service.pb.h"

namespace millrace::sim {
namespace {

constexpr size_t kProducers = 3;

}  // namespace

ClusterClients::ClusterClients(ClusterState* world, ClusterCalls* calls)
    : world_(*world), calls_(*calls), producers_(kProducers) {}

// ---- Topics ----

void ClusterClients::Describe() {
  if (world_.topics.empty()) return;
  v1::DescribeTopicsRequest request;
  for (const auto& topic : world_.topics) request.add_topic_ids(topic->id.ToBytes());
  using Answer = std::pair<absl::StatusOr<v1::DescribeTopicsResponse>, LogIndex>;
  world_.Ask<Answer>(
      1 + static_cast<int>(world_.random.Below(static_cast<uint64_t>(world_.options.controllers))),
      absl::Seconds(2),
      [request](SimServer& server, std::function<void(Answer)> reply) {
        server.node().Submit(
            request, [reply](absl::StatusOr<v1::DescribeTopicsResponse> response, LogIndex at) {
              reply({std::move(response), at});
            });
      },
      [this](const absl::StatusOr<Answer>& answer) {
        if (!answer.ok() || !answer->first.ok()) return world_.Reached("describe-unanswered");
        for (const v1::TopicDescription& topic : answer->first->topics()) {
          for (const v1::PartitionDescription& partition : topic.partitions()) {
            OnDescribed(answer->second,
                        {TopicId::FromBytes(topic.topic_id()).value(),
                         PartitionIndex(partition.partition())},
                        {.at = answer->second,
                         .epoch = LeaderEpoch(partition.leader_epoch()),
                         .leader = NodeId(partition.leader_id()),
                         .in_sync = {partition.in_sync_replicas().begin(),
                                     partition.in_sync_replicas().end()},
                         .eligible = {partition.eligible_leader_replicas().begin(),
                                      partition.eligible_leader_replicas().end()},
                         .reassigned = !partition.adding_replicas().empty() ||
                                       !partition.removing_replicas().empty()});
          }
        }
      });
}

void ClusterClients::OnDescribed(LogIndex at, const TopicPartition& partition, Described now) {
  if (now.leader.value() >= 0) calls_.OnLeader(partition, now.epoch, now.leader);
  Described& before = described_[partition];
  // Answers may overtake each other.
  if (at < before.at) return;
  if (now.epoch < before.epoch) {
    world_.Note(absl::InternalError(absl::StrCat("VIOLATION: ", world_.NameOf(partition),
                                                 ": the leader epoch falls from ",
                                                 before.epoch.value(), " to ", now.epoch.value())));
  }
  if (before.epoch != kNoLeaderEpoch) {
    if (now.in_sync.size() < before.in_sync.size()) world_.Reached("isr-shrunk");
    if (now.in_sync.size() > before.in_sync.size()) world_.Reached("isr-grown");
    if (!now.eligible.empty()) world_.Reached("eligible-leaders");
    if (before.reassigned && !now.reassigned) world_.Reached("reassign-over");
    if (now.leader.value() < 0) world_.Reached("no-leader");
    if (now.leader.value() >= 0 && now.epoch > before.epoch) {
      world_.Reached(now.leader == before.leader ? "same-leader-anew" : "other-leader");
      if (before.leader.value() < 0) world_.Reached("led-again");
      if (before.eligible.contains(now.leader.value())) world_.Reached("eligible-leader-elected");
    }
  }
  before = std::move(now);
}

// ---- Producers ----

void ClusterClients::Send(const TopicPartition& partition, const SimBatch& batch, api::Acks acks,
                          absl::Duration timeout,
                          std::function<void(absl::StatusOr<api::ProducePartitionResult>)> done) {
  api::ProduceRequest request;
  request.acks = acks;
  request.timeout = timeout;
  request.partitions.push_back(
      {.name = {.topic_id = partition.topic_id, .partition = partition.partition},
       .batches = batch.bytes});
  // Any broker passes on what it does not lead, and waits a little longer than the leader.
  const int host =
      OneIn(world_.random, 5) ? world_.any(world_.broker_hosts()) : calls_.LeaderOf(partition);
  calls_.Produce(host, request, timeout + absl::Seconds(OneIn(world_.random, 2) ? 1 : 3),
                 [this, partition, host, done](absl::StatusOr<api::ProducePartitionResult> result) {
                   if (!result.ok()) calls_.Forget(partition);
                   if (result.ok()) calls_.Learn(partition, result->outcome);
                   if (result.ok() && result->outcome.ok() && result->outcome.leader &&
                       result->outcome.leader->leader.value() != host) {
                     world_.Reached("produce-passed-on");
                   }
                   done(std::move(result));
                 });
}

void ClusterClients::Produce() {
  const std::shared_ptr<ClusterTopic> topic = world_.AnyTopic();
  if (topic == nullptr) return;
  const TopicPartition partition = world_.AnyPartition(*topic);
  const SimBatch batch = calls_.Build(partition, 0, {}, 0);
  constexpr api::Acks kSome[] = {api::Acks::kNone, api::Acks::kLeader, api::Acks::kAll,
                                 api::Acks::kAll};
  const api::Acks acks = kSome[world_.random.Below(4)];
  Send(partition, batch, acks, Between(world_.random, absl::Milliseconds(20), absl::Seconds(3)),
       [this, batch, acks](const absl::StatusOr<api::ProducePartitionResult>& result) {
         if (!result.ok()) return world_.Reached("produce-unanswered");
         const api::PartitionOutcome& outcome = result->outcome;
         if (!outcome.ok()) {
           world_.Reached(absl::StrCat("produce-", ErrorCodeName(outcome.code)));
           if (!IsSureRefusal(outcome.code)) return;
           for (const int64_t number : batch.numbers) world_.history.OnRefused(number);
           return;
         }
         if (acks == api::Acks::kAll) calls_.OnAcknowledged(batch, result->base_offset);
       });
}

int64_t ClusterClients::Pending() const {
  int64_t pending = 0;
  for (const Producer& producer : producers_) {
    for (const auto& [partition, sequence] : producer.partitions) {
      if (!sequence.batch.numbers.empty()) ++pending;
    }
  }
  return pending;
}

void ClusterClients::AskProducerId(Producer* producer) {
  if (producer->asking) return;
  producer->asking = true;
  calls_.InitProducerId([producer](const std::optional<api::ProducerIdentity>& identity) {
    producer->asking = false;
    if (identity) producer->identity = *identity;
  });
}

void ClusterClients::ProduceIdempotent() {
  Producer& producer = producers_[world_.random.Below(producers_.size())];
  if (producer.identity.id == kNoProducerId) return AskProducerId(&producer);
  const std::shared_ptr<ClusterTopic> topic = world_.AnyTopic();
  if (topic == nullptr) return;
  const TopicPartition partition = world_.AnyPartition(*topic);
  Sequence& sequence = producer.partitions[partition];
  if (sequence.ended || !sequence.batch.numbers.empty()) return;
  if (sequence.lane == 0) sequence.lane = calls_.NewLane();
  sequence.batch = calls_.Build(partition, sequence.lane, producer.identity, sequence.next);
  sequence.attempts = 0;
  sequence.out_of_order = 0;
  SendAgain(&producer, partition);
}

void ClusterClients::SendAgain(Producer* producer, TopicPartition partition) {
  Sequence& sequence = producer->partitions.at(partition);
  if (++sequence.attempts > 1) world_.Reached("sent-again");
  const absl::Duration timeout =
      Between(world_.random, absl::Milliseconds(100), absl::Milliseconds(2500));
  Send(partition, sequence.batch, api::Acks::kAll, timeout,
       [this, producer, partition](const absl::StatusOr<api::ProducePartitionResult>& result) {
         OnAnswer(producer, partition, result);
       });
}

void ClusterClients::OnAnswer(Producer* producer, TopicPartition partition,
                              const absl::StatusOr<api::ProducePartitionResult>& result) {
  Sequence& sequence = producer->partitions.at(partition);
  if (result.ok() && result->outcome.ok()) {
    const SimBatch batch = std::exchange(sequence.batch, SimBatch());
    sequence.next += static_cast<int32_t>(batch.numbers.size());
    if (sequence.attempts > 1) world_.Reached("acknowledged-after-retry");
    return calls_.OnAcknowledged(batch, result->base_offset);
  }
  const ErrorCode code = result.ok() ? result->outcome.code : CodeOf(result.status());
  world_.Reached(absl::StrCat("idempotent-", ErrorCodeName(code)));
  if (calls_.IsThere(partition, code)) {
    sequence.next += static_cast<int32_t>(std::exchange(sequence.batch, {}).numbers.size());
    return;
  }
  if (!calls_.MaySendAgain(partition, producer->identity.id, sequence.next, code,
                           result.ok() ? result->outcome.message : "", &sequence.out_of_order)) {
    sequence.batch = SimBatch();
    sequence.ended = true;
    return;
  }
  const absl::Duration pause =
      Between(world_.random, absl::Milliseconds(1), absl::Milliseconds(80));
  world_.clients->PostAt(world_.loop.now() + pause,
                         [this, producer, partition] { SendAgain(producer, partition); });
}

// ---- Consumers ----

void ClusterClients::Fetch() {
  const std::shared_ptr<ClusterTopic> topic = world_.AnyTopic();
  if (topic == nullptr) return;
  const TopicPartition partition = world_.AnyPartition(*topic);
  SimRandom& random = world_.random;
  const Offset known = world_.history.high_watermark_floor(partition);
  const Offset from(static_cast<int64_t>(random.Below(static_cast<uint64_t>(known.value()) + 2)));
  api::FetchRequest request;
  request.format = api::RecordFormat::kBatches;
  request.max_wait = Between(random, absl::ZeroDuration(), absl::Milliseconds(300));
  request.bytes_max = 1 << (8 + random.Below(12));
  request.partitions.push_back(
      {.name = {.topic_id = partition.topic_id, .partition = partition.partition}, .offset = from});
  calls_.Fetch(calls_.LeaderOf(partition), request, absl::Seconds(3),
               [this, partition, from](const absl::StatusOr<api::FetchPartitionResult>& result) {
                 if (!result.ok()) {
                   calls_.Forget(partition);
                   return world_.Reached("fetch-unanswered");
                 }
                 calls_.Learn(partition, result->outcome);
                 OnFetched(partition, from, *result);
               });
}

void ClusterClients::OnFetched(const TopicPartition& partition, Offset from,
                               const api::FetchPartitionResult& result) {
  if (!result.outcome.ok()) {
    return world_.Reached(absl::StrCat("fetch-", ErrorCodeName(result.outcome.code)));
  }
  world_.Note(calls_.CheckedRead(partition, from, result).status());
}

// ---- For the judgement ----

absl::StatusOr<api::FetchPartitionResult> ClusterClients::FetchNow(const TopicPartition& partition,
                                                                   Offset offset,
                                                                   absl::Duration bound) {
  api::FetchRequest request;
  request.format = api::RecordFormat::kBatches;
  request.partitions.push_back(
      {.name = {.topic_id = partition.topic_id, .partition = partition.partition},
       .offset = offset,
       .bytes_max = 8 << 20});
  const MonotonicTime end = world_.loop.now() + bound;
  absl::Status last = absl::InternalError("nobody was asked");
  while (world_.loop.now() < end) {
    std::optional<absl::StatusOr<api::FetchPartitionResult>> result;
    calls_.Fetch(
        calls_.LeaderOf(partition), request, absl::Seconds(2),
        [&](absl::StatusOr<api::FetchPartitionResult> answer) { result = std::move(answer); });
    if (!world_.loop.RunUntil([&] { return result.has_value(); }, absl::Seconds(5))) break;
    if (result->ok()) {
      calls_.Learn(partition, (*result)->outcome);
      if ((*result)->outcome.ok() || !IsRetriable((*result)->outcome.code)) return **result;
      last = MakeError((*result)->outcome.code, (*result)->outcome.message);
    } else {
      calls_.Forget(partition);
      last = result->status();
    }
    world_.loop.RunFor(absl::Milliseconds(20));
  }
  return last;
}

absl::Status ClusterClients::ProduceNow(const TopicPartition& partition, absl::Duration bound) {
  const MonotonicTime end = world_.loop.now() + bound;
  absl::Status last = absl::InternalError("nobody was asked");
  while (world_.loop.now() < end) {
    // A new record each time: what was refused must never be seen.
    const SimBatch batch = calls_.Build(partition, 0, {}, 0);
    std::optional<absl::StatusOr<api::ProducePartitionResult>> result;
    Send(partition, batch, api::Acks::kAll, absl::Seconds(2),
         [&](absl::StatusOr<api::ProducePartitionResult> answer) { result = std::move(answer); });
    if (!world_.loop.RunUntil([&] { return result.has_value(); }, absl::Seconds(5))) break;
    if (!result->ok()) {
      last = result->status();
    } else if ((*result)->outcome.ok()) {
      calls_.OnAcknowledged(batch, (*result)->base_offset);
      return world_.violation;
    } else {
      last = MakeError((*result)->outcome.code, (*result)->outcome.message);
      if (IsSureRefusal((*result)->outcome.code)) {
        for (const int64_t number : batch.numbers) world_.history.OnRefused(number);
      }
    }
    world_.loop.RunFor(absl::Milliseconds(20));
  }
  return last;
}

}  // namespace millrace::sim
