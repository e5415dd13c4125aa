#include "test/sim/cluster_elections.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "test/sim/client_records.h"
#include "test/sim/cluster_logs.h"

namespace millrace::sim {

ClusterElections::ClusterElections(ClusterState* world)
    : world_(*world), random_(world->random.Fork("elections")) {
  world_.history.SetWrittenIn(
      [this](const TopicPartition& partition, Offset offset, int64_t number) {
        return WrittenIn(world_, partition, offset, number);
      });
}

// The controller that leads knows first what is committed, and no broker before it: no election is
// missed by looking at the newest image only.
void ClusterElections::AfterEvent() {
  const metadata::Image* const image = world_.committed_image();
  if (image == nullptr || image->index() <= seen_) return;
  seen_ = image->index();
  Look(*image);
}

void ClusterElections::Look(const metadata::Image& image) {
  image.ForEachTopic([this](const metadata::TopicImage& topic) {
    topic.ForEachPartition([&](PartitionIndex index, const metadata::PartitionImage& partition) {
      world_.newest_epochs[{topic.id, index}] = partition.leader_epoch;
      // It stays so until a leader has taken its log for the partition's.
      if (partition.recovery_state != metadata::RecoveryState::kRecovering) return;
      if (partition.leader == kNoNode) return;
      OnElected({topic.id, index}, partition.leader, partition.leader_epoch);
    });
  });
}

void ClusterElections::OnElected(const TopicPartition& partition, NodeId leader,
                                 LeaderEpoch epoch) {
  const auto [known, first] = world_.elected_without_proof.try_emplace(partition, epoch);
  if (!first && known->second == epoch) return;
  known->second = epoch;
  const ClusterTopic* const topic = world_.FindEvenDeleted(partition.topic_id);
  if (topic == nullptr) return;
  // Nor does it prove that it has heard of all deletions.
  world_.history.OnDeletionsMayBeUndone(partition);
  if (topic->unclean) return GiveUp(*topic, partition, leader.value(), epoch);
  world_.Reached("elected-among-last-copies");
  if (!topic->durable) return;
  world_.Note(absl::InternalError(absl::StrCat(
      "VIOLATION: ", world_.NameOf(partition), ": broker ", leader.value(),
      " may lack what was acknowledged, and is elected in leader epoch ", epoch.value())));
}

// Of what is only in its page cache nobody knows whether it will stay.
void ClusterElections::GiveUp(const ClusterTopic& topic, const TopicPartition& partition,
                              int leader, LeaderEpoch epoch) {
  world_.Reached("elected-without-proof");
  const std::unique_ptr<SimFileSystem> disk =
      world_.server(leader).disk().CrashImage(CrashMode::kLoseAll, random_);
  std::vector<ReadRecord> kept;
  const std::vector<std::string> copies = CopiesOn(*disk, topic, partition.partition);
  for (size_t i = 0; i < copies.size(); ++i) {
    const auto records = RecordsIn(copies[i], Offset(0));
    if (!records.ok()) return world_.Note(records.status());
    if (i == 0) {
      kept = *records;
      continue;
    }
    // Which of them is the replica is for the broker to know.
    std::erase_if(kept, [&](const ReadRecord& record) {
      return std::none_of(records->begin(), records->end(), [&](const ReadRecord& other) {
        return other.offset == record.offset && other.value == record.value;
      });
    });
  }
  const size_t before = world_.history.given_up(partition);
  world_.history.OnElectedWithoutProof(partition, epoch, kept);
  if (world_.history.given_up(partition) > before) world_.Reached("records-given-up");
  if (!kept.empty()) world_.Reached("records-kept");
}

// A replica that leads by right has everything (S-03).
absl::Status ClusterElections::LossesAreAccountedFor() const {
  for (const TopicPartition& partition : world_.sequences_lost) {
    if (world_.elected_without_proof.contains(partition)) continue;
    return absl::InternalError(
        absl::StrCat("VIOLATION: ", world_.NameOf(partition),
                     ": batches of a producer were lost, and every leader was elected by right"));
  }
  return absl::OkStatus();
}

}  // namespace millrace::sim
