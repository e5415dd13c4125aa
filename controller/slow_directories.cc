#include "controller/slow_directories.h"

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

namespace {

// The first in-sync replica that may lead and whose disk is well; kNoNode if there is none.
NodeId BetterOff(const Electorate& electorate, const PartitionImage& partition) {
  for (const metadata::ReplicaImage& replica : partition.replicas) {
    if (!partition.InIsr(replica.broker) || !electorate.MayLead(replica)) continue;
    if (electorate.IsWell(replica)) return replica.broker;
  }
  return kNoNode;
}

// The leaderships of one broker, while they are moved.
class Moves {
 public:
  // `after`: the broker as it is about to be.
  Moves(const State& state, const BrokerImage& before, const BrokerImage& after)
      : before_(before), after_(after), electorate_(state.image, after) {}

  void Move(const TopicPartition& id, const PartitionImage& partition, Entry::Part* part) {
    const DirectoryId directory = partition.DirectoryOf(after_.id);
    const bool was_slow = before_.HasSlowLogDir(directory);
    const bool is_slow = after_.HasSlowLogDir(directory);
    if (was_slow == is_slow) return;
    NodeId leader = partition.leader;
    if (is_slow && leader == after_.id) {
      leader = BetterOff(electorate_, partition);
      if (leader == kNoNode) {
        ++reply_.kept;
        return;
      }
      ++reply_.moved;
    } else if (!is_slow && leader != kNoNode && leader != after_.id && IsFirst(partition)) {
      leader = after_.id;
      ++reply_.given_back;
    }
    if (leader == partition.leader) return;
    PartitionImage changed = partition;
    changed.leader = leader;
    ++changed.leader_epoch;
    AddPartitionChange(id, partition, std::move(changed), part);
  }
  const MarkSlowDirectoriesReply& reply() const { return reply_; }

 private:
  bool IsFirst(const PartitionImage& partition) const {
    const metadata::ReplicaImage& first = partition.replicas.front();
    return first.broker == after_.id && partition.InIsr(first.broker) && electorate_.MayLead(first);
  }

  const BrokerImage& before_;
  const BrokerImage& after_;
  const Electorate electorate_;
  MarkSlowDirectoriesReply reply_;
};

}  // namespace

rsm::Decision<MarkSlowDirectoriesReply> MarkSlowDirectories(
    const State& state, const MarkSlowDirectoriesCommand& command) {
  const absl::StatusOr<const BrokerImage*> found =
      CurrentBroker(state.image, command.broker_id, command.broker_epoch);
  if (!found.ok()) return {found.status(), {}};
  if (state.image.feature_level() < metadata::kThrottleAndSlownessLevel) {
    return {MarkSlowDirectoriesReply(), {}};
  }
  const BrokerImage& before = **found;
  BrokerImage after = before;
  metadata::records::BrokerChangeRecord record = ChangeOf(before, before.state);
  metadata::records::DirectoryIdList* const slow = record.mutable_slow_directories();
  for (metadata::LogDirImage& dir : after.log_dirs) {
    dir.slow = command.directories.contains(dir.id);
    if (dir.slow) slow->add_ids(dir.id.ToBytes());
  }
  if (after == before) return {MarkSlowDirectoriesReply(), {}};

  Moves moves(state, before, after);
  Entry::Part part;
  part.emplace_back(std::move(record));
  ForEachReplicaOf(state, before.id,
                   [&](const TopicPartition& id, const PartitionImage& partition,
                       const TopicRules&) { moves.Move(id, partition, &part); });
  Entry entry;
  const absl::Status added =
      entry.Add(part, absl::StrCat("slow log directories of broker ", before.id.value()));
  if (!added.ok()) return {added, {}};
  return {moves.reply(), std::move(entry).Take()};
}

}  // namespace millrace::controller
