#include "test/sim/cluster_offsets.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace millrace::sim {
namespace {

constexpr absl::Duration kCallTimeout = absl::Seconds(3);
// Times that are asked for lie so far back at most.
constexpr int64_t kBackMsMax = 20'000;

}  // namespace

void ClusterOffsets::Violation(const TopicPartition& partition, const std::string& what) {
  world_.Note(
      absl::InternalError(absl::StrCat("VIOLATION: ", world_.NameOf(partition), ": ", what)));
}

void ClusterOffsets::Ask() {
  const std::shared_ptr<ClusterTopic> topic = world_.AnyTopic();
  if (topic == nullptr) return;
  const TopicPartition partition = world_.AnyPartition(*topic);
  if (OneIn(world_.random, 2)) return ListOffsets(partition);
  AskForEpoch(partition);
}

void ClusterOffsets::OnRead(const TopicPartition& partition, LeaderEpoch epoch,
                            const std::vector<ReadRecord>& records) {
  for (const ReadRecord& record : records) {
    ReadUpTo& read = read_[{partition, record.leader_epoch}];
    if (record.offset < read.end) continue;
    read = {record.offset + 1, std::max(read.in, epoch)};
  }
}

// ---- Begin, end, times ----

void ClusterOffsets::ListOffsets(const TopicPartition& partition) {
  constexpr api::OffsetPosition kSome[] = {
      api::OffsetPosition::kEarliest, api::OffsetPosition::kLatest, api::OffsetPosition::kLatest,
      api::OffsetPosition::kTimestamp};
  SimRandom& random = world_.random;
  const api::OffsetPosition position = kSome[random.Below(4)];
  api::ListOffsetsRequest request;
  request.partitions.push_back(
      {.name = {.topic_id = partition.topic_id, .partition = partition.partition},
       .position = position,
       .timestamp_ms = SimClock::kWallOrigin + world_.loop.now().nanos() / 1'000'000 -
                       static_cast<int64_t>(random.Below(kBackMsMax))});
  const api::ListOffsetsPartition asked = request.partitions[0];
  const Offset since = world_.history.FirstSince(partition, asked.timestamp_ms);
  world_.Ask<api::ListOffsetsPartitionResult>(
      calls_.LeaderOf(partition), kCallTimeout,
      [request, shard = random.Next()](SimServer& server,
                                       std::function<void(api::ListOffsetsPartitionResult)> reply) {
        ClusterCalls::AtBroker(server, shard, [request, reply](broker::Broker& broker) {
          broker.ListOffsets(
              request, ClusterCalls::AsClient(),
              [reply](const api::ListOffsetsResponse& response) { reply(response.partitions[0]); });
        });
      },
      [this, partition, asked,
       before = Before{latest_[partition], deletions_.promised(partition), since}](
          const absl::StatusOr<api::ListOffsetsPartitionResult>& result) {
        if (!result.ok()) return calls_.Forget(partition);
        calls_.Learn(partition, result->outcome);
        if (!result->outcome.ok()) {
          return world_.Reached(absl::StrCat("offsets-", ErrorCodeName(result->outcome.code)));
        }
        if (!world_.history.may_have_lost(partition)) {
          OnListed(partition, asked, before, *result);
        }
      });
}

void ClusterOffsets::OnListed(const TopicPartition& partition,
                              const api::ListOffsetsPartition& asked, const Before& before,
                              const api::ListOffsetsPartitionResult& result) {
  switch (asked.position) {
    case api::OffsetPosition::kEarliest:
      world_.Reached("offsets-earliest");
      return deletions_.OnStart(partition, before.promise, result.leader_epoch, result.offset);
    case api::OffsetPosition::kTimestamp:
      if (result.offset == kNoOffset) {
        world_.Reached("offsets-none-by-time");
        // It may have been deleted, or lost by a topic that promises less, while this was asked.
        const bool there = before.since != kNoOffset &&
                           world_.history.FirstSince(partition, asked.timestamp_ms) == before.since;
        if (!there) return;
        return Violation(partition,
                         absl::StrCat("S-38: the leader of epoch ", result.leader_epoch.value(),
                                      " finds none from ", asked.timestamp_ms, " on, and ",
                                      before.since.value(), " was committed before"));
      }
      world_.Reached("offsets-by-time");
      return world_.Note(world_.history.OnHighWatermark(partition, Offset(0), result.offset + 1));
    default:
      break;
  }
  world_.Reached("offsets-latest");
  for (const auto& [epoch, offset] : before.latest) {
    if (epoch > result.leader_epoch || offset <= result.offset) continue;
    Violation(partition, absl::StrCat("S-38: latest was ", offset.value(), " in leader epoch ",
                                      epoch.value(), ", and is ", result.offset.value(), " in ",
                                      result.leader_epoch.value()));
  }
  Offset& latest = latest_[partition][result.leader_epoch];
  latest = std::max(latest, result.offset);
  world_.Note(world_.history.OnHighWatermark(partition, Offset(0), result.offset));
}

