// Builders of records and images for the tests of this folder.
//
// Thread: tests only.
#ifndef METADATA_TEST_IMAGE_H_
#define METADATA_TEST_IMAGE_H_

#include <string>
#include <utility>
#include <vector>

#include "metadata/apply.h"
#include "metadata/image_records.h"
#include "metadata/record_types.h"

namespace millrace::metadata {

inline TopicId TestTopicId(uint64_t n) { return TopicId(Uuid(1, n)); }
inline DirectoryId TestDirectory(uint64_t n) { return DirectoryId(Uuid(2, n)); }

inline rsm::Record Founded() {
  records::ClusterFoundedRecord record;
  record.set_cluster_id(Uuid(7, 7).ToBytes());
  record.set_feature_level(1);
  return Encode(record);
}

inline rsm::Record Registered(int id, uint64_t incarnation) {
  records::BrokerRegistrationRecord record;
  record.set_broker_id(id);
  record.set_incarnation_id(Uuid(3, incarnation).ToBytes());
  auto* listener = record.add_listeners();
  listener->set_name("PLAINTEXT");
  listener->set_host("localhost");
  listener->set_port(9092);
  record.set_rack("r");
  auto* dir = record.add_log_dirs();
  dir->set_directory_id(TestDirectory(static_cast<uint64_t>(id)).ToBytes());
  dir->set_last_open_broker_epoch(4);
  dir->set_trusted(true);
  record.set_feature_level_min(1);
  record.set_feature_level_max(1);
  record.set_version("1.0");
  return Encode(record);
}

// Its directory, last open under broker epoch 4, was last there at the registration of 300.
inline rsm::Record RegisteredWithout(int id, uint64_t incarnation) {
  records::BrokerRegistrationRecord record;
  record.set_broker_id(id);
  record.set_incarnation_id(Uuid(3, incarnation).ToBytes());
  auto* dir = record.add_log_dirs();
  dir->set_directory_id(TestDirectory(static_cast<uint64_t>(id)).ToBytes());
  dir->set_last_open_broker_epoch(4);
  dir->set_trusted(true);
  dir->set_failed(true);
  dir->set_last_registered_broker_epoch(300);
  return Encode(record);
}

inline rsm::Record BrokerBecame(int id, int64_t epoch, records::BrokerState state) {
  records::BrokerChangeRecord record;
  record.set_broker_id(id);
  record.set_broker_epoch(epoch);
  record.set_state(state);
  return Encode(record);
}

// Its directory failed.
inline rsm::Record DirectoryFailed(int id, int64_t epoch, records::BrokerState state) {
  records::BrokerChangeRecord record;
  record.set_broker_id(id);
  record.set_broker_epoch(epoch);
  record.set_state(state);
  record.add_failed_directories(TestDirectory(static_cast<uint64_t>(id)).ToBytes());
  return Encode(record);
}

// Active, with only its own directory slow, or none.
inline rsm::Record DirectoryBecame(int id, int64_t epoch, bool slow) {
  records::BrokerChangeRecord record;
  record.set_broker_id(id);
  record.set_broker_epoch(epoch);
  record.set_state(records::BROKER_STATE_ACTIVE);
  records::DirectoryIdList* const list = record.mutable_slow_directories();
  if (slow) list->add_ids(TestDirectory(static_cast<uint64_t>(id)).ToBytes());
  return Encode(record);
}

inline rsm::Record TopicMade(uint64_t n, std::string name) {
  records::TopicRecord record;
  record.set_topic_id(TestTopicId(n).ToBytes());
  record.set_name(std::move(name));
  return Encode(record);
}

inline rsm::Record TopicGone(uint64_t n) {
  records::TopicRemovedRecord record;
  record.set_topic_id(TestTopicId(n).ToBytes());
  return Encode(record);
}

// Three replicas, all in sync, led by the first.
inline PartitionImage TestPartition() {
  PartitionImage partition;
  for (int id = 1; id <= 3; ++id) {
    partition.replicas.push_back({NodeId(id), TestDirectory(static_cast<uint64_t>(id))});
    partition.isr.push_back(NodeId(id));
  }
  partition.leader = NodeId(1);
  return partition;
}

// The same on its way from brokers 1, 2 and 3 to 4, 2 and 3.
inline PartitionImage ReassignedPartition() {
  PartitionImage partition = TestPartition();
  partition.replicas.push_back({NodeId(4), TestDirectory(4)});
  partition.target = {NodeId(4), NodeId(2), NodeId(3)};
  partition.adding = {NodeId(4)};
  return partition;
}

// The same, with a throttle.
inline PartitionImage ThrottledPartition() {
  PartitionImage partition = ReassignedPartition();
  partition.throttle_bytes_per_s = 300;
  return partition;
}

// The same, and its topic's durability is being raised.
inline PartitionImage RaisedPartition() {
  PartitionImage partition = ThrottledPartition();
  partition.raising = true;
  return partition;
}

// The first, and two of its replicas are impaired.
inline PartitionImage ImpairedPartition() {
  PartitionImage partition = TestPartition();
  partition.impaired = {NodeId(2), NodeId(3)};
  return partition;
}

inline rsm::Record PartitionMade(uint64_t topic, int index) {
  return Encode(PartitionRecordOf({TestTopicId(topic), PartitionIndex(index)}, TestPartition()));
}

inline rsm::Record PartitionBecame(uint64_t topic, int index, const PartitionImage& before,
                                   PartitionImage after) {
  after.partition_epoch = before.partition_epoch + 1;
  return Encode(PartitionChangeOf({TestTopicId(topic), PartitionIndex(index)}, before, after));
}

inline rsm::Record Configured(const ConfigOwner& owner, const std::string& key,
                              const std::string& value) {
  return Encode(ConfigRecordOf(owner, key, &value));
}
inline rsm::Record Unconfigured(const ConfigOwner& owner, const std::string& key) {
  return Encode(ConfigRecordOf(owner, key, nullptr));
}

inline rsm::Record ProducerIdsUpTo(int64_t next) {
  records::ProducerIdBlockRecord record;
  record.set_broker_id(1);
  record.set_broker_epoch(2);
  record.set_next_producer_id(next);
  return Encode(record);
}

inline RequestClientId TestClient(uint64_t n) { return RequestClientId(Uuid(9, n)); }

// Request `sequence` of client `n` took effect.
inline rsm::Record Completed(uint64_t n, int64_t sequence, int64_t time_ms = 1000,
                             const std::string& reply = "reply") {
  return Encode(CompletedRequestRecordOf(
      {TestClient(n), sequence},
      {.request_hash = 77, .time_ms = time_ms, .index = {}, .reply = Bytes::Copy(reply)}));
}
inline rsm::Record Cordoned(int id, bool cordoned) {
  records::BrokerCordonRecord record;
  record.set_broker_id(id);
  record.set_cordoned(cordoned);
  return Encode(record);
}

inline rsm::Record BrokerGone(int id, int64_t epoch) {
  records::BrokerRemovedRecord record;
  record.set_broker_id(id);
  record.set_broker_epoch(epoch);
  return Encode(record);
}

inline rsm::Record LevelBecame(int level) {
  records::FeatureLevelRecord record;
  record.set_feature_level(level);
  return Encode(record);
}

// The entry after `image`.
inline Image Next(const Image& image, const std::vector<rsm::Record>& records) {
  return Apply(image, image.index() + 1, records);
}

// One broker, a topic of two partitions, a config.
inline Image TestImage() {
  Image image = Next(Image(), {Founded(), Registered(1, 1)});
  return Next(image, {TopicMade(1, "t"), PartitionMade(1, 0), PartitionMade(1, 1),
                      Configured(ConfigOwner::Topic(TestTopicId(1)), "retention.ms", "1")});
}

// The same with what came with feature level 2: two clients whose requests are remembered, one with
// a reply that is forgotten.
inline Image TestImageOfLevel2() {
  Image image = Next(TestImage(), {LevelBecame(2), Completed(1, 1)});
  image = Next(image, {Completed(2, 7, 2000)});
  return Next(image, {Completed(1, 2, 1000 + 15 * 60'000 + 1, "another")});
}

// The first with what came with feature level 3: a cordoned broker, a partition that is reassigned.
inline Image TestImageOfLevel3() {
  return Next(TestImage(), {LevelBecame(3), Cordoned(1, true),
                            PartitionBecame(1, 1, TestPartition(), ReassignedPartition())});
}

// With what came with feature level 4: a throttled reassignment, a slow directory.
inline Image TestImageOfLevel4() {
  const int64_t epoch = TestImage().FindBroker(NodeId(1))->epoch.value();
  return Next(TestImage(), {LevelBecame(4), DirectoryBecame(1, epoch, true),
                            PartitionBecame(1, 1, TestPartition(), ThrottledPartition())});
}

}  // namespace millrace::metadata

#endif  // METADATA_TEST_IMAGE_H_
