#include "controller/topic_commands.h"

#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "controller/entry.h"
#include "controller/limits.h"
#include "controller/request_bounds.h"
#include "controller/results.h"
#include "controller/topic_names.h"
#include "metadata/broker_config.h"

namespace millrace::controller {

using metadata::BrokerImage;
using metadata::PartitionImage;
using metadata::TopicImage;

namespace {

absl::StatusOr<const TopicImage*> FindByName(const State& state, const std::string& name) {
  const TopicImage* topic = state.image.FindTopic(name);
  if (topic != nullptr) return topic;
  return MakeError(ErrorCode::kUnknownTopicOrPartition,
                   absl::StrCat("there is no topic '", name, "'"),
                   {.name = "topic", .value = name});
}

absl::StatusOr<const TopicImage*> FindById(const State& state, const std::string& bytes) {
  const absl::StatusOr<TopicId> id = TopicId::FromBytes(bytes);
  if (!id.ok()) return id.status();
  const TopicImage* topic = state.image.FindTopic(*id);
  if (topic != nullptr) return topic;
  return MakeError(ErrorCode::kUnknownTopicId,
                   absl::StrCat("there is no topic with id ", id->ToString()),
                   {.name = "topic_id", .value = id->ToString()});
}

absl::Status NamedTwice(const TopicImage& topic) {
  return MakeError(ErrorCode::kInvalidRequest,
                   absl::StrCat("topic '", topic.name, "' is in this request twice"),
                   {.name = "topic", .value = topic.name});
}

// Of a request that names topics by either.
template <class Request>
absl::Status CheckNamedTopics(const Request& request) {
  return CheckNamed("topics", request.names_size() + request.topic_ids_size(),
                    kTopicsPerRequestMax);
}

// One deletion of a request.
struct Deletion {
  const State& state;
  bool enabled = true;
  std::set<TopicId> seen;
  Entry entry;

