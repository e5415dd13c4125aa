#include "controller/decommission_commands.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "controller/entry.h"
#include "controller/feature_level.h"
#include "controller/limits.h"
#include "controller/reassignment.h"
#include "controller/reassignment_commands.h"
#include "controller/replica_placement.h"
#include "controller/topic_rules.h"

namespace millrace::controller {

using metadata::BrokerImage;
using metadata::BrokerList;
using metadata::PartitionImage;
using metadata::TopicImage;

namespace {

// The broker that a command is about.
absl::StatusOr<const BrokerImage*> FindBroker(const State& state, int32_t id,
                                              absl::string_view what) {
  RETURN_IF_ERROR(CheckFeatureLevel(state.image, metadata::kReassignmentLevel, what));
  const BrokerImage* broker = state.image.FindBroker(NodeId(id));
  if (broker != nullptr) return broker;
  return MakeError(ErrorCode::kBrokerIdNotRegistered,
                   absl::StrCat("there is no broker ", id, " in the cluster"),
                   {.name = "broker_id", .value = absl::StrCat(id)});
}

int ReplicasOn(const State& state, NodeId broker) {
  const int* count = state.replicas_per_broker.Find(broker);
  return count == nullptr ? 0 : *count;
}

metadata::records::BrokerCordonRecord CordonOf(NodeId broker, bool cordoned) {
  metadata::records::BrokerCordonRecord record;
  record.set_broker_id(broker.value());
  record.set_cordoned(cordoned);
  return record;
}

// Who takes over what a broker holds: those that are active and not cordoned, with how much they
// hold, what was just given to them included.
class Successors {
 public:
  Successors(const State& state, NodeId leaving) {
    state.image.ForEachBroker([&](const BrokerImage& broker) {
      const bool works = std::any_of(broker.log_dirs.begin(), broker.log_dirs.end(),
                                     [](const metadata::LogDirImage& dir) { return !dir.failed; });
      if (broker.id == leaving || broker.cordoned || !works) return;
      if (broker.state != metadata::BrokerState::kActive) return;
      candidates_[broker.id] = {.rack = broker.rack, .replicas = ReplicasOn(state, broker.id)};
    });
    state.image.ForEachBroker([&](const BrokerImage& broker) { racks_[broker.id] = broker.rack; });
    state.image.ForEachTopic([&](const TopicImage& topic) {
      topic.ForEachPartition([&](PartitionIndex, const PartitionImage& partition) {
        const auto first = candidates_.find(FirstOf(partition));
        if (first != candidates_.end()) ++first->second.first_replicas;
      });
    });
  }

  int count() const { return static_cast<int>(candidates_.size()); }
  // Some that `target` does not name were passed over for want of room.
  bool AnyFull(const BrokerList& target) const {
    return std::any_of(candidates_.begin(), candidates_.end(), [&](const auto& entry) {
      return IsFull(entry.second) &&
             std::find(target.begin(), target.end(), entry.first) == target.end();
    });
  }

  // One for the place `at` of `target`, whose other members stay; kNoNode: there is none. Of two on
  // racks as good, one that has the partition already, on its way elsewhere, is better; any other
  // must have room for one replica more.
  NodeId Take(const PartitionImage& partition, const BrokerList& target, size_t at) {
    NodeId best = kNoNode;
    std::tuple<bool, bool, int, int> best_rank;
    for (const auto& [id, candidate] : candidates_) {
      if (std::find(target.begin(), target.end(), id) != target.end()) continue;
      if (IsFull(candidate) && !partition.IsReplica(id)) continue;
      const std::tuple<bool, bool, int, int> rank = {
          SharesRack(candidate.rack, target, at), !partition.IsReplica(id),
          at == 0 ? candidate.first_replicas : 0, candidate.replicas};
      if (best != kNoNode && rank >= best_rank) continue;
      best = id;
      best_rank = rank;
    }
    if (best == kNoNode) return best;
    Candidate& taken = candidates_.at(best);
    ++taken.replicas;
    taken.first_replicas += at == 0 ? 1 : 0;
    return best;
  }

 private:
  struct Candidate {
    std::string rack;
    int replicas = 0;
    int first_replicas = 0;
  };

