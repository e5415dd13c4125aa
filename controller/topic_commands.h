// Deleting, listing and describing topics. Creating and growing them is topic_creation.h.
//
// Thread: any (pure functions).
#ifndef CONTROLLER_TOPIC_COMMANDS_H_
#define CONTROLLER_TOPIC_COMMANDS_H_

#include "controller/commands.h"
#include "controller/state.h"
#include "rsm/record.h"

namespace millrace::controller {

// By name, by id, or both kinds in one request. Codes of results: UNKNOWN_TOPIC_OR_PARTITION,
// UNKNOWN_TOPIC_ID, INVALID_REQUEST (named twice), TOPIC_DELETION_DISABLED.
rsm::Decision<v1::DeleteTopicsResponse> DeleteTopics(const State& state,
                                                     const v1::DeleteTopicsRequest& request);

// Sorted by name.
rsm::Decision<v1::ListTopicsResponse> ListTopics(const State& state,
                                                 const v1::ListTopicsRequest& request);

// Those asked for, in the order asked; all, sorted by name, if none is named. Codes of results:
// UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN_TOPIC_ID.
rsm::Decision<v1::DescribeTopicsResponse> DescribeTopics(const State& state,
                                                         const v1::DescribeTopicsRequest& request);

}  // namespace millrace::controller

#endif  // CONTROLLER_TOPIC_COMMANDS_H_
