#include "controller/topic_creation.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status.h"
#include "controller/entry.h"
#include "controller/leader_election.h"
#include "controller/limits.h"
#include "controller/replica_placement.h"
#include "controller/request_bounds.h"
#include "controller/results.h"
#include "controller/topic_names.h"
#include "controller/topic_rules.h"
#include "metadata/broker_config.h"
#include "metadata/config_warning.h"
#include "metadata/image_records.h"

namespace millrace::controller {

using metadata::PartitionImage;
using metadata::ReplicaImage;
using metadata::Replicas;

namespace {

using Assignments = google::protobuf::RepeatedPtrField<v1::ReplicaAssignment>;

constexpr absl::string_view kMinIsr = "min.insync.replicas";
constexpr absl::string_view kDurability = "durability";

// A decision that creates partitions, while it is made.
struct Creation {
  const State& state;
  ReplicaPlacer placer;
  Entry entry;
  // Replicas that earlier topics of this request put on each broker.
  std::map<NodeId, int> replicas_added;
  int partitions_left = kPartitionsPerRequestMax;
};

absl::Status Refuse(ErrorCode code, const std::string& message, absl::string_view name,
                    const std::string& value) {
  return MakeError(code, message, {.name = std::string(name), .value = value});
}

absl::Status CheckPartitionCount(int64_t count, const Creation& creation) {
  if (count < 1) {
    return Refuse(ErrorCode::kInvalidPartitions,
                  absl::StrCat("a topic has at least 1 partition, not ", count), "partitions",
                  absl::StrCat(count));
  }
  if (count > creation.partitions_left) {
    return Refuse(ErrorCode::kInvalidPartitions,
                  absl::StrCat(count, " partitions are too many: one request may create ",
                               kPartitionsPerRequestMax, ", of which ", creation.partitions_left,
                               " are left; create fewer and add some later"),
                  "partitions", absl::StrCat(count));
  }
  return absl::OkStatus();
}

absl::Status BadAssignment(int partition, const std::string& why) {
  return Refuse(ErrorCode::kInvalidReplicaAssignment,
                absl::StrCat("the assignment of partition ", partition, " ", why), "assignments",
                absl::StrCat(partition));
}

// The replicas of one partition as the user wants them.
absl::StatusOr<Replicas> AssignedReplicas(const v1::ReplicaAssignment& assignment,
                                          Creation* creation) {
  Replicas replicas;
  std::set<NodeId> seen;
  bool any_active = false;
  for (const int32_t broker_id : assignment.replicas()) {
    const NodeId id(broker_id);
    const metadata::BrokerImage* broker = creation->state.image.FindBroker(id);
    if (broker == nullptr) {
      return BadAssignment(assignment.partition(),
                           absl::StrCat("names broker ", broker_id, ", which is not registered"));
    }
    if (!seen.insert(id).second) {
      return BadAssignment(assignment.partition(),
                           absl::StrCat("names broker ", broker_id, " twice"));
    }
    if (broker->cordoned) {
      return BadAssignment(assignment.partition(),
                           absl::StrCat("names broker ", broker_id, ", which is cordoned"));
    }
    replicas.push_back({id, creation->placer.NextDirectory(id)});
    any_active = any_active || Electorate(creation->state.image).MayLead(replicas.back());
  }
  if (replicas.empty()) return BadAssignment(assignment.partition(), "names no broker");
  if (!any_active) {
    return BadAssignment(assignment.partition(), "names no broker that is active now");
  }
  return replicas;
}

// All of them, for partitions [first, first + count), each once and equally many brokers.
absl::StatusOr<std::vector<Replicas>> AssignedPartitions(const Assignments& assignments, int first,
                                                         int count, int replication_factor,
                                                         Creation* creation) {
  std::map<int, Replicas> by_index;
  for (const v1::ReplicaAssignment& assignment : assignments) {
    ASSIGN_OR_RETURN(Replicas replicas, AssignedReplicas(assignment, creation));
    if (static_cast<int>(replicas.size()) != replication_factor) {
      return BadAssignment(assignment.partition(),
                           absl::StrCat("names ", replicas.size(), " brokers, where ",
                                        replication_factor, " are wanted for every partition"));
    }
    const int index = assignment.partition();
    if (index < first || index >= first + count) {
      return BadAssignment(index, absl::StrCat("is outside of the new partitions ", first, " to ",
                                               first + count - 1));
    }
    if (!by_index.emplace(index, std::move(replicas)).second) {
      return BadAssignment(index, "is there twice");
    }
  }
  if (static_cast<int>(by_index.size()) != count) {
    return Refuse(ErrorCode::kInvalidReplicaAssignment,
                  absl::StrCat("there are ", by_index.size(), " assignments for ", count,
                               " new partitions; give all of them or none"),
                  "assignments", absl::StrCat(by_index.size()));
  }
  std::vector<Replicas> all;
  for (auto& [index, replicas] : by_index) all.push_back(std::move(replicas));
  return all;
}

// A new partition: led by its first active replica, in sync with all active ones.
PartitionImage NewPartition(const State& state, Replicas replicas) {
  const Electorate electorate(state.image);
  PartitionImage partition;
  for (const ReplicaImage& replica : replicas) {
    if (electorate.MayLead(replica)) partition.isr.push_back(replica.broker);
  }
  CHECK(!partition.isr.empty());
  partition.leader = partition.isr.front();
  partition.replicas = std::move(replicas);
  return partition;
}

absl::Status CheckReplicasPerBroker(const std::vector<Replicas>& partitions,
                                    const Creation& creation, std::map<NodeId, int>* added) {
  *added = creation.replicas_added;
  for (const Replicas& replicas : partitions) {
    for (const ReplicaImage& replica : replicas) ++(*added)[replica.broker];
  }
  for (const auto& [broker, count] : *added) {
    const int* there = creation.state.replicas_per_broker.Find(broker);
    const int total = count + (there == nullptr ? 0 : *there);
    if (total > kReplicasPerBrokerMax) {
      return Refuse(
          ErrorCode::kResourceExhausted,
          absl::StrCat("broker ", broker.value(), " would have ", total, " replicas; at most ",
                       kReplicasPerBrokerMax, " are allowed: add brokers or delete topics"),
          "partitions", absl::StrCat(total));
    }
  }
  return absl::OkStatus();
}

// Adds the records of a topic's new partitions, and counts them if the entry takes them.
absl::Status AddPartitions(TopicId topic, int first, std::vector<Replicas> partitions,
                           Entry::Part part, const std::string& what, Creation* creation) {
  std::map<NodeId, int> added;
  RETURN_IF_ERROR(CheckReplicasPerBroker(partitions, *creation, &added));
  const int count = static_cast<int>(partitions.size());
  for (int i = 0; i < count; ++i) {
    part.emplace_back(
        metadata::PartitionRecordOf({topic, PartitionIndex(first + i)},
                                    NewPartition(creation->state, std::move(partitions[i]))));
  }
  RETURN_IF_ERROR(creation->entry.Add(part, what));
  creation->partitions_left -= count;
  creation->replicas_added = std::move(added);
  return absl::OkStatus();
}

absl::Status CheckNewName(const State& state, const std::string& name) {
  RETURN_IF_ERROR(CheckTopicName(name));
  if (state.image.FindTopic(name) != nullptr) {
    return Refuse(ErrorCode::kTopicAlreadyExists, absl::StrCat("topic '", name, "' exists already"),
                  "topic", name);
  }
  if (!HasCollisionCharacter(name)) return absl::OkStatus();
  const std::string form = CollisionForm(name);
  absl::Status status;
  state.image.ForEachTopic([&](const metadata::TopicImage& topic) {
    if (CollisionForm(topic.name) != form) return;
    status = Refuse(ErrorCode::kInvalidTopicName,
                    absl::StrCat("topic name '", name, "' collides with topic '", topic.name,
                                 "': '.' and '_' look the same in metric names"),
                    "topic", name);
  });
  return status;
}

// Of configs that change nothing; the result says so.
std::string WarningOf(const v1::CreatableTopic& topic) {
  ConfigValues given;
  for (const v1::ConfigEntry& config : topic.configs()) given[config.name()] = config.value();
  return metadata::TopicConfigWarning(given);
}

absl::StatusOr<ConfigValues> AskedConfigs(const v1::CreatableTopic& topic) {
  ConfigValues values;
  for (const v1::ConfigEntry& config : topic.configs()) {
    if (metadata::IsIgnoredTopicConfig(config.name())) continue;
    if (config.value().size() > kConfigValueBytesMax) {
      return Refuse(
          ErrorCode::kInvalidConfig,
          absl::StrCat("config key '", config.name(), "': the value has ", config.value().size(),
                       " bytes; at most ", kConfigValueBytesMax, " are allowed"),
          config.name(), "");
    }
    if (!values.emplace(config.name(), config.value()).second) {
      return Refuse(ErrorCode::kInvalidConfig,
                    absl::StrCat("config key '", config.name(), "' is given twice"), config.name(),
                    config.value());
    }
  }
  RETURN_IF_ERROR(metadata::CheckTopicConfigs(values));
  return values;
}

// The topic's own configs: those asked for, and those that are fixed at creation (S-16).
absl::StatusOr<ConfigValues> OwnConfigs(const State& state, const v1::CreatableTopic& topic,
                                        int replication_factor) {
  ASSIGN_OR_RETURN(ConfigValues values, AskedConfigs(topic));
  int min_isr = 0;
  auto asked = values.find(std::string(kMinIsr));
  if (asked != values.end()) {
    CHECK(absl::SimpleAtoi(asked->second, &min_isr));
    if (min_isr > replication_factor) {
      return Refuse(ErrorCode::kInvalidConfig,
                    absl::StrCat("config key '", kMinIsr, "': ", min_isr,
                                 " in-sync replicas cannot be had with a replication factor of ",
                                 replication_factor),
                    kMinIsr, asked->second);
    }
  } else {
    CHECK(absl::SimpleAtoi(InheritedTopicConfig(state, kMinIsr), &min_isr));
    values.emplace(kMinIsr, absl::StrCat(std::min(min_isr, replication_factor)));
  }
  // Every node must mean the same by an acknowledgement, whatever their files say.
  values.emplace(kDurability, InheritedTopicConfig(state, kDurability));
  return values;
}

struct Shape {
  int partitions = 0;
  int replication_factor = 0;
};

absl::Status RefuseFactor(int replication_factor) {
  return Refuse(ErrorCode::kInvalidReplicationFactor,
                absl::StrCat("a replication factor is from 1 to ", kReplicationFactorMax, ", not ",
                             replication_factor),
                "replication_factor", absl::StrCat(replication_factor));
}

// How many partitions and replicas the topic will have.
absl::StatusOr<Shape> ShapeOf(const v1::CreatableTopic& topic, const Creation& creation) {
  const State& state = creation.state;
  const metadata::BrokerConfig defaults =
      metadata::BrokerConfigOf(state.image, state.settings->node_id, state.settings->static_values);
  if (!topic.assignments().empty()) {
    if (topic.partitions() != 0 || topic.replication_factor() != 0) {
      return Refuse(ErrorCode::kInvalidRequest,
                    "give either assignments or numbers of partitions and replicas, not both",
                    "assignments", topic.name());
    }
    const int replicas = topic.assignments(0).replicas_size();
    if (replicas > kReplicationFactorMax) return RefuseFactor(replicas);
    return Shape{topic.assignments_size(), replicas};
  }
  Shape shape{topic.partitions(), topic.replication_factor()};
  if (shape.partitions == 0) shape.partitions = static_cast<int>(defaults.num_partitions);
  if (shape.replication_factor == 0) {
    // Lowered to the brokers there are, whether they happen to live or not (S-16).
    shape.replication_factor =
        std::max(1, std::min(static_cast<int>(defaults.default_replication_factor),
                             creation.placer.broker_count()));
  }
  if (shape.replication_factor < 1 || shape.replication_factor > kReplicationFactorMax) {
    return RefuseFactor(shape.replication_factor);
  }
  return shape;
}

absl::Status CreateTopic(const v1::CreatableTopic& topic, TopicId id, Creation* creation,
                         v1::CreateTopicResult* result) {
  RETURN_IF_ERROR(CheckNewName(creation->state, topic.name()));
  ASSIGN_OR_RETURN(const Shape shape, ShapeOf(topic, *creation));
  RETURN_IF_ERROR(CheckPartitionCount(shape.partitions, *creation));
  // Before the placement, which costs more.
  ASSIGN_OR_RETURN(const ConfigValues configs,
                   OwnConfigs(creation->state, topic, shape.replication_factor));
  std::vector<Replicas> partitions;
  if (topic.assignments().empty()) {
    RETURN_IF_ERROR(creation->placer.Check(shape.replication_factor));
    for (int i = 0; i < shape.partitions; ++i) {
      partitions.push_back(creation->placer.PlaceNext(shape.replication_factor));
    }
  } else {
    ASSIGN_OR_RETURN(partitions, AssignedPartitions(topic.assignments(), 0, shape.partitions,
                                                    shape.replication_factor, creation));
  }

  Entry::Part part;
  metadata::records::TopicRecord record;
  record.set_topic_id(id.ToBytes());
  record.set_name(topic.name());
  part.emplace_back(std::move(record));
  for (const auto& [key, value] : configs) {
    part.emplace_back(metadata::ConfigRecordOf(metadata::ConfigOwner::Topic(id), key, &value));
  }
  RETURN_IF_ERROR(AddPartitions(id, 0, std::move(partitions), std::move(part),
                                absl::StrCat("creating topic '", topic.name(), "'"), creation));
  result->set_topic_id(id.ToBytes());
  result->set_partitions(shape.partitions);
  result->set_replication_factor(shape.replication_factor);
  int min_isr = 0;
  CHECK(absl::SimpleAtoi(configs.at(std::string(kMinIsr)), &min_isr));
  result->set_min_insync_replicas(min_isr);
  result->set_message(WarningOf(topic));
  return absl::OkStatus();
}

absl::Status GrowTopic(const v1::CreatePartitionsTopic& wanted, Creation* creation) {
  const metadata::TopicImage* topic = creation->state.image.FindTopic(wanted.name());
  if (topic == nullptr) {
    return Refuse(ErrorCode::kUnknownTopicOrPartition,
                  absl::StrCat("there is no topic '", wanted.name(), "'"), "topic", wanted.name());
  }
  const int there = topic->partition_count();
  const int count = wanted.total_count() - there;
  if (wanted.total_count() <= there) {
    return Refuse(
        ErrorCode::kInvalidPartitions,
        absl::StrCat("topic '", wanted.name(), "' has ", there,
                     " partitions already; it can only grow, not become ", wanted.total_count()),
        "total_count", absl::StrCat(wanted.total_count()));
  }
  RETURN_IF_ERROR(CheckPartitionCount(count, *creation));
  const int replication_factor = topic->FindPartition(PartitionIndex(0))->replication_factor();
  std::vector<Replicas> partitions;
  if (wanted.assignments().empty()) {
    RETURN_IF_ERROR(creation->placer.Check(replication_factor));
    for (int i = 0; i < count; ++i) {
      partitions.push_back(creation->placer.PlaceNext(replication_factor));
    }
  } else {
    ASSIGN_OR_RETURN(partitions, AssignedPartitions(wanted.assignments(), there, count,
                                                    replication_factor, creation));
  }
  return AddPartitions(topic->id, there, std::move(partitions), {},
                       absl::StrCat("growing topic '", wanted.name(), "'"), creation);
}

// Names that are in `topics` more than once.
template <class Topics>
std::set<std::string> RepeatedNames(const Topics& topics) {
  std::set<std::string> seen;
  std::set<std::string> repeated;
  for (const auto& topic : topics) {
    if (!seen.insert(CollisionForm(topic.name())).second) {
      repeated.insert(CollisionForm(topic.name()));
    }
  }
  return repeated;
}

absl::Status Repeated(const std::string& name) {
  return Refuse(ErrorCode::kInvalidRequest,
                absl::StrCat("topic '", name, "' or one that differs only in '.' and '_' is in ",
                             "this request twice"),
                "topic", name);
}

}  // namespace

rsm::Decision<v1::CreateTopicsResponse> CreateTopics(const State& state,
                                                     const CreateTopicsCommand& command) {
  const v1::CreateTopicsRequest& request = command.request;
  absl::Status named = CheckNamed("topics", request.topics_size(), kTopicsPerRequestMax);
  if (!named.ok()) return {std::move(named), {}};
  CHECK_GE(command.fresh_ids.size(), static_cast<size_t>(request.topics_size()));
  Creation creation{state, ReplicaPlacer(state.image, command.placement_seed), {}, {}};
  const std::set<std::string> repeated = RepeatedNames(request.topics());
  v1::CreateTopicsResponse response;
  response.set_metadata_index(state.image.index().value());
  for (int i = 0; i < request.topics_size(); ++i) {
    const v1::CreatableTopic& topic = request.topics(i);
    v1::CreateTopicResult* result = response.add_topics();
    result->set_name(topic.name());
    const absl::Status status = repeated.contains(CollisionForm(topic.name()))
                                    ? Repeated(topic.name())
                                    : CreateTopic(topic, command.fresh_ids[i], &creation, result);
    if (!status.ok()) SetError(status, result);
    // An id that will never be used must not be remembered by anyone.
    if (request.validate_only()) result->clear_topic_id();
  }
  if (request.validate_only()) return {response, {}};
  return {response, std::move(creation.entry).Take()};
}

rsm::Decision<v1::CreatePartitionsResponse> CreatePartitions(
    const State& state, const CreatePartitionsCommand& command) {
  const v1::CreatePartitionsRequest& request = command.request;
  absl::Status named = CheckNamed("topics", request.topics_size(), kTopicsPerRequestMax);
  if (!named.ok()) return {std::move(named), {}};
  Creation creation{state, ReplicaPlacer(state.image, command.placement_seed), {}, {}};
  const std::set<std::string> repeated = RepeatedNames(request.topics());
  v1::CreatePartitionsResponse response;
  response.set_metadata_index(state.image.index().value());
  for (const v1::CreatePartitionsTopic& topic : request.topics()) {
    v1::CreatePartitionsResult* result = response.add_topics();
    result->set_name(topic.name());
    const absl::Status status = repeated.contains(CollisionForm(topic.name()))
                                    ? Repeated(topic.name())
                                    : GrowTopic(topic, &creation);
    if (!status.ok()) SetError(status, result);
  }
  if (request.validate_only()) return {response, {}};
  return {response, std::move(creation.entry).Take()};
}

}  // namespace millrace::controller