  static bool IsFull(const Candidate& candidate) {
    return candidate.replicas >= kReplicasPerBrokerMax;
  }
  static NodeId FirstOf(const PartitionImage& partition) {
    return partition.IsReassigned() ? partition.target.front() : partition.replicas.front().broker;
  }
  bool SharesRack(const std::string& rack, const BrokerList& target, size_t at) const {
    for (size_t i = 0; i < target.size(); ++i) {
      const auto known = racks_.find(target[i]);
      if (i != at && known != racks_.end() && known->second == rack) return true;
    }
    return false;
  }

  std::map<NodeId, Candidate> candidates_;
  std::map<NodeId, std::string> racks_;
};

// The moves of one request, while they are decided.
class Decommission {
 public:
  // `throttle`: of all moves; none: as each is now.
  Decommission(const State& state, NodeId leaving, std::optional<int64_t> throttle, uint64_t seed)
      : state_(state),
        leaving_(leaving),
        throttle_(throttle),
        electorate_(state.image),
        placer_(state.image, seed),
        successors_(state, leaving) {}

  absl::Status MoveAll() {
    for (const TopicImage* topic : state_.image.TopicsByName()) {
      const TopicRules rules = TopicRulesOf(state_, topic->id);
      absl::Status status;
      topic->ForEachPartition([&](PartitionIndex index, const PartitionImage& before) {
        if (!status.ok() || !before.IsReplica(leaving_)) return;
        status = Move(*topic, index, rules, before);
      });
      RETURN_IF_ERROR(status);
    }
    return absl::OkStatus();
  }

  Entry& entry() { return entry_; }
  v1::DecommissionBrokerResponse TakeResponse() && { return std::move(response_); }

 private:
  absl::Status Move(const TopicImage& topic, PartitionIndex index, const TopicRules& rules,
                    const PartitionImage& before) {
    BrokerList target = before.target;
    if (target.empty()) {
      for (const metadata::ReplicaImage& replica : before.replicas) {
        target.push_back(replica.broker);
      }
    }
    const auto place = std::find(target.begin(), target.end(), leaving_);
    response_.set_replicas(response_.replicas() + 1);
    if (place == target.end()) {
      response_.set_moving(response_.moving() + 1);
      return Throttle(topic, index, rules, before);
    }
    if (response_.started_size() == kPartitionsPerRequestMax) return absl::OkStatus();
    const NodeId successor =
        successors_.Take(before, target, static_cast<size_t>(place - target.begin()));
    if (successor == kNoNode) return NoSuccessor(topic, index, target);
    *place = successor;
    metadata::Replicas replicas;
    for (const NodeId broker : target) {
      const bool fresh = broker == successor;
      replicas.push_back({broker, fresh ? placer_.NextDirectory(broker) : DirectoryId()});
    }
    PartitionImage after = before;
    RETURN_IF_ERROR(Change(topic, index, rules, replicas, before, &after));
    Entry::Part part;
    AddPartitionChange({topic.id, index}, before, after, &part);
    // What does not fit into this entry goes into the next.
    if (!entry_.Add(part, "decommissioning").ok()) return absl::OkStatus();
    response_.set_moving(response_.moving() + 1);
    *response_.add_started() = ReassignmentStateOf(topic.name, index, after);
    return absl::OkStatus();
  }

  // One that is on its way elsewhere already keeps its throttle, unless another is asked for.
  absl::Status Change(const TopicImage& topic, PartitionIndex index, const TopicRules& rules,
                      const metadata::Replicas& target, const PartitionImage& before,
                      PartitionImage* after) const {
    return Annotate(Reassign(electorate_, rules, target,
                             throttle_.value_or(before.throttle_bytes_per_s), after),
                    absl::StrCat("partition ", topic.name, "-", index.value()));
  }

  // Of a partition that is on its way from the broker already.
  absl::Status Throttle(const TopicImage& topic, PartitionIndex index, const TopicRules& rules,
                        const PartitionImage& before) {
    if (!throttle_) return absl::OkStatus();
    metadata::Replicas target;
    for (const NodeId broker : before.target) target.push_back({broker, DirectoryId()});
    PartitionImage after = before;
    RETURN_IF_ERROR(Change(topic, index, rules, target, before, &after));
    Entry::Part part;
    AddPartitionChange({topic.id, index}, before, after, &part);
    // What does not fit into this entry is changed when it is asked again.
    if (!part.empty()) entry_.Add(part, "throttling a decommission").IgnoreError();
    return absl::OkStatus();
  }

