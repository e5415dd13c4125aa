#include "test/sim/cluster_deletions.h"

#include <functional>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace millrace::sim {
namespace {

constexpr absl::Duration kCallTimeout = absl::Seconds(4);

}  // namespace

void ClusterDeletions::Delete() {
  const std::shared_ptr<ClusterTopic> topic = world_.AnyTopic();
  if (topic == nullptr) return;
  const TopicPartition partition = world_.AnyPartition(*topic);
  SimRandom& random = world_.random;
  // Mostly some; all that is known to be committed at times.
  const auto known = static_cast<uint64_t>(world_.history.high_watermark_floor(partition).value());
  const Offset before(static_cast<int64_t>(OneIn(random, 4) ? known : random.Below(known / 2 + 1)));
  api::DeleteRecordsRequest request;
  request.timeout = Between(random, absl::Milliseconds(100), absl::Seconds(3));
  request.partitions.push_back(
      {.name = {.topic_id = partition.topic_id, .partition = partition.partition},
       .before_offset = before});
  // It may take effect and its answer be lost: what is below is not promised from here on.
  world_.history.OnDeletedBefore(partition, before, /*done=*/false);
  world_.Ask<api::DeleteRecordsPartitionResult>(
      calls_.LeaderOf(partition), kCallTimeout,
      [request, shard = random.Next()](
          SimServer& server, std::function<void(api::DeleteRecordsPartitionResult)> reply) {
        ClusterCalls::AtBroker(server, shard, [request, reply](broker::Broker& broker) {
          broker.DeleteRecords(request, ClusterCalls::AsClient(),
                               [reply](const api::DeleteRecordsResponse& response) {
                                 reply(response.partitions[0]);
                               });
        });
      },
      [this, partition, before](const absl::StatusOr<api::DeleteRecordsPartitionResult>& result) {
        if (!result.ok()) {
          calls_.Forget(partition);
          return world_.Reached("delete-records-unanswered");
        }
        calls_.Learn(partition, result->outcome);
        OnAnswer(partition, before, *result);
      });
}

void ClusterDeletions::OnAnswer(const TopicPartition& partition, Offset before,
                                const api::DeleteRecordsPartitionResult& result) {
  if (!result.outcome.ok()) {
    return world_.Reached(absl::StrCat("delete-records-", ErrorCodeName(result.outcome.code)));
  }
  world_.Reached("records-deleted");
  if (result.log_start_offset < before) {
    return world_.Note(absl::InternalError(absl::StrCat(
        "VIOLATION: ", world_.NameOf(partition), ": records below ", before.value(),
        " are said to be deleted, and that the log begins at ", result.log_start_offset.value())));
  }
  // Promised is what the quorum elects by right.
  if (world_.elected_without_proof.contains(partition)) return;
  world_.history.OnDeletedBefore(partition, before, /*done=*/true);
  Promise& promise = promises_[partition];
  if (before <= promise.start) return;
  promise = {.start = before, .since = world_.newest_epochs[partition]};
}

ClusterDeletions::Promise ClusterDeletions::promised(const TopicPartition& partition) const {
  const auto found = promises_.find(partition);
  return found == promises_.end() ? Promise() : found->second;
}

void ClusterDeletions::OnStart(const TopicPartition& partition, const Promise& promise,
                               LeaderEpoch epoch, Offset start) {
  const Offset most = world_.history.deleted_before(partition);
  const bool kept = epoch < promise.since || start >= promise.start ||
                    world_.elected_without_proof.contains(partition);
  if (kept && start <= most) return;
  world_.Note(absl::InternalError(absl::StrCat(
      "VIOLATION: ", world_.NameOf(partition), ": the log begins at ", start.value(),
      " in leader epoch ", epoch.value(), "; records below ", promise.start.value(),
      " were deleted in ", promise.since.value(), ", and it was asked for below ", most.value())));
}

}  // namespace millrace::sim
