#include "broker/in_sync_counts.h"

#include <algorithm>

namespace millrace::broker {

void InSyncCounts::Note(const TopicPartition& topic_partition, bool leads, int in_sync,
                        int replicas, int min_in_sync) {
  Forget(topic_partition);
  if (!leads) return;
  // More than there are cannot be asked for (S-16).
  const int min = std::min(min_in_sync, replicas);
  if (in_sync < replicas) under_replicated_.insert(topic_partition);
  if (in_sync == min) at_min_.insert(topic_partition);
  if (in_sync < min) under_min_.insert(topic_partition);
}

void InSyncCounts::Forget(const TopicPartition& topic_partition) {
  under_replicated_.erase(topic_partition);
  at_min_.erase(topic_partition);
  under_min_.erase(topic_partition);
}

}  // namespace millrace::broker