  absl::Status NoSuccessor(const TopicImage& topic, PartitionIndex index,
                           const BrokerList& target) const {
    if (successors_.AnyFull(target)) {
      return MakeError(
          ErrorCode::kResourceExhausted,
          absl::StrCat("partition ", topic.name, "-", index.value(),
                       " has nowhere to go: the other active brokers that are not cordoned hold ",
                       kReplicasPerBrokerMax, " replicas, as many as are allowed; add one"),
          {.name = "broker_id", .value = absl::StrCat(leaving_.value())});
    }
    return MakeError(
        ErrorCode::kInvalidReplicationFactor,
        absl::StrCat("partition ", topic.name, "-", index.value(), " has replication factor ",
                     target.size(), ", and without broker ", leaving_.value(), " there are ",
                     successors_.count(), " active brokers that are not cordoned: add one, or ",
                     "reassign the partition to fewer"),
        {.name = "broker_id", .value = absl::StrCat(leaving_.value())});
  }

  const State& state_;
  const NodeId leaving_;
  const std::optional<int64_t> throttle_;
  const Electorate electorate_;
  ReplicaPlacer placer_;
  Successors successors_;
  Entry entry_;
  v1::DecommissionBrokerResponse response_;
};

}  // namespace

rsm::Decision<v1::CordonBrokerResponse> CordonBroker(const State& state,
                                                     const v1::CordonBrokerRequest& request) {
  const absl::StatusOr<const BrokerImage*> broker =
      FindBroker(state, request.broker_id(), "cordoning brokers");
  if (!broker.ok()) return {broker.status(), {}};
  v1::CordonBrokerResponse response;
  response.set_changed((*broker)->cordoned != request.cordoned());
  response.set_replicas(ReplicasOn(state, (*broker)->id));
  if (!response.changed() || request.validate_only()) return {std::move(response), {}};
  return {std::move(response), {metadata::Encode(CordonOf((*broker)->id, request.cordoned()))}};
}

rsm::Decision<v1::DecommissionBrokerResponse> DecommissionBroker(
    const State& state, const DecommissionBrokerCommand& command) {
  const absl::StatusOr<const BrokerImage*> broker =
      FindBroker(state, command.request.broker_id(), "decommissioning brokers");
  if (!broker.ok()) return {broker.status(), {}};
  const NodeId id = (*broker)->id;
  std::optional<int64_t> throttle;
  if (command.request.has_throttle_bytes_per_s()) throttle = command.request.throttle_bytes_per_s();
  Decommission decommission(state, id, throttle, command.placement_seed);
  absl::Status status = CheckThrottle(state, throttle.value_or(0));
  if (status.ok() && !(*broker)->cordoned)
    status = decommission.entry().Add({CordonOf(id, true)}, "cordoning");
  if (status.ok()) status = decommission.MoveAll();
  if (!status.ok()) return {status, {}};
  std::vector<rsm::Record> records;
  if (!command.request.validate_only()) records = std::move(decommission.entry()).Take();
  return {std::move(decommission).TakeResponse(), std::move(records)};
}

rsm::Decision<v1::UnregisterBrokerResponse> UnregisterBroker(
    const State& state, const v1::UnregisterBrokerRequest& request) {
  const absl::StatusOr<const BrokerImage*> broker =
      FindBroker(state, request.broker_id(), "unregistering brokers");
  if (!broker.ok()) return {broker.status(), {}};
  const NodeId id = (*broker)->id;
  const std::string value = absl::StrCat(id.value());
  if (const int replicas = ReplicasOn(state, id); replicas > 0) {
    return {MakeError(ErrorCode::kInvalidRequest,
                      absl::StrCat("broker ", value, " holds ", replicas,
                                   " replicas: decommission it first"),
                      {.name = "broker_id", .value = value}),
            {}};
  }
  // One that is shutting down may have stopped already, and its session is not over yet: it holds
  // nothing, and does not come back in this state.
  if ((*broker)->state == metadata::BrokerState::kActive) {
    return {MakeError(ErrorCode::kInvalidRequest,
                      absl::StrCat("broker ", value, " is running: stop it first"),
                      {.name = "broker_id", .value = value}),
            {}};
  }
  metadata::records::BrokerRemovedRecord record;
  record.set_broker_id(id.value());
  record.set_broker_epoch((*broker)->epoch.value());
  return {v1::UnregisterBrokerResponse(), {metadata::Encode(record)}};
}

}  // namespace millrace::controller
