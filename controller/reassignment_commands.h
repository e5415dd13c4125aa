// AlterPartitionReassignments and ListPartitionReassignments: what people ask for of
// reassignment.h.
//
// Thread: any (pure functions).
// Source: KIP-455.
#ifndef CONTROLLER_REASSIGNMENT_COMMANDS_H_
#define CONTROLLER_REASSIGNMENT_COMMANDS_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "controller/commands.h"
#include "controller/state.h"
#include "rsm/record.h"

namespace millrace::controller {

// Each partition is decided by itself; those that can begin (or be taken back) are one entry. Codes
// of results: UNKNOWN_TOPIC_OR_PARTITION; INVALID_REPLICA_ASSIGNMENT: a broker that is not
// registered, is named twice, or is cordoned and does not hold the partition yet, or fewer of them
// than min.insync.replicas asks for; INVALID_REPLICATION_FACTOR: more than there may be;
// INELIGIBLE_REPLICA: nobody in sync would be left, or who leaves may have records that no other
// has; RESOURCE_EXHAUSTED: replicas per broker; INVALID_REQUEST: named twice, or a negative
// throttle; UNSUPPORTED_VERSION: a throttle below feature level 4; ENTRY_TOO_LARGE. Errors of the
// whole: INVALID_REQUEST for too many, UNSUPPORTED_VERSION below feature level 3.
rsm::Decision<v1::AlterPartitionReassignmentsResponse> AlterPartitionReassignments(
    const State& state, const AlterReassignmentsCommand& command);

// Those under way, by topic name and partition.
rsm::Decision<v1::ListPartitionReassignmentsResponse> ListPartitionReassignments(
    const State& state, const v1::ListPartitionReassignmentsRequest& request);

// Errors: INVALID_REQUEST: negative; UNSUPPORTED_VERSION: one that is not 0 below feature level 4.
absl::Status CheckThrottle(const State& state, int64_t bytes_per_s);

// The partition as the responses have it.
v1::PartitionReassignmentState ReassignmentStateOf(absl::string_view topic, PartitionIndex index,
                                                   const metadata::PartitionImage& partition);

}  // namespace millrace::controller

#endif  // CONTROLLER_REASSIGNMENT_COMMANDS_H_
