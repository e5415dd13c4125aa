// Creating topics, and growing them.
//
// Each topic of a request is decided by itself and has its own result; those that succeed are one
// atomic entry. With validate_only all is decided and answered, and there are no records.
//
// Thread: any (pure functions).
#ifndef CONTROLLER_TOPIC_CREATION_H_
#define CONTROLLER_TOPIC_CREATION_H_

#include "controller/commands.h"
#include "controller/state.h"
#include "rsm/record.h"

namespace millrace::controller {

// Replication factor and min.insync.replicas that are not asked for are lowered to the brokers
// there are, once, and kept as facts of the topic (S-16); so is `durability`. Codes of results:
// INVALID_TOPIC_NAME, TOPIC_ALREADY_EXISTS, INVALID_PARTITIONS, INVALID_REPLICATION_FACTOR,
// INVALID_REPLICA_ASSIGNMENT, INVALID_CONFIG, INVALID_REQUEST, BROKER_NOT_AVAILABLE,
// RESOURCE_EXHAUSTED (replicas per broker), ENTRY_TOO_LARGE. Error of the whole: INVALID_REQUEST.
rsm::Decision<v1::CreateTopicsResponse> CreateTopics(const State& state,
                                                     const CreateTopicsCommand& command);

// Codes as above, and UNKNOWN_TOPIC_OR_PARTITION.
rsm::Decision<v1::CreatePartitionsResponse> CreatePartitions(
    const State& state, const CreatePartitionsCommand& command);

}  // namespace millrace::controller

#endif  // CONTROLLER_TOPIC_CREATION_H_
