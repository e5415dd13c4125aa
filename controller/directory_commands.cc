#include "controller/directory_commands.h"

#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "controller/broker_replicas.h"
#include "controller/current_broker.h"
#include "controller/entry.h"
#include "controller/leader_election.h"

namespace millrace::controller {

using metadata::BrokerImage;
using metadata::PartitionImage;

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
        if (rules.durable) {
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

}  // namespace millrace::controller
