#include "controller/directory_commands.h"

#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/mutant.h"
#include "base/status.h"
#include "controller/broker_replicas.h"
#include "controller/current_broker.h"
#include "controller/entry.h"
#include "controller/leader_election.h"
#include "controller/results.h"
#include "controller/topic_rules.h"

namespace millrace::controller {

using metadata::BrokerImage;
using metadata::PartitionImage;

namespace {

// The partition with the replica of `broker` in `directory`.
absl::StatusOr<PartitionImage> MoveTo(DirectoryId directory, const BrokerImage& broker,
                                      const Electorate& electorate, const ElectionRules& rules,
                                      const PartitionImage& before) {
  PartitionImage after = before;
  for (metadata::ReplicaImage& replica : after.replicas) {
    if (replica.broker == broker.id) replica.directory = directory;
  }
  const DirectoryId known = before.DirectoryOf(broker.id);
  if (known.is_zero() || known == directory) return after;
  if (MUTANT("controller.seat-goes-to-another-directory")) return after;
  LoseTrust(broker.id, &after);
  if (after.isr.empty() && after.elr.empty()) {
    return MakeError(ErrorCode::kIneligibleReplica,
                     absl::StrCat("nobody else is known to have what is in log directory ",
                                  known.ToString(), " of broker ", broker.id.value(),
                                  ": bring that back, or elect another leader"),
                     {.name = "directory_id", .value = known.ToString()});
  }
  // It led with what it has no more.
  if (after.last_known_leader == broker.id) after.last_known_leader = kNoNode;
  if (before.leader == broker.id) {
    ElectionRules election = rules;
    election.unclean = false;
    Elect(electorate, election, &after);
    if (after.last_known_leader == broker.id) after.last_known_leader = kNoNode;
  }
  return after;
}

absl::StatusOr<PartitionImage> Assigned(const State& state, const BrokerImage& broker,
                                        const TopicPartition& id, DirectoryId directory) {
  const PartitionImage* const before = state.image.FindPartition(id);
  if (before == nullptr) {
    return MakeError(ErrorCode::kUnknownTopicOrPartition,
                     absl::StrCat("there is no partition ", id.partition.value(), " of topic ",
                                  id.topic_id.ToString()));
  }
  if (!before->IsReplica(broker.id)) {
    return MakeError(ErrorCode::kInvalidRequest,
                     absl::StrCat("broker ", broker.id.value(), " has no replica of the partition"),
                     {.name = "broker_id", .value = absl::StrCat(broker.id.value())});
  }
  if (!broker.HasWorkingLogDir(directory)) {
    return MakeError(ErrorCode::kDirectoryUnavailable,
                     absl::StrCat("log directory ", directory.ToString(), " of broker ",
                                  broker.id.value(), " failed or was not registered"),
                     {.name = "directory_id", .value = directory.ToString()});
  }
  return MoveTo(directory, broker, Electorate(state.image),
                TopicRulesOf(state, id.topic_id).ForPartition(*before), *before);
}

}  // namespace

rsm::Decision<FailDirectoriesReply> FailDirectories(const State& state,
                                                    const FailDirectoriesCommand& command) {
  const absl::StatusOr<const BrokerImage*> found =
      CurrentBroker(state.image, command.broker_id, command.broker_epoch);
  if (!found.ok()) return {found.status(), {}};
  const BrokerImage& broker = **found;
  BrokerImage after_failure = broker;
  metadata::records::BrokerChangeRecord record = ChangeOf(broker, broker.state);
  std::set<DirectoryId> failed;
  for (metadata::LogDirImage& dir : after_failure.log_dirs) {
    if (dir.failed || !command.directories.contains(dir.id)) continue;
    dir.failed = true;
    failed.insert(dir.id);
    record.add_failed_directories(dir.id.ToBytes());
  }
  FailDirectoriesReply reply;
  if (failed.empty()) return {reply, {}};

  const Electorate electorate(state.image, after_failure);
  Entry::Part part;
  part.emplace_back(std::move(record));
  ForEachReplicaOf(
      state, broker.id,
      [&](const TopicPartition& id, const PartitionImage& before, const TopicRules& rules) {
        if (!failed.contains(before.DirectoryOf(broker.id))) return;
        PartitionImage after = before;
        const ElectionRules election = rules.ForPartition(before);
        if (rules.IsDurable(before)) {
          LeaveIsr(broker.id, election.min_isr, &after);
        } else {
          LoseTrust(broker.id, &after);
        }
        if (before.leader == broker.id &&
            Elect(electorate, election, &after) == ElectionResult::kNone) {
          ++reply.partitions_without_leader;
        }
        AddPartitionChange(id, before, std::move(after), &part);
        ++reply.replicas;
      });
  Entry entry;
  const absl::Status added =
      entry.Add(part, absl::StrCat("failed log directories of broker ", broker.id.value()));
  if (!added.ok()) return {added, {}};
  return {reply, std::move(entry).Take()};
}

rsm::Decision<internal::v1::AssignReplicasToDirsResponse> AssignReplicasToDirs(
    const State& state, const internal::v1::AssignReplicasToDirsRequest& request) {
  const absl::StatusOr<const BrokerImage*> broker =
      CurrentBroker(state.image, NodeId(request.broker_id()), BrokerEpoch(request.broker_epoch()));
  if (!broker.ok()) return {broker.status(), {}};
  internal::v1::AssignReplicasToDirsResponse response;
  Entry entry;
  std::set<TopicPartition> seen;
  for (const internal::v1::ReplicaDirectory& replica : request.replicas()) {
    internal::v1::ReplicaDirectoryResult* const result = response.add_replicas();
    const TopicPartition id{TopicId::FromBytes(replica.topic_id()).value_or(TopicId()),
                            PartitionIndex(replica.partition())};
    const DirectoryId directory =
        DirectoryId::FromBytes(replica.directory_id()).value_or(DirectoryId());
    if (!seen.insert(id).second) {
      SetError(MakeError(ErrorCode::kInvalidRequest, "the partition is named twice"), result);
      continue;
    }
    const absl::StatusOr<PartitionImage> after = Assigned(state, **broker, id, directory);
    if (!after.ok()) {
      SetError(after.status(), result);
      continue;
    }
    Entry::Part part;
    AddPartitionChange(id, *state.image.FindPartition(id), *after, &part);
    if (part.empty()) continue;
    const absl::Status added = entry.Add(part, "assigning log directories");
    if (!added.ok()) SetError(added, result);
  }
  return {std::move(response), std::move(entry).Take()};
}

}  // namespace millrace::controller
