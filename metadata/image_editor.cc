#include "metadata/image_editor.h"

namespace millrace::metadata {

void ImageEditor::AddTopic(TopicId id, std::string name) {
  image_.topic_ids_.Set(name, id);
  open_topics_[id] = TopicImage{.id = id, .name = std::move(name), .partitions = {}};
}

void ImageEditor::RemoveTopic(TopicId id) {
  const TopicImage* topic = OpenTopic(id);
  if (topic == nullptr) return;
  // A topic made again under the same name has the name now.
  const TopicId* named = image_.topic_ids_.Find(topic->name);
  if (named != nullptr && *named == id) image_.topic_ids_.Erase(topic->name);
  image_.configs_.Erase(ConfigOwner::Topic(id));
  open_topics_.erase(id);
  image_.topics_.Erase(id);
}

const PartitionImage* ImageEditor::FindPartition(const TopicPartition& partition) {
  const TopicImage* topic = OpenTopic(partition.topic_id);
  return topic == nullptr ? nullptr : topic->FindPartition(partition.partition);
}

void ImageEditor::SetPartition(const TopicPartition& partition, PartitionImage image) {
  TopicImage* topic = OpenTopic(partition.topic_id);
  if (topic != nullptr) topic->partitions.Set(partition.partition, std::move(image));
}

void ImageEditor::SetConfig(const ConfigOwner& owner, const std::string& key,
                            const std::string* value) {
  const ConfigValues* before = image_.configs_.Find(owner);
  ConfigValues after = before == nullptr ? ConfigValues() : *before;
  if (value != nullptr) {
    after[key] = *value;
  } else {
    after.erase(key);
  }
  if (after.empty()) {
    image_.configs_.Erase(owner);
  } else {
    image_.configs_.Set(owner, std::move(after));
  }
}

Image ImageEditor::Finish() && {
  for (auto& [id, topic] : open_topics_) image_.topics_.Set(id, std::move(topic));
  return std::move(image_);
}

TopicImage* ImageEditor::OpenTopic(TopicId id) {
  auto it = open_topics_.find(id);
  if (it != open_topics_.end()) return &it->second;
  const TopicImage* topic = image_.topics_.Find(id);
  if (topic == nullptr) return nullptr;
  return &open_topics_.emplace(id, *topic).first->second;
}

}  // namespace millrace::metadata
