#include "test/sim/cluster_readers.h"

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace millrace::sim {
namespace {

constexpr absl::Duration kCallTimeout = absl::Seconds(3);
constexpr absl::Duration kNearbyBound = absl::Seconds(30);

}  // namespace

ClusterReaders::ClusterReaders(ClusterState* world, ClusterCalls* calls, ClusterOffsets* offsets,
                               ClusterDeletions* deletions)
    : world_(*world), calls_(*calls), offsets_(*offsets), deletions_(*deletions) {
  // One per rack; brokers 1 and 2 are in different ones.
  for (const int host : {1, 2}) readers_.push_back({.rack = world_.RackOf(host), .places = {}});
}

void ClusterReaders::Read() {
  const std::shared_ptr<ClusterTopic> topic = world_.AnyTopic();
  if (topic == nullptr) return;
  const TopicPartition partition = world_.AnyPartition(*topic);
  Reader& reader = readers_[world_.random.Below(readers_.size())];
  Place& place = reader.places[partition];
  if (!place.asking) Ask(reader, &place, partition);
}

void ClusterReaders::Ask(const Reader& reader, Place* place, const TopicPartition& partition) {
  place->asking = true;
  SimRandom& random = world_.random;
  api::FetchRequest request;
  request.format = api::RecordFormat::kBatches;
  request.max_wait = Between(random, absl::ZeroDuration(), absl::Milliseconds(300));
  request.bytes_max = 1 << (8 + random.Below(12));
  request.rack = reader.rack;
  request.partitions.push_back(
      {.name = {.topic_id = partition.topic_id, .partition = partition.partition},
       .offset = place->next});
  const std::optional<LeaderHint> leader = calls_.KnownLeader(partition);
  if (leader && OneIn(random, 2)) request.partitions[0].leader_epoch = leader->leader_epoch;
  const int host = place->follower != 0 ? place->follower : calls_.LeaderOf(partition);
  // A follower that left the in-sync set may not have heard of a deletion.
  const bool leads = leader && leader->leader.value() == host;
  const ClusterDeletions::Promise promise =
      leads ? deletions_.promised(partition) : ClusterDeletions::Promise();
  calls_.Fetch(host, request, kCallTimeout,
               [this, place, partition, host, request,
                promise](const absl::StatusOr<api::FetchPartitionResult>& result) {
                 OnAnswer(place, partition, host, request, result);
                 OnServed(partition, request, promise, result);
               });
}

void ClusterReaders::OnAnswer(Place* place, const TopicPartition& partition, int host,
                              const api::FetchRequest& asked,
                              const absl::StatusOr<api::FetchPartitionResult>& result) {
  place->asking = false;
  const bool at_follower = place->follower != 0;
  if (!result.ok() || !result->outcome.ok()) {
    const ErrorCode code = result.ok() ? result->outcome.code : CodeOf(result.status());
    world_.Reached(
        absl::StrCat(at_follower ? "reader-at-follower-" : "reader-", ErrorCodeName(code)));
    // To the leader from here on, until it names a follower again.
    if (!at_follower && !result.ok()) calls_.Forget(partition);
    if (result.ok()) calls_.Learn(partition, result->outcome);
    place->follower = 0;
    if (code == ErrorCode::kOffsetOutOfRange) {
      place->next = calls_.AfterOutOfRange(partition, host, asked.partitions[0].leader_epoch,
                                           place->next, place->epoch);
    }
    return;
  }
  calls_.Learn(partition, result->outcome);
  const auto records = calls_.CheckedRead(partition, asked.partitions[0].offset, *result);
  if (!records.ok()) return world_.Note(records.status());
  if (asked.partitions[0].leader_epoch) {
    offsets_.OnRead(partition, *asked.partitions[0].leader_epoch, *records);
  }
  if (!records->empty()) {
    place->next = records->back().offset + 1;
    place->epoch = std::max(place->epoch, records->back().leader_epoch);
    // A broker that cannot serve it itself passes it on, and says who leads.
    const bool passed_on = result->outcome.leader.has_value();
    if (at_follower) world_.Reached(passed_on ? "read-passed-on" : "read-at-follower");
  }
  if (!result->preferred_read_replica) return;
  world_.Reached("read-replica-named");
  place->follower = result->preferred_read_replica->value();
  // Whoever passes it on may learn only later that it could serve it itself.
  const bool elsewhere = place->follower != host || world_.options.forwarding;
  if (world_.RackOf(place->follower) == asked.rack && elsewhere) return;
  world_.Note(absl::InternalError(absl::StrCat(
      "VIOLATION: ", world_.NameOf(partition), ": broker ", host, " sends a reader in ", asked.rack,
      " to broker ", place->follower, " in ", world_.RackOf(place->follower))));
}

void ClusterReaders::OnServed(const TopicPartition& partition, const api::FetchRequest& asked,
                              const ClusterDeletions::Promise& promise,
                              const absl::StatusOr<api::FetchPartitionResult>& result) {
  const auto& epoch = asked.partitions[0].leader_epoch;
  if (!epoch || !result.ok() || !result->outcome.ok()) return;
  world_.Reached("read-in-a-known-epoch");
  deletions_.OnStart(partition, promise, *epoch, result->log_start_offset);
}

absl::Status ClusterReaders::ReadNearby() {
  const std::shared_ptr<ClusterTopic> topic = world_.AnyTopic();
  if (topic == nullptr || !world_.options.racks) return absl::OkStatus();
  const TopicPartition partition = world_.AnyPartition(*topic);
  const Offset end = world_.history.high_watermark_floor(partition);
  if (end <= world_.history.deleted_before(partition)) return absl::OkStatus();
  Reader& reader = readers_[world_.random.Below(readers_.size())];
  Place& place = reader.places[partition];
  const Offset begin = world_.history.deleted_before(partition);
  place = {.next = begin};
  const MonotonicTime until = world_.loop.now() + kNearbyBound;
  while (world_.loop.now() < until && world_.violation.ok()) {
    Ask(reader, &place, partition);
    if (!world_.loop.RunUntil([&] { return !place.asking; }, kCallTimeout * 2)) break;
    if (place.next < end) continue;
    if (place.follower != 0) world_.Reached("all-read-nearby");
    if (place.follower != 0 || !HasFollowerIn(reader.rack, partition)) return world_.violation;
    // The leadership has moved meanwhile, or it was not said yet.
    place = {.next = begin};
  }
  RETURN_IF_ERROR(world_.violation);
  return absl::InternalError(absl::StrCat("LIVENESS: ", world_.NameOf(partition), ": a reader in ",
                                          reader.rack, " is at offset ", place.next.value(), " of ",
                                          end.value(), ", and has follower ", place.follower));
}

bool ClusterReaders::HasFollowerIn(const std::string& rack, const TopicPartition& partition) {
  bool follower = false;
  for (const int host : world_.broker_hosts()) {
    if (world_.RackOf(host) != rack) continue;
    const auto state = world_.ReplicaOn(host, partition);
    if (!state) continue;
    if (state->is_leader) return false;
    follower = true;
  }
  return follower;
}

}  // namespace millrace::sim
