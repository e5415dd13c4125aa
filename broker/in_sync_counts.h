// InSyncCounts: of the partitions that a shard leads, how many lack replicas in sync.
//
// Thread: its shard's executor.
#ifndef BROKER_IN_SYNC_COUNTS_H_
#define BROKER_IN_SYNC_COUNTS_H_

#include <set>

#include "base/ids.h"
#include "broker/replica.h"
#include "metadata/image.h"

namespace millrace::broker {

class InSyncCounts {
 public:
  // What the metadata says of the partition, and whether the replica here leads it.
  void Note(const Replica& replica, const metadata::PartitionImage& partition) {
    Note(replica.topic_partition(), replica.is_leader(), static_cast<int>(partition.isr.size()),
         partition.replication_factor(), replica.settings().min_insync_replicas);
  }
  void Note(const TopicPartition& topic_partition, bool leads, int in_sync, int replicas,
            int min_in_sync);
  void Forget(const TopicPartition& topic_partition);

  // With fewer replicas in sync than they have.
  size_t under_replicated() const { return under_replicated_.size(); }
  // With just as many as min.insync.replicas asks for, or with fewer.
  size_t at_min() const { return at_min_.size(); }
  size_t under_min() const { return under_min_.size(); }

 private:
  std::set<TopicPartition> under_replicated_;
  std::set<TopicPartition> at_min_;
  std::set<TopicPartition> under_min_;
};

}  // namespace millrace::broker

#endif  // BROKER_IN_SYNC_COUNTS_H_
