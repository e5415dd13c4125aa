#include "controller/broker_commands.h"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/host_port.h"
#include "base/mutant.h"
#include "base/status.h"
#include "controller/broker_replicas.h"
#include "controller/current_broker.h"
#include "controller/entry.h"
#include "controller/leader_election.h"
#include "controller/limits.h"
#include "controller/registered_log_dirs.h"
#include "controller/topic_rules.h"
#include "metadata/image_records.h"

namespace millrace::controller {

using metadata::BrokerImage;
using metadata::BrokerState;
using metadata::LogDirImage;
using metadata::PartitionImage;
using metadata::TopicImage;

namespace {

// What the removal of a broker, for whatever reason, did to partitions.
struct Removal {
  int without_leader = 0;
  int distrusted = 0;
};

// What is known of what a broker has of a partition: all that it acknowledged, or a part of that,
// or nothing.
enum class Contents { kWhole, kImpaired, kUnknown };

// Takes `broker` (as it is about to be) out of every in-sync set and moves its leaderships.
// `contents(partition id, topic rules, partition)` says what is known of what it has.
template <class ContentsOf>
Removal RemoveFromInSyncSets(const State& state, const BrokerImage& broker, ContentsOf&& contents,
                             Entry::Part* part) {
  const Electorate electorate(state.image, broker);
  Removal removal;
  ForEachReplicaOf(
      state, broker.id,
      [&](const TopicPartition& id, const PartitionImage& before, const TopicRules& rules) {
        PartitionImage after = before;
        const ElectionRules election = rules.ForPartition(before);
        const Contents known = contents(id, rules, before);
        if (known == Contents::kUnknown) {
          LoseTrust(broker.id, &after);
          removal.distrusted += before.InIsr(broker.id) || before.InElr(broker.id) ? 1 : 0;
        } else {
          LeaveIsr(broker.id, election.min_isr, &after);
        }
        if (before.leader == broker.id &&
            Elect(electorate, election, &after) == ElectionResult::kNone) {
          ++removal.without_leader;
        }
        if (known == Contents::kImpaired) Impair(broker.id, &after);
        AddPartitionChange(id, before, std::move(after), part);
      });
  return removal;
}

absl::Status Invalid(const std::string& message, const std::string& name,
                     const std::string& value) {
  return MakeError(ErrorCode::kInvalidRequest, message, {.name = name, .value = value});
}

absl::Status CheckListeners(const internal::v1::RegisterBrokerRequest& request) {
  if (request.listeners().empty() || request.listeners_size() > kListenersPerBrokerMax) {
    return Invalid(absl::StrCat("a broker has 1 to ", kListenersPerBrokerMax,
                                " listeners; the registration names ", request.listeners_size()),
                   "listeners", absl::StrCat(request.listeners_size()));
  }
  std::set<std::string> names;
  for (const internal::v1::BrokerListener& listener : request.listeners()) {
    const bool good = !listener.name().empty() && !listener.host().empty() && listener.port() > 0 &&
                      listener.port() <= 65535;
    if (!good || !names.insert(listener.name()).second) {
      const std::string text =
          absl::StrCat(listener.name(), "://", HostPort(listener.host(), listener.port()));
      return Invalid(absl::StrCat("listener '", text,
                                  "' needs a name of its own, a host and a port from 1 to 65535"),
                     "listeners", text);
    }
  }
  return absl::OkStatus();
}

absl::Status CheckLogDirs(const State& state, const internal::v1::RegisterBrokerRequest& request) {
  if (request.log_dirs().empty() || request.log_dirs_size() > kLogDirsPerBrokerMax) {
    return Invalid(
        absl::StrCat("a broker has 1 to ", kLogDirsPerBrokerMax,
                     " log directories; the registration names ", request.log_dirs_size()),
        "log_dirs", absl::StrCat(request.log_dirs_size()));
  }
  std::set<DirectoryId> ids;
  for (const internal::v1::BrokerLogDir& dir : request.log_dirs()) {
    const absl::StatusOr<DirectoryId> id = DirectoryId::FromBytes(dir.directory_id());
    if (!id.ok() || id->is_zero() || !ids.insert(*id).second) {
      return Invalid("a log directory needs an id of its own, of 16 bytes and not zero", "log_dirs",
                     id.ok() ? id->ToString() : "");
    }
  }
  absl::Status status;
  state.image.ForEachBroker([&](const BrokerImage& other) {
    for (const LogDirImage& dir : other.log_dirs) {
      if (other.id.value() == request.broker_id() || !ids.contains(dir.id)) continue;
      status = MakeError(ErrorCode::kInvalidDirectory,
                         absl::StrCat("log directory ", dir.id.ToString(), " belongs to broker ",
                                      other.id.value(), ", not to broker ", request.broker_id(),
                                      ": check which disk is mounted where"),
                         {.name = "directory_id", .value = dir.id.ToString()});
    }
  });
  return status;
}

absl::Status CheckRegistration(const State& state,
                               const internal::v1::RegisterBrokerRequest& request) {
  const ClusterId cluster = state.image.cluster_id();
  if (!request.cluster_id().empty() && request.cluster_id() != cluster.ToBytes()) {
    const absl::StatusOr<ClusterId> asked = ClusterId::FromBytes(request.cluster_id());
    return MakeError(ErrorCode::kInconsistentClusterId,
                     absl::StrCat("broker ", request.broker_id(), " belongs to cluster ",
                                  asked.ok() ? asked->ToString() : "(not an id)",
                                  ", this is cluster ", cluster.ToString()),
                     {.name = "cluster_id", .value = asked.ok() ? asked->ToString() : ""});
  }
  if (request.broker_id() < 0) {
    return Invalid(absl::StrCat("broker id ", request.broker_id(), " is negative"), "broker_id",
                   absl::StrCat(request.broker_id()));
  }
  const absl::StatusOr<IncarnationId> incarnation =
      IncarnationId::FromBytes(request.incarnation_id());
  if (!incarnation.ok() || incarnation->is_zero()) {
    return Invalid("a registration needs an incarnation id of 16 bytes, not zero", "incarnation_id",
                   "");
  }
  const int level = state.image.feature_level();
  if (level < request.feature_level_min() || level > request.feature_level_max()) {
    return MakeError(ErrorCode::kUnsupportedVersion,
                     absl::StrCat("broker ", request.broker_id(), " knows feature levels ",
                                  request.feature_level_min(), " to ", request.feature_level_max(),
                                  ", the cluster is at ", level),
                     {.name = "feature_level", .value = absl::StrCat(level)});
  }
  RETURN_IF_ERROR(CheckListeners(request));
  for (const internal::v1::ImpairedReplicas& topic : request.impaired_replicas()) {
    if (TopicId::FromBytes(topic.topic_id()).ok()) continue;
    return Invalid("an impaired replica is one of a topic with an id of 16 bytes",
                   "impaired_replicas", absl::StrCat(topic.topic_id().size(), " bytes"));
  }
  return CheckLogDirs(state, request);
}

// Those that the registration names, as far as the cluster's records can say so.
std::set<TopicPartition> ImpairedReplicasOf(const State& state,
                                            const internal::v1::RegisterBrokerRequest& request) {
  std::set<TopicPartition> impaired;
  if (state.image.feature_level() < metadata::kImpairedReplicasLevel) return impaired;
  for (const internal::v1::ImpairedReplicas& topic : request.impaired_replicas()) {
    const TopicId id = metadata::IdFrom<TopicId>(topic.topic_id());
    for (const int32_t partition : topic.partitions()) {
      impaired.insert({id, PartitionIndex(partition)});
    }
  }
  return impaired;
}

metadata::records::BrokerRegistrationRecord RecordOf(
    const State& state, const internal::v1::RegisterBrokerRequest& request,
    const BrokerImage* before) {
  metadata::records::BrokerRegistrationRecord record;
  record.set_broker_id(request.broker_id());
  record.set_incarnation_id(request.incarnation_id());
  *record.mutable_listeners() = request.listeners();
  record.set_rack(request.rack());
  for (const LogDirImage& dir : RegisteredLogDirs(state.image, before, request)) {
    *record.add_log_dirs() = metadata::LogDirRecordOf(dir);
  }
  record.set_feature_level_min(request.feature_level_min());
  record.set_feature_level_max(request.feature_level_max());
  record.set_version(request.version());
  return record;
}

// Elects leaders for partitions without one, now that `broker` is active. Errors: ENTRY_TOO_LARGE.
absl::Status Activate(const State& state, const BrokerImage& broker, Entry* entry) {
  BrokerImage active = broker;
  active.state = BrokerState::kActive;
  const Electorate electorate(state.image, active);
  Entry::Part part;
  part.emplace_back(ChangeOf(broker, BrokerState::kActive));
  ForEachReplicaOf(
      state, broker.id,
      [&](const TopicPartition& id, const PartitionImage& before, const TopicRules& rules) {
        if (before.leader != kNoNode) return;
        PartitionImage after = before;
        Elect(electorate, rules.ForPartition(before), &after);
        AddPartitionChange(id, before, std::move(after), &part);
      });
  return entry->Add(part, absl::StrCat("activating broker ", broker.id.value()));
}

// Moves what can be led elsewhere, and takes the broker out of the in-sync sets that have another
// member. A partition that only it can lead stays with it until it stops.
absl::Status ShutDown(const State& state, const BrokerImage& broker, Entry* entry) {
  BrokerImage leaving = broker;
  leaving.state = BrokerState::kShuttingDown;
  const Electorate electorate(state.image, leaving);
  Entry::Part part;
  if (broker.state != BrokerState::kShuttingDown) {
    part.emplace_back(ChangeOf(broker, BrokerState::kShuttingDown));
  }
  ForEachReplicaOf(
      state, broker.id,
      [&](const TopicPartition& id, const PartitionImage& before, const TopicRules& rules) {
        if (!before.InIsr(broker.id)) return;
        PartitionImage after = before;
        // Never by an unclean election: this broker is still there.
        ElectionRules election = rules.ForPartition(before);
        election.unclean = false;
        LeaveIsr(broker.id, election.min_isr, &after);
        const bool other_can_lead = before.replicas.size() > 1 &&
                                    Elect(electorate, election, &after) != ElectionResult::kNone;
        if (other_can_lead) AddPartitionChange(id, before, std::move(after), &part);
      });
  return entry->Add(part, absl::StrCat("shutting down broker ", broker.id.value()));
}

}  // namespace

rsm::Decision<FoundClusterReply> FoundCluster(const State& state,
                                              const FoundClusterCommand& command) {
  const ClusterId existing = state.image.cluster_id();
  if (existing == command.cluster_id) return {FoundClusterReply{existing}, {}};
  if (!existing.is_zero()) {
    return {MakeError(ErrorCode::kInconsistentClusterId,
                      absl::StrCat("this cluster was founded as ", existing.ToString(),
                                   "; it cannot become ", command.cluster_id.ToString()),
                      {.name = "cluster_id", .value = command.cluster_id.ToString()}),
            {}};
  }
  metadata::records::ClusterFoundedRecord record;
  record.set_cluster_id(command.cluster_id.ToBytes());
  record.set_feature_level(command.feature_level == 0 ? metadata::kFeatureLevelMax
                                                      : command.feature_level);
  return {FoundClusterReply{command.cluster_id}, {metadata::Encode(record)}};
}

rsm::Decision<internal::v1::RegisterBrokerResponse> RegisterBroker(
    const State& state, const internal::v1::RegisterBrokerRequest& request) {
  if (absl::Status status = CheckRegistration(state, request); !status.ok()) return {status, {}};
  const NodeId id(request.broker_id());
  const BrokerImage* before = state.image.FindBroker(id);
  internal::v1::RegisterBrokerResponse response;
  if (before != nullptr && before->incarnation.ToBytes() == request.incarnation_id()) {
    response.set_broker_epoch(before->epoch.value());
    return {response, {}};
  }

  const metadata::records::BrokerRegistrationRecord record = RecordOf(state, request, before);
  // Its epoch is not known here, and not needed: a fenced broker leads nothing.
  const BrokerImage registered = metadata::BrokerFrom(record, kNoBrokerEpoch);
  Entry::Part part;
  part.emplace_back(record);
  const std::set<TopicPartition> impaired = ImpairedReplicasOf(state, request);
  const auto trusts = [&](const TopicRules& rules, const PartitionImage& partition) {
    const LogDirImage* dir = registered.FindLogDir(partition.DirectoryOf(id));
    if (dir == nullptr) return MUTANT("controller.missing-directory-keeps-its-seat");
    // What a `replicated` topic acknowledged may be on no disk.
    if ((dir->suspect || dir->absent()) && !rules.IsDurable(partition)) {
      return MUTANT("controller.suspect-keeps-its-seat");
    }
    return dir->trusted;
  };
  const Removal removal = RemoveFromInSyncSets(
      state, registered,
      [&](const TopicPartition& partition_id, const TopicRules& rules,
          const PartitionImage& partition) {
        if (!trusts(rules, partition)) return Contents::kUnknown;
        return impaired.contains(partition_id) ? Contents::kImpaired : Contents::kWhole;
      },
      &part);
  Entry entry;
  absl::Status added = entry.Add(part, absl::StrCat("registering broker ", id.value()));
  if (!added.ok()) return {added, {}};
  response.set_replicas_distrusted(removal.distrusted);
  return {response, std::move(entry).Take()};
}

rsm::Decision<internal::v1::BrokerHeartbeatResponse> BrokerHeartbeat(
    const State& state, const internal::v1::BrokerHeartbeatRequest& request) {
  const absl::StatusOr<const BrokerImage*> found =
      CurrentBroker(state.image, NodeId(request.broker_id()), BrokerEpoch(request.broker_epoch()));
  if (!found.ok()) return {found.status(), {}};
  const BrokerImage& broker = **found;
  internal::v1::BrokerHeartbeatResponse response;
  response.set_state(metadata::StateToRecord(broker.state));
  Entry entry;
  if (request.want_shutdown() && broker.state == BrokerState::kFenced) {
    response.set_may_stop(true);
  } else if (request.want_shutdown()) {
    absl::Status status = ShutDown(state, broker, &entry);
    if (!status.ok()) return {status, {}};
    response.set_state(internal::v1::BROKER_STATE_SHUTTING_DOWN);
    // The reply leaves when the entry is committed, and then all has moved that can.
    response.set_may_stop(true);
  } else if (request.want_active() && broker.state == BrokerState::kFenced &&
             request.applied_index() >= broker.epoch.value()) {
    absl::Status status = Activate(state, broker, &entry);
    if (!status.ok()) return {status, {}};
    response.set_state(internal::v1::BROKER_STATE_ACTIVE);
  }
  return {response, std::move(entry).Take()};
}

rsm::Decision<FenceBrokerReply> FenceBroker(const State& state, const FenceBrokerCommand& command) {
  const absl::StatusOr<const BrokerImage*> found =
      CurrentBroker(state.image, command.broker_id, command.broker_epoch);
  if (!found.ok()) return {found.status(), {}};
  const BrokerImage& broker = **found;
  if (broker.state == BrokerState::kFenced) return {FenceBrokerReply{}, {}};
  BrokerImage fenced = broker;
  fenced.state = BrokerState::kFenced;
  Entry::Part part;
  part.emplace_back(ChangeOf(broker, BrokerState::kFenced));
  const auto whole = [](const TopicPartition&, const TopicRules&, const PartitionImage&) {
    return Contents::kWhole;
  };
  const Removal removal = RemoveFromInSyncSets(state, fenced, whole, &part);
  Entry entry;
  absl::Status added = entry.Add(part, absl::StrCat("fencing broker ", broker.id.value()));
  if (!added.ok()) return {added, {}};
  return {FenceBrokerReply{.partitions_without_leader = removal.without_leader},
          std::move(entry).Take()};
}

rsm::Decision<internal::v1::AllocateProducerIdsResponse> AllocateProducerIds(
    const State& state, const internal::v1::AllocateProducerIdsRequest& request) {
  const absl::StatusOr<const BrokerImage*> found =
      CurrentBroker(state.image, NodeId(request.broker_id()), BrokerEpoch(request.broker_epoch()));
  if (!found.ok()) return {found.status(), {}};
  const ProducerId first = state.image.next_producer_id();
  metadata::records::ProducerIdBlockRecord record;
  record.set_broker_id(request.broker_id());
  record.set_broker_epoch(request.broker_epoch());
  record.set_next_producer_id(first.value() + kProducerIdBlock);
  internal::v1::AllocateProducerIdsResponse response;
  response.set_first_producer_id(first.value());
  response.set_count(kProducerIdBlock);
  return {response, {metadata::Encode(record)}};
}

rsm::Decision<v1::DescribeClusterResponse> DescribeCluster(const State& state) {
  std::map<NodeId, int> leaders;
  state.image.ForEachTopic([&](const TopicImage& topic) {
    topic.ForEachPartition(
        [&](PartitionIndex, const PartitionImage& partition) { ++leaders[partition.leader]; });
  });
  v1::DescribeClusterResponse response;
  response.set_cluster_id(state.image.cluster_id().ToString());
  response.set_controller_id(state.settings->node_id.value());
  response.set_feature_level(state.image.feature_level());
  response.set_metadata_index(state.image.index().value());
  state.image.ForEachBroker([&](const BrokerImage& broker) {
    v1::BrokerDescription* out = response.add_brokers();
    out->set_broker_id(broker.id.value());
    for (const metadata::Listener& listener : broker.listeners) {
      out->add_listeners(listener.ToString());
    }
    out->set_rack(broker.rack);
    out->set_fenced(broker.state == BrokerState::kFenced);
    out->set_broker_epoch(broker.epoch.value());
    out->set_version(broker.version);
    out->set_cordoned(broker.cordoned);
    const int* replicas = state.replicas_per_broker.Find(broker.id);
    out->set_replicas(replicas == nullptr ? 0 : *replicas);
    out->set_leaders(leaders[broker.id]);
  });
  return {response, {}};
}

}  // namespace millrace::controller
