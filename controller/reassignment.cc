#include "controller/reassignment.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/check.h"
#include "base/mutant.h"
#include "base/status.h"

namespace millrace::controller {

using metadata::BrokerList;
using metadata::PartitionImage;
using metadata::ReplicaImage;
using metadata::Replicas;

namespace {

bool Holds(const Replicas& replicas, NodeId broker) {
  return std::any_of(replicas.begin(), replicas.end(),
                     [&](const ReplicaImage& replica) { return replica.broker == broker; });
}

BrokerList BrokersOf(const Replicas& replicas) {
  BrokerList brokers;
  for (const ReplicaImage& replica : replicas) brokers.push_back(replica.broker);
  return brokers;
}

bool Contains(const BrokerList& set, NodeId broker) {
  return std::find(set.begin(), set.end(), broker) != set.end();
}

// Those of `set` that hold a replica, in the order of `replicas`.
BrokerList Ordered(const BrokerList& set, const Replicas& replicas) {
  BrokerList ordered;
  for (const ReplicaImage& replica : replicas) {
    if (Contains(set, replica.broker)) ordered.push_back(replica.broker);
  }
  return ordered;
}

// Who held the partition before the reassignment that is under way, if one is.
Replicas Original(const PartitionImage& partition) {
  Replicas original;
  for (const ReplicaImage& replica : partition.replicas) {
    if (!partition.IsAdding(replica.broker)) original.push_back(replica);
  }
  return original;
}

std::string Text(const BrokerList& brokers) {
  return absl::StrJoin(
      brokers, ",", [](std::string* out, NodeId broker) { absl::StrAppend(out, broker.value()); });
}

absl::Status NobodyInSync(const PartitionImage& before, const Replicas& replicas) {
  return MakeError(ErrorCode::kIneligibleReplica,
                   absl::StrCat("of the brokers that would hold it, ", Text(BrokersOf(replicas)),
                                ", none is in sync and active; in sync are ", Text(before.isr),
                                ": wait until one has caught up"),
                   {.name = "replicas", .value = Text(BrokersOf(replicas))});
}

absl::Status NobodyLeads(const BrokerList& leaving) {
  return MakeError(ErrorCode::kIneligibleReplica,
                   absl::StrCat("the partition has no leader, and of those that would leave, ",
                                Text(leaving), ", one may have records that no other has: wait ",
                                "until it has a leader, or elect one"),
                   {.name = "replicas", .value = Text(leaving)});
}

BrokerList Leaving(const PartitionImage& before, const PartitionImage& after) {
  BrokerList leaving;
  for (const ReplicaImage& replica : before.replicas) {
    if (!after.IsReplica(replica.broker)) leaving.push_back(replica.broker);
  }
  return leaving;
}

// Who leaves is deleted. That is safe if one that stays is known to have all that was acknowledged,
// or if none of those that leave can have more than those that stay.
bool MayLoseRecords(const PartitionImage& before, const PartitionImage& after,
                    const BrokerList& leaving) {
  const auto has_seat = [&](NodeId broker) { return before.InIsr(broker) || before.InElr(broker); };
  for (const ReplicaImage& replica : after.replicas) {
    const bool impaired = Contains(before.impaired, replica.broker);
    if (has_seat(replica.broker) && !impaired) return false;
  }
  return std::any_of(leaving.begin(), leaving.end(),
                     [&](NodeId broker) { return before.IsLost() || has_seat(broker); });
}

// How the partition is to be held, from now on and in the end.
struct Holders {
  Replicas replicas;
  BrokerList target = {};
  BrokerList adding = {};
  int64_t throttle_bytes_per_s = 0;
};

// The partition held so. Whoever holds it no more is in neither set, and leads it no more.
absl::StatusOr<PartitionImage> HeldBy(Holders holders, const Electorate& electorate,
                                      const TopicRules& rules, const PartitionImage& before) {
  PartitionImage after = before;
  after.replicas = std::move(holders.replicas);
  after.target = std::move(holders.target);
  after.adding = std::move(holders.adding);
  // In whichever way a reassignment ends, it ends here: no throttle outlives it.
  after.throttle_bytes_per_s = after.adding.empty() ? 0 : holders.throttle_bytes_per_s;
  after.isr = Ordered(before.isr, after.replicas);
  after.elr = Ordered(before.elr, after.replicas);
  const BrokerList leaving = Leaving(before, after);
  if (MayLoseRecords(before, after, leaving)) {
    return before.leader == kNoNode ? NobodyLeads(leaving) : NobodyInSync(before, after.replicas);
  }
  ElectionRules election = rules.ForPartition(after);
  election.unclean = false;
  if (static_cast<int>(after.isr.size()) >= election.min_isr) after.elr.clear();
  if (!after.IsReplica(after.last_known_leader)) after.last_known_leader = kNoNode;

  const bool leader_leaves = before.leader != kNoNode && !after.IsReplica(before.leader);
  if (leader_leaves) {
    if (Elect(electorate, election, &after) != ElectionResult::kElected) {
      return NobodyInSync(before, after.replicas);
    }
    return after;
  }
  if (!leaving.empty() && !MUTANT("controller.removal-keeps-the-epoch")) ++after.leader_epoch;
  return after;
}

}  // namespace

absl::Status Reassign(const Electorate& electorate, const TopicRules& rules, const Replicas& target,
                      int64_t throttle_bytes_per_s, PartitionImage* partition) {
  CHECK(!target.empty());
  Holders holders{.replicas = Original(*partition), .throttle_bytes_per_s = throttle_bytes_per_s};
  const Replicas original = holders.replicas;
  for (const ReplicaImage& replica : target) {
    if (Holds(original, replica.broker)) continue;
    const DirectoryId known = partition->DirectoryOf(replica.broker);
    holders.replicas.push_back({replica.broker, known.is_zero() ? replica.directory : known});
    holders.adding.push_back(replica.broker);
  }
  holders.target = BrokersOf(target);
  ASSIGN_OR_RETURN(PartitionImage after, HeldBy(std::move(holders), electorate, rules, *partition));
  CompleteReassignment(electorate, rules, &after);
  *partition = std::move(after);
  return absl::OkStatus();
}

absl::Status CancelReassignment(const Electorate& electorate, const TopicRules& rules,
                                PartitionImage* partition) {
  if (!partition->IsReassigned()) return absl::OkStatus();
  ASSIGN_OR_RETURN(*partition,
                   HeldBy({.replicas = Original(*partition)}, electorate, rules, *partition));
  return absl::OkStatus();
}

void CompleteReassignment(const Electorate& electorate, const TopicRules& rules,
                          PartitionImage* partition) {
  if (!partition->IsReassigned()) return;
  // The same brokers in another order need not wait for anyone.
  const bool same_brokers = partition->adding.empty() && partition->Removing().empty();
  const bool in_sync = std::all_of(partition->target.begin(), partition->target.end(),
                                   [&](NodeId broker) { return partition->InIsr(broker); });
  if (!in_sync && !same_brokers && !MUTANT("controller.done-before-in-sync")) return;
  Holders holders;
  for (const NodeId broker : partition->target) {
    holders.replicas.push_back({broker, partition->DirectoryOf(broker)});
  }
  absl::StatusOr<PartitionImage> done = HeldBy(std::move(holders), electorate, rules, *partition);
  // Nobody of the target can lead now, since it is stopping: what it does next changes the ISR.
  if (done.ok()) *partition = *std::move(done);
}

}  // namespace millrace::controller
