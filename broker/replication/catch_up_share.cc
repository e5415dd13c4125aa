#include "broker/replication/catch_up_share.h"

#include <algorithm>

#include "broker/replication/shard_index.h"

namespace millrace::broker {

void CatchUpShare::Note(const metadata::Image& image, const TopicPartition& id) {
  const metadata::PartitionImage* const partition = image.FindPartition(id);
  const bool counts =
      partition != nullptr && partition->leader == self_ && partition->throttle_bytes_per_s > 0;
  if (counts) {
    throttles_[id] = partition->throttle_bytes_per_s;
  } else {
    throttles_.erase(id);
  }
}

int64_t CatchUpShare::OnImage(const metadata::Image& image, const metadata::Delta& delta) {
  for (const TopicPartition& id : delta.partitions_changed) Note(image, id);
  // The partitions of topics that are gone are not listed.
  if (!delta.topics_removed.empty() || !delta.topics_absent.empty()) {
    std::erase_if(throttles_, [&](const auto& throttle) {
      return image.FindPartition(throttle.first) == nullptr;
    });
  }
  if (throttles_.empty()) return 0;
  int64_t least = throttles_.begin()->second;
  int64_t own = 0;
  for (const auto& [id, throttle] : throttles_) {
    least = std::min(least, throttle);
    own += ShardIndexOf(id, shard_count_) == shard_ ? 1 : 0;
  }
  // Nobody here is held back by it.
  if (own == 0) return 0;
  const double share = static_cast<double>(own) / static_cast<double>(throttles_.size());
  return std::max(static_cast<int64_t>(static_cast<double>(least) * share), int64_t{1});
}

}  // namespace millrace::broker
