#include "controller/reassignment_commands.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "controller/entry.h"
#include "controller/feature_level.h"
#include "controller/limits.h"
#include "controller/reassignment.h"
#include "controller/replica_placement.h"
#include "controller/request_bounds.h"
#include "controller/results.h"
#include "controller/topic_rules.h"

namespace millrace::controller {

using metadata::PartitionImage;
using metadata::TopicImage;

namespace {

absl::Status Refuse(ErrorCode code, const std::string& message, absl::string_view name,
                    const std::string& value) {
  return MakeError(code, message, {.name = std::string(name), .value = value});
}

std::string RegisteredBrokers(const metadata::Image& image) {
  std::vector<int> ids;
  image.ForEachBroker(
      [&](const metadata::BrokerImage& broker) { ids.push_back(broker.id.value()); });
  return absl::StrJoin(ids, ",");
}

// The reassignments of one request, while they are decided.
class Reassignments {
 public:
  Reassignments(const State& state, uint64_t seed)
      : state_(state), electorate_(state.image), placer_(state.image, seed) {}

  void Decide(const v1::PartitionReassignment& wanted, v1::PartitionReassignmentResult* result) {
    const PartitionIndex index(wanted.partition());
    result->mutable_state()->set_topic(wanted.topic());
    result->mutable_state()->set_partition(wanted.partition());
    result->mutable_state()->set_leader_id(kNoNode.value());
    const TopicImage* topic = state_.image.FindTopic(wanted.topic());
    const PartitionImage* before = topic == nullptr ? nullptr : topic->FindPartition(index);
    if (before == nullptr) {
      return SetError(Refuse(ErrorCode::kUnknownTopicOrPartition,
                             absl::StrCat("there is no partition ", index.value(), " of topic '",
                                          wanted.topic(), "'"),
                             "topic", wanted.topic()),
                      result);
    }
    *result->mutable_state() = ReassignmentStateOf(topic->name, index, *before);
    PartitionImage after = *before;
    const absl::Status status = Change({topic->id, index}, wanted, *before, &after);
    if (!status.ok()) return SetError(status, result);
    result->set_changed(after != *before);
    *result->mutable_state() = ReassignmentStateOf(topic->name, index, after);
  }

  std::vector<rsm::Record> TakeRecords() && { return std::move(entry_).Take(); }

 private:
  absl::Status Change(const TopicPartition& id, const v1::PartitionReassignment& wanted,
                      const PartitionImage& before, PartitionImage* after) {
    if (!seen_.insert(id).second) {
      return Refuse(ErrorCode::kInvalidRequest, "the partition is in this request twice",
                    "partition", absl::StrCat(wanted.partition()));
    }
    const TopicRules rules = TopicRulesOf(state_, id.topic_id);
    if (wanted.replicas().empty()) {
      RETURN_IF_ERROR(CancelReassignment(electorate_, rules, after));
    } else {
      RETURN_IF_ERROR(CheckThrottle(state_, wanted.throttle_bytes_per_s()));
      ASSIGN_OR_RETURN(const metadata::Replicas target, Target(wanted, rules, before));
      RETURN_IF_ERROR(Reassign(electorate_, rules, target, wanted.throttle_bytes_per_s(), after));
    }
    RETURN_IF_ERROR(CheckReplicasPerBroker(before, *after));
    Entry::Part part;
    AddPartitionChange(id, before, *after, &part);
    return part.empty() ? absl::OkStatus() : entry_.Add(part, "reassigning partitions");
  }

  absl::StatusOr<metadata::Replicas> Target(const v1::PartitionReassignment& wanted,
                                            const TopicRules& rules, const PartitionImage& before) {
    const int count = wanted.replicas_size();
    if (count > kReplicationFactorMax) {
      return Refuse(ErrorCode::kInvalidReplicationFactor,
                    absl::StrCat("a replication factor is from 1 to ", kReplicationFactorMax,
                                 ", not ", count),
                    "replicas", absl::StrCat(count));
    }
    metadata::Replicas target;
    std::set<NodeId> seen;
    for (const int32_t broker : wanted.replicas()) {
      RETURN_IF_ERROR(CheckBroker(NodeId(broker), before));
      if (!seen.insert(NodeId(broker)).second) {
        return Refuse(ErrorCode::kInvalidReplicaAssignment,
                      absl::StrCat("broker ", broker, " is named twice"), "replicas",
                      absl::StrCat(broker));
      }
      target.push_back({NodeId(broker), placer_.NextDirectory(NodeId(broker))});
    }
    if (count < rules.min_insync_replicas && count < before.replication_factor()) {
      return Refuse(
          ErrorCode::kInvalidReplicaAssignment,
          absl::StrCat(count, " replicas are fewer than the topic's ", "min.insync.replicas of ",
                       rules.min_insync_replicas, ": lower that first, or name more brokers"),
          "replicas", absl::StrCat(count));
    }
    return target;
  }

