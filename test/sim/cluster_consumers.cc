#include "test/sim/cluster_consumers.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace millrace::sim {
namespace {

constexpr int kConsumers = 3;
constexpr int64_t kCreditMax = 200'000;
// As much as two reads may go beyond what was left: a batch each.
constexpr int64_t kOverdrawnMax = 2 << 20;
constexpr absl::Duration kFollowBound = absl::Seconds(30);
constexpr absl::Duration kPoll = absl::Milliseconds(20);

}  // namespace

ClusterConsumers::ClusterConsumers(ClusterState* world, ClusterCalls* calls,
                                   ClusterOffsets* offsets, ClusterDeletions* deletions)
    : world_(*world), calls_(*calls), offsets_(*offsets), deletions_(*deletions) {
  for (int i = 0; i < kConsumers; ++i) consumers_.push_back(std::make_unique<Consumer>());
}

// ---- Streams ----

void ClusterConsumers::Open(Consumer* consumer, int host) {
  consumer->host = host;
  consumer->first_message = true;
  consumer->credit_bytes = 0;
  const int generation = ++consumer->generation;
  const auto later = [this, consumer, generation](auto then) {
    world_.clients->Post([consumer, generation, then = std::move(then)] {
      if (consumer->generation == generation && consumer->stream != nullptr) then();
    });
  };
  consumer->stream = ClusterFetchStream::Open(
      &world_.network, 0, host, [this, host]() -> SimServer& { return world_.server(host); },
      ClusterCalls::AsClient(),
      {.answered =
           [this, consumer, later](api::FetchStreamResponse response) {
             later([this, consumer, response = std::move(response)] {
               OnPushed(consumer, response);
             });
           },
       .closed =
           [this, consumer, later](bool) {
             later([this, consumer] {
               world_.Reached("fetch-stream-lost");
               for (const auto& [partition, place] : consumer->places) {
                 if (place.assignment != 0) calls_.Forget(partition);
               }
               Close(consumer);
             });
           }});
}

void ClusterConsumers::Close(Consumer* consumer) {
  if (consumer->stream == nullptr) return;
  consumer->stream->End();
  consumer->stream = nullptr;
  for (auto& [partition, place] : consumer->places) place.assignment = 0;
}

void ClusterConsumers::Assign(Consumer* consumer, const TopicPartition& partition,
                              api::FetchStreamRequest* request) {
  Place& place = consumer->places[partition];
  const std::optional<LeaderHint> leader = calls_.KnownLeader(partition);
  const bool leads = leader && leader->leader.value() == consumer->host;
  place.assigned_in.reset();
  if (leads && OneIn(world_.random, 2)) place.assigned_in = leader->leader_epoch;
  place.promise = leads ? deletions_.promised(partition) : ClusterDeletions::Promise();
  place.assignment = ++consumer->assignment_number;
  request->assignment_number = place.assignment;
  request->assign.push_back(
      {.name = {.topic_id = partition.topic_id, .partition = partition.partition},
       .offset = place.next,
       .bytes_max = 1 << (9 + world_.random.Below(10)),
       .leader_epoch = place.assigned_in});
}

void ClusterConsumers::Unassign(Consumer* consumer, const TopicPartition& partition,
                                api::FetchStreamRequest* request) {
  consumer->places.at(partition).assignment = 0;
  request->assignment_number = ++consumer->assignment_number;
  request->unassign.push_back(
      {.name = {.topic_id = partition.topic_id, .partition = partition.partition}});
}

void ClusterConsumers::Send(Consumer* consumer, api::FetchStreamRequest request,
                            int64_t credit_bytes) {
  if (std::exchange(consumer->first_message, false)) {
    request.format = api::RecordFormat::kBatches;
  }
  request.credit_bytes = credit_bytes;
  consumer->credit_bytes += credit_bytes;
  consumer->stream->Send(request);
}

void ClusterConsumers::Act() {
  const std::shared_ptr<ClusterTopic> topic = world_.AnyTopic();
  if (topic == nullptr) return;
  SimRandom& random = world_.random;
  const TopicPartition partition = world_.AnyPartition(*topic);
  Consumer* const consumer = consumers_[random.Below(consumers_.size())].get();
  Place& place = consumer->places[partition];
  // It reads what is led elsewhere, or has had enough.
  const int leader = calls_.LeaderOf(partition);
  if (consumer->stream != nullptr && OneIn(random, consumer->host == leader ? 40 : 6)) {
    Close(consumer);
  }
  if (consumer->stream == nullptr) Open(consumer, leader);
  api::FetchStreamRequest request;
  const bool seeks = OneIn(random, 8);
  if (seeks) {
    const Offset known = world_.history.high_watermark_floor(partition);
    place.next =
        Offset(static_cast<int64_t>(random.Below(static_cast<uint64_t>(known.value()) + 1)));
    // A deposed leader may not have it.
    place.epoch = world_.newest_epochs[partition];
    if (place.assignment != 0) world_.Reached("fetch-stream-seek");
  }
  if (place.assignment == 0 || seeks) {
    Assign(consumer, partition, &request);
  } else if (OneIn(random, 8)) {
    Unassign(consumer, partition, &request);
  }
  Send(consumer, std::move(request), static_cast<int64_t>(random.Below(kCreditMax)));
}

