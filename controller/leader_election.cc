#include "controller/leader_election.h"

#include <algorithm>
#include <utility>

#include "base/mutant.h"

namespace millrace::controller {

using metadata::BrokerList;
using metadata::PartitionImage;
using metadata::ReplicaImage;

namespace {

void Remove(NodeId broker, BrokerList* list) {
  list->erase(std::remove(list->begin(), list->end(), broker), list->end());
}

bool Contains(const BrokerList& list, NodeId broker) {
  return std::find(list.begin(), list.end(), broker) != list.end();
}

// The first replica, in order of preference, that is in `set` and may lead, those on slow disks
// last; kNoNode if none.
NodeId FirstIn(const BrokerList& set, const Electorate& electorate,
               const PartitionImage& partition) {
  NodeId slow = kNoNode;
  for (const ReplicaImage& replica : partition.replicas) {
    if (!Contains(set, replica.broker) || !electorate.MayLead(replica)) continue;
    if (electorate.IsWell(replica)) return replica.broker;
    if (slow == kNoNode) slow = replica.broker;
  }
  return slow;
}

void Lead(NodeId leader, const ElectionRules& rules, PartitionImage* partition) {
  for (const NodeId broker : std::exchange(partition->impaired, {})) {
    if (broker != leader && !MUTANT("controller.impaired-keeps-its-seat")) {
      LoseTrust(broker, partition);
    }
  }
  if (!partition->InIsr(leader)) partition->isr = {leader};
  Remove(leader, &partition->elr);
  if (static_cast<int>(partition->isr.size()) >= rules.min_isr) partition->elr.clear();
  const bool again = partition->leader == leader || partition->last_known_leader == leader;
  partition->leader = leader;
  partition->last_known_leader = kNoNode;
  if (!again || !MUTANT("controller.leads-again-in-its-epoch")) ++partition->leader_epoch;
}

// A leader of the ISR or the ELR; kNoNode if none may lead, or if it takes the ends of logs to say
// which.
NodeId LeaderWithSeat(const Electorate& electorate, const ElectionRules& rules,
                      const PartitionImage& partition) {
  const bool alone = partition.isr.size() + partition.elr.size() == 1;
  const bool any = partition.impaired.empty() || alone || rules.impaired;
  for (const bool impaired_too : {false, true}) {
    if (impaired_too && !any) break;
    for (BrokerList seats : {partition.isr, partition.elr}) {
      for (const NodeId broker : partition.impaired) {
        if (!impaired_too && !MUTANT("controller.impaired-leads")) Remove(broker, &seats);
      }
      const NodeId leader = FirstIn(seats, electorate, partition);
      if (leader != kNoNode) return leader;
    }
  }
  return kNoNode;
}

// A leader for a partition whose ISR and ELR cannot give one; kNoNode if that is not allowed.
NodeId LeaderWithoutProof(const Electorate& electorate, const ElectionRules& rules,
                          const PartitionImage& partition) {
  // One that comes with a reassignment counts: it may have been in sync, and have what the copy
  // that was there before it lost.
  const bool only_copy = partition.replicas.size() == 1;
  if (!rules.unclean && !only_copy) return kNoNode;
  // Those that may have all of it are waited for a while, and so are the ends of the others.
  if (!partition.impaired.empty() && !rules.impaired) return kNoNode;
  // Whoever led last has most probably the most (KIP-966), but only if it is unfenced
  // (KAFKA-19522).
  for (const ReplicaImage& replica : partition.replicas) {
    if (replica.broker == partition.last_known_leader && electorate.MayLead(replica)) {
      return replica.broker;
    }
  }
  for (const ReplicaImage& replica : partition.replicas) {
    if (electorate.MayLead(replica)) return replica.broker;
  }
  return kNoNode;
}

}  // namespace

const metadata::BrokerImage* Electorate::Find(NodeId broker) const {
  return override_.id == broker ? &override_ : image_.FindBroker(broker);
}

bool Electorate::IsWell(const ReplicaImage& replica) const {
  const metadata::BrokerImage* const broker = Find(replica.broker);
  return broker == nullptr || !broker->HasSlowLogDir(replica.directory);
}

bool Electorate::MayLead(const ReplicaImage& replica) const {
  const metadata::BrokerImage* const broker = Find(replica.broker);
  if (broker == nullptr) return false;
  if (broker->state != metadata::BrokerState::kActive &&
      !MUTANT("controller.fenced-broker-elected")) {
    return false;
  }
  return broker->HasWorkingLogDir(replica.directory);
}

void LeaveIsr(NodeId broker, int min_isr, PartitionImage* partition) {
  if (!partition->InIsr(broker)) return;
  Remove(broker, &partition->isr);
  if (static_cast<int>(partition->isr.size()) >= min_isr &&
      !MUTANT("controller.eligible-beside-enough-in-sync")) {
    Remove(broker, &partition->impaired);
    return;
  }
  const BrokerList before = partition->elr;
  partition->elr.clear();
  for (const ReplicaImage& replica : partition->replicas) {
    const bool eligible = replica.broker == broker || Contains(before, replica.broker);
    if (eligible) partition->elr.push_back(replica.broker);
  }
}

void ReplaceIsr(const BrokerList& isr, int min_isr, PartitionImage* partition) {
  const BrokerList isr_before = partition->isr;
  const BrokerList elr_before = partition->elr;
  const BrokerList impaired = std::exchange(partition->impaired, {});
  partition->isr.clear();
  partition->elr.clear();
  // Both sets keep the order of the replicas.
  for (const ReplicaImage& replica : partition->replicas) {
    if (Contains(isr, replica.broker)) partition->isr.push_back(replica.broker);
  }
  if (static_cast<int>(partition->isr.size()) >= min_isr) return;
  for (const ReplicaImage& replica : partition->replicas) {
    const bool had_all =
        Contains(isr_before, replica.broker) || Contains(elr_before, replica.broker);
    if (had_all && !partition->InIsr(replica.broker)) partition->elr.push_back(replica.broker);
  }
  for (const NodeId broker : impaired) Remove(broker, &partition->elr);
}

void LoseTrust(NodeId broker, PartitionImage* partition) {
  Remove(broker, &partition->isr);
  if (!MUTANT("controller.eligible-though-not-trusted")) Remove(broker, &partition->elr);
}

void LoseEligibility(NodeId broker, PartitionImage* partition) { Remove(broker, &partition->elr); }

void Impair(NodeId broker, PartitionImage* partition) {
  const bool has_seat = partition->InIsr(broker) || partition->InElr(broker);
  if (has_seat && !Contains(partition->impaired, broker)) partition->impaired.push_back(broker);
}

ElectionResult Elect(const Electorate& electorate, const ElectionRules& rules,
                     PartitionImage* partition) {
  const NodeId old_leader = partition->leader;
  if (old_leader != kNoNode && partition->InIsr(old_leader) &&
      electorate.MayLead({old_leader, partition->DirectoryOf(old_leader)})) {
    return ElectionResult::kKept;
  }
  const NodeId leader = LeaderWithSeat(electorate, rules, *partition);
  if (leader != kNoNode) {
    Lead(leader, rules, partition);
    return ElectionResult::kElected;
  }
  const NodeId unproven = LeaderWithoutProof(electorate, rules, *partition);
  if (unproven != kNoNode) {
    partition->isr.clear();
    partition->elr.clear();
    // A lone copy has nobody to reconcile with, so it has recovered by being elected.
    partition->recovery_state = partition->replicas.size() == 1
                                    ? metadata::RecoveryState::kRecovered
                                    : metadata::RecoveryState::kRecovering;
    Lead(unproven, rules, partition);
    return ElectionResult::kElectedWithoutProof;
  }
  if (old_leader != kNoNode) {
    partition->leader = kNoNode;
    partition->last_known_leader = old_leader;
    ++partition->leader_epoch;
  }
  return ElectionResult::kNone;
}

bool WasElectedWithoutProof(const PartitionImage& before, const PartitionImage& after) {
  if (after.leader == kNoNode || after.leader_epoch == before.leader_epoch) return false;
  if (before.InIsr(after.leader) || before.InElr(after.leader)) {
    // Others that were in sync were not heard of, and nobody knows that they are impaired too.
    return Contains(before.impaired, after.leader) &&
           before.impaired.size() < before.isr.size() + before.elr.size();
  }
  // It was in neither set. Either it leads without proof; or the entry that made it the leader is a
  // proposal that brought it in sync as well (S-35, the end of a reassignment), and then nobody
  // needs to recover, and there was another replica to propose it.
  return after.recovery_state == metadata::RecoveryState::kRecovering ||
         before.replicas.size() == 1;
}

}  // namespace millrace::controller
