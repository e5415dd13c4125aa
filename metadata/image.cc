#include "metadata/image.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/host_port.h"

namespace millrace::metadata {

std::string Listener::address() const { return HostPort(host, port); }

std::string Listener::ToString() const { return absl::StrCat(name, "://", address()); }

const Listener* BrokerImage::FindListener(absl::string_view listener_name) const {
  for (const Listener& listener : listeners) {
    if (listener.name == listener_name) return &listener;
  }
  return nullptr;
}

const Listener* BrokerImage::ListenerFor(absl::string_view listener_name) const {
  if (const Listener* const named = FindListener(listener_name); named != nullptr) return named;
  return listeners.empty() ? nullptr : &listeners.front();
}

bool BrokerImage::HasWorkingLogDir(DirectoryId directory) const {
  const LogDirImage* const dir = FindLogDir(directory);
  return dir != nullptr && !dir->failed;
}

bool BrokerImage::HasSlowLogDir(DirectoryId directory) const {
  const LogDirImage* const dir = FindLogDir(directory);
  return dir != nullptr && dir->slow;
}

const LogDirImage* BrokerImage::FindLogDir(DirectoryId directory) const {
  for (const LogDirImage& dir : log_dirs) {
    if (dir.id == directory) return &dir;
  }
  return nullptr;
}

bool PartitionImage::IsReplica(NodeId broker) const {
  return std::any_of(replicas.begin(), replicas.end(),
                     [&](const ReplicaImage& replica) { return replica.broker == broker; });
}

bool PartitionImage::InIsr(NodeId broker) const {
  return std::find(isr.begin(), isr.end(), broker) != isr.end();
}

bool PartitionImage::InElr(NodeId broker) const {
  return std::find(elr.begin(), elr.end(), broker) != elr.end();
}

bool PartitionImage::IsAdding(NodeId broker) const {
  return std::find(adding.begin(), adding.end(), broker) != adding.end();
}

BrokerList PartitionImage::Removing() const {
  BrokerList removing;
  if (!IsReassigned()) return removing;
  for (const ReplicaImage& replica : replicas) {
    const bool stays = std::find(target.begin(), target.end(), replica.broker) != target.end();
    if (!stays) removing.push_back(replica.broker);
  }
  return removing;
}

DirectoryId PartitionImage::DirectoryOf(NodeId broker) const {
  for (const ReplicaImage& replica : replicas) {
    if (replica.broker == broker) return replica.directory;
  }
  return DirectoryId();
}

void TopicImage::ForEachPartition(
    const std::function<void(PartitionIndex, const PartitionImage&)>& visit) const {
  partitions.ForEach(visit);
}

const TopicImage* Image::FindTopic(absl::string_view name) const {
  const TopicId* id = topic_ids_.Find(std::string(name));
  return id == nullptr ? nullptr : FindTopic(*id);
}

const PartitionImage* Image::FindPartition(const TopicPartition& partition) const {
  const TopicImage* topic = FindTopic(partition.topic_id);
  return topic == nullptr ? nullptr : topic->FindPartition(partition.partition);
}

const ConfigValues& Image::ConfigsOf(const ConfigOwner& owner) const {
  // Immutable and never destroyed: what all owners without configs share.
  static const ConfigValues* const kNone = new ConfigValues();
  const ConfigValues* values = configs_.Find(owner);
  return values == nullptr ? *kNone : *values;
}

void Image::ForEachBroker(const std::function<void(const BrokerImage&)>& visit) const {
  brokers_.ForEach([&](NodeId, const BrokerImage& broker) { visit(broker); });
}

void Image::ForEachTopic(const std::function<void(const TopicImage&)>& visit) const {
  topics_.ForEach([&](const TopicId&, const TopicImage& topic) { visit(topic); });
}

void Image::ForEachConfig(
    const std::function<void(const ConfigOwner&, const ConfigValues&)>& visit) const {
  configs_.ForEach(visit);
}

std::vector<const TopicImage*> Image::TopicsByName() const {
  std::vector<const TopicImage*> topics;
  topics.reserve(topics_.size());
  topic_ids_.ForEach([&](const std::string&, TopicId id) { topics.push_back(topics_.Find(id)); });
  return topics;
}

}  // namespace millrace::metadata
