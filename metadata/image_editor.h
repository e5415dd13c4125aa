// ImageEditor: the one who makes images, for apply.cc (from records), image_store.cc (from the
// store) and image_snapshot.cc. Nobody else but image_parts.h includes this.
//
// It holds a copy of an image and changes it; topics that are changed often in one go are kept
// aside until Finish, so that a thousand partitions of a topic cost one change of the topics' map.
//
// Thread: one owner.
#ifndef METADATA_IMAGE_EDITOR_H_
#define METADATA_IMAGE_EDITOR_H_

#include <map>
#include <string>
#include <utility>

#include "metadata/image.h"

namespace millrace::metadata {

class ImageEditor {
 public:
  explicit ImageEditor(Image image) : image_(std::move(image)) {}

  void SetIndex(LogIndex index) { image_.index_ = index; }
  void SetClusterId(ClusterId id) { image_.cluster_id_ = id; }
  void SetFeatureLevel(int level) { image_.feature_level_ = level; }
  int feature_level() const { return image_.feature_level_; }
  void SetNextProducerId(ProducerId id) { image_.next_producer_id_ = id; }
  ProducerId next_producer_id() const { return image_.next_producer_id_; }

  const BrokerImage* FindBroker(NodeId id) const { return image_.brokers_.Find(id); }
  void SetBroker(BrokerImage broker) {
    const NodeId id = broker.id;
    image_.brokers_.Set(id, std::move(broker));
  }
  // With its configs.
  void RemoveBroker(NodeId id) {
    image_.configs_.Erase(ConfigOwner::Broker(id));
    image_.brokers_.Erase(id);
  }

  void AddTopic(TopicId id, std::string name);
  // With its partitions and configs.
  void RemoveTopic(TopicId id);

  // Null if there is no such topic or partition; valid until the next call.
  const PartitionImage* FindPartition(const TopicPartition& partition);
  // A partition of a topic that is not there is dropped: there is nothing to change.
  void SetPartition(const TopicPartition& partition, PartitionImage image);

  // Absent value: unset.
  void SetConfig(const ConfigOwner& owner, const std::string& key, const std::string* value);

  CompletedRequests& completed_requests() { return image_.completed_requests_; }

  // REQUIRES: called once, last.
  Image Finish() &&;

 private:
  // The topic as it will be; null if there is none.
  TopicImage* OpenTopic(TopicId id);

  Image image_;
  std::map<TopicId, TopicImage> open_topics_;
};

}  // namespace millrace::metadata

#endif  // METADATA_IMAGE_EDITOR_H_
