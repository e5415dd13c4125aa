#include "test/sim/cluster_damage.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "test/sim/disk_faults.h"

namespace millrace::sim {

void ClusterDamage::Inflict() {
  for (const auto& topic : world_.topics) {
    for (int i = 0; i < topic->partitions; ++i) {
      if (OneIn(world_.random, 2)) Rot(*topic, i);
    }
  }
}

// Whether another one is in sync.
bool ClusterDamage::CanSpareOne(const TopicPartition& id) {
  const metadata::Image* const image = world_.committed_image();
  const metadata::PartitionImage* const partition =
      image == nullptr ? nullptr : image->FindPartition(id);
  return partition != nullptr && partition->isr.size() > 1;
}

// In the last segment: of earlier ones a start reads no more than it must.
void ClusterDamage::InflictAtRest() {
  for (const auto& topic : world_.topics) {
    for (int i = 0; i < topic->partitions && topic->durable; ++i) {
      if (OneIn(world_.random, 2) || !CanSpareOne(topic->Partition(i))) continue;
      const int host = world_.any(world_.broker_hosts());
      for (const char* log_dir : {"disk-a", "disk-b"}) {
        const std::string directory = absl::StrCat(log_dir, "/", topic->name, "-", i);
        const RotWhere where =
            OneIn(world_.random, 2) ? RotWhere::kLastSegment : RotWhere::kLastBatch;
        const bool rotted = RotLog(&world_.server(host).disk(), directory, &world_.random, where);
        if (rotted) world_.Reached("log-rotted-at-rest");
      }
    }
  }
}

void ClusterDamage::Rot(const ClusterTopic& topic, int partition) {
  std::vector<int> holders;
  for (const int host : world_.broker_hosts()) {
    if (world_.ReplicaOn(host, topic.Partition(partition))) holders.push_back(host);
  }
  if (holders.size() < 2) return;
  const int host = world_.any(holders);
  const bool leads = world_.ReplicaOn(host, topic.Partition(partition))->is_leader;
  SimFileSystem& disk = world_.server(host).disk();
  const int flips = 1 + static_cast<int>(world_.random.Below(2));
  for (int i = 0; i < flips; ++i) {
    for (const char* log_dir : {"disk-a", "disk-b"}) {
      const std::string directory = absl::StrCat(log_dir, "/", topic.name, "-", partition);
      if (!RotLog(&disk, directory, &world_.random)) continue;
      world_.Reached(i > 0 ? "log-rotted-twice" : "log-rotted");
      if (leads) world_.Reached("log-rotted-of-the-leader");
    }
  }
}

}  // namespace millrace::sim