// ---- Ends of leader epochs ----

void ClusterOffsets::AskForEpoch(const TopicPartition& partition) {
  const std::optional<LeaderHint> leader = calls_.KnownLeader(partition);
  if (!leader || leader->leader_epoch == kNoLeaderEpoch) return;
  const LeaderEpoch current = leader->leader_epoch;
  const LeaderEpoch asked(
      static_cast<int32_t>(world_.random.Below(static_cast<uint64_t>(current.value()) + 1)));
  api::OffsetForLeaderEpochRequest request;
  request.partitions.push_back(
      {.name = {.topic_id = partition.topic_id, .partition = partition.partition},
       .current_leader_epoch = current,
       .leader_epoch = asked});
  const auto read = read_.find({partition, asked});
  world_.Ask<api::OffsetForLeaderEpochPartitionResult>(
      leader->leader.value(), kCallTimeout,
      [request, shard = world_.random.Next()](
          SimServer& server, std::function<void(api::OffsetForLeaderEpochPartitionResult)> reply) {
        ClusterCalls::AtBroker(server, shard, [request, reply](broker::Broker& broker) {
          broker.OffsetForLeaderEpoch(request, ClusterCalls::AsClient(),
                                      [reply](const api::OffsetForLeaderEpochResponse& response) {
                                        reply(response.partitions[0]);
                                      });
        });
      },
      [this, partition, current, asked, read = read == read_.end() ? ReadUpTo() : read->second](
          const absl::StatusOr<api::OffsetForLeaderEpochPartitionResult>& result) {
        if (!result.ok()) return calls_.Forget(partition);
        if (!result->outcome.ok()) {
          calls_.Learn(partition, result->outcome);
          return world_.Reached(absl::StrCat("epoch-end-", ErrorCodeName(result->outcome.code)));
        }
        if (world_.history.may_have_lost(partition)) return;
        OnEpochEnd(partition, current, asked, read, {result->leader_epoch, result->end_offset});
      });
}

void ClusterOffsets::OnEpochEnd(const TopicPartition& partition, LeaderEpoch current,
                                LeaderEpoch asked, const ReadUpTo& read, const EpochEnd& told) {
  const std::string what =
      absl::StrCat("the leader of epoch ", current.value(), " says that ", asked.value(),
                   " ends as ", told.epoch.value(), " at ", told.end.value());
  if (told.epoch > asked) return Violation(partition, what);
  if (read.in <= current && read.end > Offset(0)) {
    world_.Reached("epoch-end-of-what-was-read");
    // An epoch all of whose records are deleted is forgotten.
    const bool there = read.end > world_.history.deleted_before(partition);
    if (there && (told.epoch != asked || told.end < read.end)) {
      return Violation(partition, absl::StrCat(what, ", and ", read.end.value() - 1,
                                               " of it was read in epoch ", read.in.value()));
    }
  }
  if (asked == current) return;
  world_.Reached("epoch-end-of-an-earlier-one");
  const auto [known, first] = ends_.try_emplace({partition, current, asked}, told);
  if (known->second.epoch == told.epoch && known->second.end == told.end) return;
  if (told.end <= world_.history.deleted_before(partition)) return;
  Violation(partition, absl::StrCat(what, ", and said as ", known->second.epoch.value(), " at ",
                                    known->second.end.value()));
}

}  // namespace millrace::sim
