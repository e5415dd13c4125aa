#include "test/sim/committed_logs.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "record/batch_view.h"
#include "test/sim/cluster_logs.h"

namespace millrace::sim {

void CommittedLogs::Look() {
  for (const int host : world_.broker_hosts()) {
    SimServer& server = world_.server(host);
    if (!server.serving() || server.paused()) continue;
    const Run run = {host, server.incarnation()};
    server.controller().RunNow([&] {
      server.node().broker().DescribeLogDirs(
          [this, run](const std::vector<broker::LogDirDescription>& dirs) { Check(run, dirs); });
    });
  }
}

void CommittedLogs::Check(Run run, const std::vector<broker::LogDirDescription>& dirs) {
  for (const broker::LogDirDescription& dir : dirs) {
    for (const broker::ReplicaState& replica : dir.replicas) {
      const ClusterTopic* const topic = world_.Find(replica.topic_partition.topic_id);
      if (topic == nullptr || !replica.status.ok()) continue;
      world_.Note(CheckLeadership(run, replica));
      if (!HoldsWhatIsPromised(*topic, replica)) continue;
      if (topic->durable || !world_.options.power_losses) {
        world_.Note(CheckCommitted(run.first, *topic, replica));
      } else {
        committed_.erase(replica.topic_partition);
      }
    }
  }
}

bool CommittedLogs::HoldsWhatIsPromised(const ClusterTopic& topic,
                                        const broker::ReplicaState& replica) {
  const auto elected = world_.elected_without_proof.find(replica.topic_partition);
  if (!topic.unclean || elected == world_.elected_without_proof.end()) return true;
  if (!replica.is_leader || replica.leader_epoch < elected->second) return false;
  LeaderEpoch& since = committed_since_[replica.topic_partition];
  if (since < elected->second) committed_.erase(replica.topic_partition);
  since = elected->second;
  return true;
}

absl::Status CommittedLogs::CheckLeadership(Run run, const broker::ReplicaState& replica) {
  if (!replica.is_leader) return absl::OkStatus();
  const auto [known, first] =
      leaderships_.try_emplace({replica.topic_partition, replica.leader_epoch},
                               Leadership{.leader = run, .high_watermark = replica.high_watermark});
  if (first) return absl::OkStatus();
  Leadership& leadership = known->second;
  const std::string where = absl::StrCat(world_.NameOf(replica.topic_partition),
                                         " in leader epoch ", replica.leader_epoch.value());
  if (leadership.leader != run) {
    return absl::InternalError(absl::StrCat(
        "VIOLATION: ", where, " is led by run ", run.second, " of broker ", run.first,
        " and was by run ", leadership.leader.second, " of broker ", leadership.leader.first));
  }
  if (replica.high_watermark < leadership.high_watermark) {
    return absl::InternalError(absl::StrCat("VIOLATION: the high watermark of ", where,
                                            " fell from ", leadership.high_watermark.value(),
                                            " to ", replica.high_watermark.value()));
  }
  leadership.high_watermark = replica.high_watermark;
  return absl::OkStatus();
}

absl::Status CommittedLogs::CheckCommitted(int host, const ClusterTopic& topic,
                                           const broker::ReplicaState& replica) {
  std::map<Offset, Batch>& committed = committed_[replica.topic_partition];
  // A cut and what follows on it may not have reached the files yet.
  const Offset end = std::min(replica.high_watermark, replica.written_offset);
  // Nor may the end of the log of before where one begins anew.
  if (end <= replica.log_start_offset) return absl::OkStatus();
  const std::string log = LogOn(world_, host, topic, replica.topic_partition.partition);
  for (Slice rest = log; !rest.empty();) {
    const auto batch = record::BatchView::Parse(rest);
    // Damage is for the scrub to find; above the high watermark a batch may be half written.
    if (!batch.ok() || batch->next_offset() > end) break;
    const Batch here = {batch->crc(), batch->size(), batch->next_offset()};
    const auto [known, first] = committed.try_emplace(batch->base_offset(), here);
    if (known->second.crc != here.crc || known->second.size != here.size) {
      return absl::InternalError(absl::StrCat(
          "VIOLATION: ", world_.NameOf(replica.topic_partition), " on ", host, " has at offset ",
          batch->base_offset().value(), ", below its high watermark ",
          replica.high_watermark.value(), ", another batch than was committed there"));
    }
    const auto before = known == committed.begin() ? committed.end() : std::prev(known);
    // What was deleted nobody may have looked at.
    const bool follows = batch->base_offset() > replica.log_start_offset;
    if (follows && first && before != committed.end() &&
        before->second.next != batch->base_offset()) {
      return absl::InternalError(absl::StrCat(
          "VIOLATION: ", world_.NameOf(replica.topic_partition), " on ", host, " has a batch at ",
          batch->base_offset().value(), " where none was committed"));
    }
    rest.remove_prefix(batch->size());
  }
  world_.Reached("committed-compared");
  return absl::OkStatus();
}

}  // namespace millrace::sim
