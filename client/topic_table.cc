#include "client/topic_table.h"

#include <algorithm>

namespace millrace::client {

void TopicTable::Apply(const api::WatchTopicsResponse& push) {
  metadata_index = std::max(metadata_index, push.metadata_index);
  if (!push.cluster_id.empty()) cluster_id = push.cluster_id;
  for (const api::TopicLeaders& topic : push.topics) topics[topic.topic] = topic;
  if (push.brokers.empty()) return;
  // A push that changes one broker has all of them.
  addresses.clear();
  for (const api::BrokerAddress& broker : push.brokers) {
    addresses[broker.broker_id] = broker.address;
  }
}

const api::TopicLeaders* TopicTable::Find(const std::string& topic) const {
  const auto found = topics.find(topic);
  return found == topics.end() ? nullptr : &found->second;
}

const api::PartitionLeader* TopicTable::Find(const std::string& topic,
                                             PartitionIndex partition) const {
  const api::TopicLeaders* leaders = Find(topic);
  if (leaders == nullptr) return nullptr;
  const auto& partitions = leaders->partitions;
  // Nearly always in order, but no one promises it.
  const auto at = static_cast<size_t>(std::max(0, partition.value()));
  if (at < partitions.size() && partitions[at].partition == partition) return &partitions[at];
  const auto found =
      std::find_if(partitions.begin(), partitions.end(),
                   [&](const api::PartitionLeader& p) { return p.partition == partition; });
  return found == partitions.end() ? nullptr : &*found;
}

std::string TopicTable::AddressOf(NodeId broker) const {
  const auto found = addresses.find(broker);
  return found == addresses.end() ? std::string() : found->second;
}

}  // namespace millrace::client
