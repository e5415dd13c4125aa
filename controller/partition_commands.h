// Commands about partitions that exist: the changes of in-sync sets that their leaders propose.
//
// The leader sees who keeps up; the controller sees who is alive, under which broker epoch and in
// which directories, and has the last word. A proposal is a compare-and-set on the partition epoch,
// so that whatever has changed since the leader looked is never undone by it.
//
// Thread: any (pure functions).
// Source: KIP-497 (AlterPartition), KIP-841 (fenced brokers), KIP-903 (broker epochs), KIP-966
// (eligible leader replicas), KIP-704 (recovery state).
#ifndef CONTROLLER_PARTITION_COMMANDS_H_
#define CONTROLLER_PARTITION_COMMANDS_H_

#include "controller/commands.h"
#include "controller/state.h"
#include "rsm/record.h"

namespace millrace::controller {

// Decides each proposal on its own; those that change something go into one entry. Each is answered
// with the state as it is after this decision, which ends a reassignment whose target is in sync by
// it (reassignment.h), and the raise of a durability that its members have on their disks (S-07). A
// leader that leaves itself out hands over to one of those it names (S-35).
// One that is refused or changes nothing leaves no record (S-12). Errors, for the whole request:
// BROKER_ID_NOT_REGISTERED, STALE_BROKER_EPOCH. Errors, per partition: UNKNOWN_TOPIC_OR_PARTITION,
// FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH, NOT_LEADER_OR_FOLLOWER, INVALID_UPDATE_VERSION,
// INELIGIBLE_REPLICA, INVALID_REQUEST, ENTRY_TOO_LARGE.
rsm::Decision<internal::v1::AlterPartitionResponse> AlterPartition(
    const State& state, const internal::v1::AlterPartitionRequest& request);

}  // namespace millrace::controller

#endif  // CONTROLLER_PARTITION_COMMANDS_H_