  absl::Status CheckBroker(NodeId id, const PartitionImage& before) const {
    const metadata::BrokerImage* broker = state_.image.FindBroker(id);
    if (broker == nullptr) {
      return Refuse(ErrorCode::kInvalidReplicaAssignment,
                    absl::StrCat("broker ", id.value(), " is not registered; registered are ",
                                 RegisteredBrokers(state_.image)),
                    "replicas", absl::StrCat(id.value()));
    }
    if (broker->cordoned && !before.IsReplica(id)) {
      return Refuse(ErrorCode::kInvalidReplicaAssignment,
                    absl::StrCat("broker ", id.value(), " is cordoned, and holds no replica of ",
                                 "the partition: name another, or uncordon it"),
                    "replicas", absl::StrCat(id.value()));
    }
    return absl::OkStatus();
  }

  absl::Status CheckReplicasPerBroker(const PartitionImage& before, const PartitionImage& after) {
    for (const metadata::ReplicaImage& replica : after.replicas) {
      if (before.IsReplica(replica.broker)) continue;
      const int* there = state_.replicas_per_broker.Find(replica.broker);
      const int total = ++added_[replica.broker] + (there == nullptr ? 0 : *there);
      if (total <= kReplicasPerBrokerMax) continue;
      return Refuse(ErrorCode::kResourceExhausted,
                    absl::StrCat("broker ", replica.broker.value(), " would have ", total,
                                 " replicas; at most ", kReplicasPerBrokerMax, " are allowed"),
                    "replicas", absl::StrCat(total));
    }
    return absl::OkStatus();
  }

  const State& state_;
  const Electorate electorate_;
  ReplicaPlacer placer_;
  std::set<TopicPartition> seen_;
  // Replicas that this request brings to each broker.
  std::map<NodeId, int> added_;
  Entry entry_;
};

}  // namespace

absl::Status CheckThrottle(const State& state, int64_t bytes_per_s) {
  if (bytes_per_s == 0) return absl::OkStatus();
  if (bytes_per_s < 0) {
    return Refuse(
        ErrorCode::kInvalidRequest,
        absl::StrCat("a throttle is in bytes per second, not ", bytes_per_s, "; 0 is none"),
        "throttle_bytes_per_s", absl::StrCat(bytes_per_s));
  }
  return CheckFeatureLevel(state.image, metadata::kThrottleAndSlownessLevel,
                           "a throttle of reassignments");
}

v1::PartitionReassignmentState ReassignmentStateOf(absl::string_view topic, PartitionIndex index,
                                                   const PartitionImage& partition) {
  v1::PartitionReassignmentState state;
  state.set_topic(std::string(topic));
  state.set_partition(index.value());
  for (const metadata::ReplicaImage& replica : partition.replicas) {
    state.add_replicas(replica.broker.value());
  }
  for (const NodeId broker : partition.target) state.add_target(broker.value());
  for (const NodeId broker : partition.adding) state.add_adding(broker.value());
  for (const NodeId broker : partition.Removing()) state.add_removing(broker.value());
  for (const NodeId broker : partition.isr) state.add_in_sync_replicas(broker.value());
  state.set_leader_id(partition.leader.value());
  state.set_throttle_bytes_per_s(partition.throttle_bytes_per_s);
  return state;
}

rsm::Decision<v1::AlterPartitionReassignmentsResponse> AlterPartitionReassignments(
    const State& state, const AlterReassignmentsCommand& command) {
  const v1::AlterPartitionReassignmentsRequest& request = command.request;
  absl::Status status =
      CheckFeatureLevel(state.image, metadata::kReassignmentLevel, "reassigning partitions");
  if (status.ok()) {
    status = CheckNamed("partitions", request.reassignments_size(), kPartitionsPerRequestMax);
  }
  if (!status.ok()) return {status, {}};
  Reassignments reassignments(state, command.placement_seed);
  v1::AlterPartitionReassignmentsResponse response;
  for (const v1::PartitionReassignment& wanted : request.reassignments()) {
    reassignments.Decide(wanted, response.add_results());
  }
  if (request.validate_only()) return {std::move(response), {}};
  return {std::move(response), std::move(reassignments).TakeRecords()};
}

rsm::Decision<v1::ListPartitionReassignmentsResponse> ListPartitionReassignments(
    const State& state, const v1::ListPartitionReassignmentsRequest& request) {
  absl::Status named = CheckNamed("topics", request.topics_size(), kTopicsPerRequestMax);
  if (!named.ok()) return {std::move(named), {}};
  const std::set<std::string> wanted(request.topics().begin(), request.topics().end());
  v1::ListPartitionReassignmentsResponse response;
  for (const TopicImage* topic : state.image.TopicsByName()) {
    if (!wanted.empty() && !wanted.contains(topic->name)) continue;
    topic->ForEachPartition([&](PartitionIndex index, const PartitionImage& partition) {
      if (!partition.IsReassigned()) return;
      *response.add_reassignments() = ReassignmentStateOf(topic->name, index, partition);
    });
  }
  return {std::move(response), {}};
}

}  // namespace millrace::controller