  absl::Status Delete(const absl::StatusOr<const TopicImage*>& topic,
                      v1::DeleteTopicResult* result) {
    if (!topic.ok()) return topic.status();
    result->set_name((*topic)->name);
    result->set_topic_id((*topic)->id.ToBytes());
    if (!enabled) {
      return MakeError(ErrorCode::kTopicDeletionDisabled,
                       absl::StrCat("topic '", (*topic)->name,
                                    "' cannot be deleted: ", "delete.topic.enable is false"),
                       {.name = "delete.topic.enable", .value = "false"});
    }
    if (!seen.insert((*topic)->id).second) return NamedTwice(**topic);
    metadata::records::TopicRemovedRecord record;
    record.set_topic_id((*topic)->id.ToBytes());
    return entry.Add({record}, absl::StrCat("deleting topic '", (*topic)->name, "'"));
  }
};

bool IsOffline(const State& state, const metadata::ReplicaImage& replica) {
  const BrokerImage* broker = state.image.FindBroker(replica.broker);
  return broker == nullptr || broker->state == metadata::BrokerState::kFenced ||
         !broker->HasWorkingLogDir(replica.directory);
}

void Describe(const State& state, PartitionIndex index, const PartitionImage& partition,
              v1::PartitionDescription* out) {
  out->set_partition(index.value());
  out->set_leader_id(partition.leader.value());
  out->set_leader_epoch(partition.leader_epoch.value());
  out->set_partition_epoch(partition.partition_epoch.value());
  for (const metadata::ReplicaImage& replica : partition.replicas) {
    out->add_replicas(replica.broker.value());
    if (IsOffline(state, replica)) out->add_offline_replicas(replica.broker.value());
  }
  for (const NodeId broker : partition.isr) out->add_in_sync_replicas(broker.value());
  for (const NodeId broker : partition.elr) out->add_eligible_leader_replicas(broker.value());
  for (const NodeId broker : partition.adding) out->add_adding_replicas(broker.value());
  for (const NodeId broker : partition.Removing()) out->add_removing_replicas(broker.value());
  out->set_raising_durability(partition.raising);
  for (const NodeId broker : partition.impaired) out->add_impaired_replicas(broker.value());
}

void Describe(const State& state, const TopicImage& topic, v1::TopicDescription* out) {
  out->set_name(topic.name);
  out->set_topic_id(topic.id.ToBytes());
  out->set_internal(IsInternalTopic(topic.name));
  topic.ForEachPartition([&](PartitionIndex index, const PartitionImage& partition) {
    Describe(state, index, partition, out->add_partitions());
  });
  const ConfigValues& configs = state.image.ConfigsOf(metadata::ConfigOwner::Topic(topic.id));
  for (const auto& [name, value] : configs) {
    v1::ConfigEntry* entry = out->add_configs();
    entry->set_name(name);
    entry->set_value(value);
  }
}

}  // namespace

rsm::Decision<v1::DeleteTopicsResponse> DeleteTopics(const State& state,
                                                     const v1::DeleteTopicsRequest& request) {
  absl::Status named = CheckNamedTopics(request);
  if (!named.ok()) return {std::move(named), {}};
  Deletion deletion{.state = state, .seen = {}, .entry = {}};
  deletion.enabled =
      metadata::BrokerConfigOf(state.image, state.settings->node_id, state.settings->static_values)
          .delete_topic_enable;
  v1::DeleteTopicsResponse response;
  response.set_metadata_index(state.image.index().value());
  for (const std::string& name : request.names()) {
    v1::DeleteTopicResult* result = response.add_topics();
    result->set_name(name);
    const absl::Status status = deletion.Delete(FindByName(state, name), result);
    if (!status.ok()) SetError(status, result);
  }
  for (const std::string& id : request.topic_ids()) {
    v1::DeleteTopicResult* result = response.add_topics();
    result->set_topic_id(id);
    const absl::Status status = deletion.Delete(FindById(state, id), result);
    if (!status.ok()) SetError(status, result);
  }
  if (request.validate_only()) return {response, {}};
  return {response, std::move(deletion.entry).Take()};
}

rsm::Decision<v1::ListTopicsResponse> ListTopics(const State& state,
                                                 const v1::ListTopicsRequest& request) {
  v1::ListTopicsResponse response;
  response.set_metadata_index(state.image.index().value());
  for (const TopicImage* topic : state.image.TopicsByName()) {
    const bool internal = IsInternalTopic(topic->name);
    if (internal && !request.include_internal()) continue;
    v1::TopicListing* out = response.add_topics();
    out->set_name(topic->name);
    out->set_topic_id(topic->id.ToBytes());
    out->set_partitions(topic->partition_count());
    const PartitionImage* first = topic->FindPartition(PartitionIndex(0));
    out->set_replication_factor(first == nullptr ? 0 : first->replication_factor());
    out->set_internal(internal);
  }
  return {response, {}};
}

rsm::Decision<v1::DescribeTopicsResponse> DescribeTopics(const State& state,
                                                         const v1::DescribeTopicsRequest& request) {
  absl::Status named = CheckNamedTopics(request);
  if (!named.ok()) return {std::move(named), {}};
  v1::DescribeTopicsResponse response;
  response.set_metadata_index(state.image.index().value());
  if (request.names().empty() && request.topic_ids().empty()) {
    for (const TopicImage* topic : state.image.TopicsByName()) {
      Describe(state, *topic, response.add_topics());
    }
    return {std::move(response), {}};
  }
  // Each once: so it is never more than all of them.
  std::set<TopicId> seen;
  const auto add = [&](const absl::StatusOr<const TopicImage*>& topic, v1::TopicDescription* out) {
    if (!topic.ok()) return SetError(topic.status(), out);
    if (!seen.insert((*topic)->id).second) return SetError(NamedTwice(**topic), out);
    Describe(state, **topic, out);
  };
  for (const std::string& name : request.names()) {
    v1::TopicDescription* out = response.add_topics();
    out->set_name(name);
    add(FindByName(state, name), out);
  }
  for (const std::string& id : request.topic_ids()) {
    v1::TopicDescription* out = response.add_topics();
    out->set_topic_id(id);
    add(FindById(state, id), out);
  }
  return {std::move(response), {}};
}

}  // namespace millrace::controller
