#include "metadata/delta.h"

#include "base/check.h"
#include "metadata/image_records.h"
#include "metadata/record_types.h"

namespace millrace::metadata {

namespace {

// Notes what one record touches.
struct Recorder {
  const Image& before;
  const Image& after;
  Delta& delta;

  void operator()(const records::NoOpRecord&) {}
  void operator()(const records::ClusterFoundedRecord&) { delta.founded_or_feature_changed = true; }
  void operator()(const records::FeatureLevelRecord&) { delta.founded_or_feature_changed = true; }
  void operator()(const records::BrokerRegistrationRecord& record) {
    delta.brokers_changed.insert(NodeId(record.broker_id()));
  }
  void operator()(const records::BrokerChangeRecord& record) {
    delta.brokers_changed.insert(NodeId(record.broker_id()));
  }
  void operator()(const records::TopicRecord& record) {
    const TopicId id = IdFrom<TopicId>(record.topic_id());
    if (after.FindTopic(id) != nullptr) delta.topics_created.insert(id);
  }
  void operator()(const records::TopicRemovedRecord& record) {
    const TopicId id = IdFrom<TopicId>(record.topic_id());
    const ConfigOwner owner = ConfigOwner::Topic(id);
    if (!before.ConfigsOf(owner).empty()) delta.configs_changed.insert(owner);
    // Only what was there before: a topic made and removed in one entry never had data.
    const TopicImage* topic = before.FindTopic(id);
    if (topic != nullptr) delta.topics_removed.insert({id, topic->name});
  }
  void operator()(const records::PartitionRecord& record) {
    NotePartition(record.topic_id(), record.partition());
  }
  void operator()(const records::PartitionChangeRecord& record) {
    NotePartition(record.topic_id(), record.partition());
  }
  void operator()(const records::ConfigRecord& record) {
    delta.configs_changed.insert(OwnerFrom(record));
  }
  void operator()(const records::ProducerIdBlockRecord&) {}
  // One more remembered is others forgotten: CompareRequests sees both.
  void operator()(const records::CompletedRequestRecord&) {}
  void operator()(const records::BrokerCordonRecord& record) {
    const NodeId id(record.broker_id());
    if (after.FindBroker(id) != nullptr) delta.brokers_changed.insert(id);
  }
  void operator()(const records::BrokerRemovedRecord& record) {
    const NodeId id(record.broker_id());
    if (before.FindBroker(id) == nullptr || after.FindBroker(id) != nullptr) return;
    delta.brokers_removed.insert(id);
    const ConfigOwner owner = ConfigOwner::Broker(id);
    if (!before.ConfigsOf(owner).empty()) delta.configs_changed.insert(owner);
  }