// ---- Pushes ----

void ClusterConsumers::OnPushed(Consumer* consumer, const api::FetchStreamResponse& response) {
  for (const api::FetchPartitionResult& result : response.partitions) {
    for (const Bytes& piece : result.batches) {
      consumer->credit_bytes -= static_cast<int64_t>(piece.size());
    }
    const TopicPartition partition{result.name.topic_id, result.name.partition};
    Place& place = consumer->places[partition];
    if (place.assignment == 0 || response.assignment_number < place.assignment) {
      world_.Reached("push-of-an-earlier-assignment");
      continue;
    }
    calls_.Learn(partition, result.outcome);
    if (result.outcome.ok()) {
      OnRecords(partition, &place, result);
    } else {
      OnFailed(consumer->host, partition, &place, result.outcome);
    }
  }
  if (consumer->credit_bytes >= -kOverdrawnMax) return;
  world_.Note(absl::InternalError(absl::StrCat("VIOLATION: broker ", consumer->host, " has pushed ",
                                               -consumer->credit_bytes,
                                               " bytes more than it was given credit for")));
}

void ClusterConsumers::OnRecords(const TopicPartition& partition, Place* place,
                                 const api::FetchPartitionResult& result) {
  const auto records = calls_.CheckedRead(partition, place->next, result);
  if (!records.ok()) return world_.Note(records.status());
  if (place->assigned_in) {
    offsets_.OnRead(partition, *place->assigned_in, *records);
    deletions_.OnStart(partition, place->promise, *place->assigned_in, result.log_start_offset);
  }
  if (records->empty()) return;
  world_.Reached("push");
  place->next = records->back().offset + 1;
  place->epoch = std::max(place->epoch, records->back().leader_epoch);
}

// It is not assigned any more.
void ClusterConsumers::OnFailed(int host, const TopicPartition& partition, Place* place,
                                const api::PartitionOutcome& outcome) {
  world_.Reached(absl::StrCat("push-", ErrorCodeName(outcome.code)));
  place->assignment = 0;
  if (outcome.code != ErrorCode::kOffsetOutOfRange) return;
  place->next =
      calls_.AfterOutOfRange(partition, host, place->assigned_in, place->next, place->epoch);
}

// ---- The judgement ----

void ClusterConsumers::GoOn(Consumer* follower, const TopicPartition& partition) {
  if (follower->stream != nullptr && follower->places[partition].assignment == 0) Close(follower);
  const bool anew = follower->stream == nullptr;
  if (anew) Open(follower, calls_.LeaderOf(partition));
  if (!anew && follower->credit_bytes > 0) return;
  api::FetchStreamRequest request;
  if (anew) Assign(follower, partition, &request);
  Send(follower, std::move(request), kCreditMax);
}

absl::Status ClusterConsumers::FollowAll() {
  for (const auto& consumer : consumers_) Close(consumer.get());
  for (const auto& topic : world_.topics) {
    for (int i = 0; i < topic->partitions; ++i) {
      const TopicPartition partition = topic->Partition(i);
      auto follower = std::make_unique<Consumer>();
      follower->places[partition].next = world_.history.deleted_before(partition);
      followers_[partition] = std::move(follower);
    }
  }
  return AwaitFollowers();
}

absl::Status ClusterConsumers::AwaitFollowers() {
  const MonotonicTime until = world_.loop.now() + kFollowBound;
  std::string behind;
  while (world_.loop.now() < until && world_.violation.ok()) {
    behind.clear();
    for (const auto& [partition, follower] : followers_) {
      const Offset end = world_.history.high_watermark_floor(partition);
      const Offset next = follower->places[partition].next;
      if (next >= end) continue;
      absl::StrAppend(&behind, " ", world_.NameOf(partition), " at ", next.value(), " of ",
                      end.value(), " from broker ", follower->host, ";");
      GoOn(follower.get(), partition);
    }
    if (behind.empty()) return world_.violation;
    world_.loop.RunFor(kPoll);
  }
  RETURN_IF_ERROR(world_.violation);
  return absl::InternalError(
      absl::StrCat("LIVENESS: streams are not pushed what is there:", behind));
}

}  // namespace millrace::sim
