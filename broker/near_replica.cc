#include "broker/near_replica.h"

#include "absl/container/inlined_vector.h"

namespace millrace::broker {

bool IsInRack(const metadata::Image& image, NodeId broker, absl::string_view rack) {
  if (rack.empty()) return false;
  const metadata::BrokerImage* const found = image.FindBroker(broker);
  return found != nullptr && found->rack == rack;
}

std::optional<NodeId> NearReplicaOf(const metadata::Image& image, const TopicPartition& partition,
                                    NodeId leader, absl::string_view rack) {
  if (rack.empty() || IsInRack(image, leader, rack)) return std::nullopt;
  const metadata::PartitionImage* const found = image.FindPartition(partition);
  if (found == nullptr || found->leader != leader) return std::nullopt;
  absl::InlinedVector<NodeId, 4> near;
  for (const metadata::ReplicaImage& replica : found->replicas) {
    if (!found->InIsr(replica.broker) || !IsInRack(image, replica.broker, rack)) continue;
    if (image.FindBroker(replica.broker)->state != metadata::BrokerState::kActive) continue;
    near.push_back(replica.broker);
  }
  if (near.empty()) return std::nullopt;
  return near[static_cast<size_t>(partition.partition.value()) % near.size()];
}

}  // namespace millrace::broker