  void NotePartition(const std::string& topic_id, int32_t partition) {
    const TopicPartition id{IdFrom<TopicId>(topic_id), PartitionIndex(partition)};
    if (after.FindPartition(id) != nullptr) delta.partitions_changed.insert(id);
  }
};

void CompareTopics(const Image& before, const Image& after, Delta* delta) {
  before.ForEachTopic([&](const TopicImage& topic) {
    if (after.FindTopic(topic.id) == nullptr) delta->topics_absent.insert({topic.id, topic.name});
  });
  after.ForEachTopic([&](const TopicImage& topic) {
    const TopicImage* old = before.FindTopic(topic.id);
    if (old == nullptr) delta->topics_created.insert(topic.id);
    topic.ForEachPartition([&](PartitionIndex index, const PartitionImage& partition) {
      const PartitionImage* old_partition = old == nullptr ? nullptr : old->FindPartition(index);
      if (old_partition == nullptr || *old_partition != partition) {
        delta->partitions_changed.insert({topic.id, index});
      }
    });
  });
}

void CompareBrokers(const Image& before, const Image& after, Delta* delta) {
  before.ForEachBroker([&](const BrokerImage& broker) {
    if (after.FindBroker(broker.id) == nullptr) delta->brokers_removed.insert(broker.id);
  });
  after.ForEachBroker([&](const BrokerImage& broker) {
    const BrokerImage* old = before.FindBroker(broker.id);
    if (old == nullptr || *old != broker) delta->brokers_changed.insert(broker.id);
  });
}

void CompareConfigs(const Image& before, const Image& after, Delta* delta) {
  before.ForEachConfig([&](const ConfigOwner& owner, const ConfigValues&) {
    if (after.ConfigsOf(owner).empty()) delta->configs_changed.insert(owner);
  });
  after.ForEachConfig([&](const ConfigOwner& owner, const ConfigValues& values) {
    if (before.ConfigsOf(owner) != values) delta->configs_changed.insert(owner);
  });
}

// Costs what differs.
void CompareRequests(const Image& before, const Image& after, Delta* delta) {
  CompletedRequests::ForEachDifference(
      before.completed_requests(), after.completed_requests(),
      [&](RequestClientId client) { delta->request_clients_changed.insert(client); },
      [&](const RequestKey& key) { delta->completed_requests_changed.insert(key); });
}

template <class T>
void Add(const std::set<T>& from, std::set<T>* to) {
  to->insert(from.begin(), from.end());
}

// Takes out of `delta` what it says of a topic that a later change removed.
void ForgetTopic(TopicId id, Delta* delta) {
  delta->topics_created.erase(id);
  auto& partitions = delta->partitions_changed;
  const auto first = partitions.lower_bound({id, PartitionIndex(0)});
  auto end = first;
  while (end != partitions.end() && end->topic_id == id) ++end;
  partitions.erase(first, end);
}

}  // namespace

bool Delta::empty() const {
  return !founded_or_feature_changed && brokers_changed.empty() && brokers_removed.empty() &&
         topics_created.empty() && topics_removed.empty() && topics_absent.empty() &&
         partitions_changed.empty() && configs_changed.empty() && request_clients_changed.empty() &&
         completed_requests_changed.empty();
}

Delta DeltaOf(const Image& before, const Image& after, absl::Span<const rsm::Record> records) {
  Delta delta;
  delta.from = before.index();
  delta.to = after.index();
  Recorder recorder{before, after, delta};
  for (const rsm::Record& record : records) {
    const absl::StatusOr<AnyRecord> decoded = Decode(record);
    CHECK(decoded.ok()) << "at metadata index " << after.index() << ": "
                        << std::string(decoded.status().message());
    std::visit(recorder, *decoded);
  }
  CompareRequests(before, after, &delta);
  return delta;
}

Delta Joined(Delta earlier, const Delta& later) {
  CHECK_EQ(earlier.to, later.from);
  Delta both = std::move(earlier);
  both.to = later.to;
  both.whole |= later.whole;
  both.founded_or_feature_changed |= later.founded_or_feature_changed;
  for (const NodeId id : later.brokers_removed) both.brokers_changed.erase(id);
  for (const NodeId id : later.brokers_changed) both.brokers_removed.erase(id);
  Add(later.brokers_removed, &both.brokers_removed);
  Add(later.brokers_changed, &both.brokers_changed);
  for (const std::set<RemovedTopic>* gone : {&later.topics_removed, &later.topics_absent}) {
    for (const RemovedTopic& topic : *gone) ForgetTopic(topic.id, &both);
  }
  Add(later.topics_removed, &both.topics_removed);
  Add(later.topics_absent, &both.topics_absent);
  Add(later.topics_created, &both.topics_created);
  Add(later.partitions_changed, &both.partitions_changed);
  Add(later.configs_changed, &both.configs_changed);
  Add(later.request_clients_changed, &both.request_clients_changed);
  Add(later.completed_requests_changed, &both.completed_requests_changed);
  return both;
}

Delta DeltaBetween(const Image& before, const Image& after) {
  Delta delta;
  delta.from = before.index();
  delta.to = after.index();
  delta.whole = true;
  delta.founded_or_feature_changed =
      before.cluster_id() != after.cluster_id() || before.feature_level() != after.feature_level();
  CompareBrokers(before, after, &delta);
  CompareTopics(before, after, &delta);
  CompareConfigs(before, after, &delta);
  CompareRequests(before, after, &delta);
  return delta;
}

}  // namespace millrace::metadata
