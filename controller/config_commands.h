// Describing and changing configs of topics and brokers.
//
// Thread: any (pure functions).
#ifndef CONTROLLER_CONFIG_COMMANDS_H_
#define CONTROLLER_CONFIG_COMMANDS_H_

#include "controller/commands.h"
#include "controller/state.h"
#include "rsm/record.h"

namespace millrace::controller {

// Every key of a topic or broker with the value in force, where it comes from, and all places that
// set it. A broker's own file is known for this node only. A resource of type broker with an empty
// name stands for what is set for all brokers. Codes of results: UNKNOWN_TOPIC_OR_PARTITION,
// BROKER_ID_NOT_REGISTERED, INVALID_REQUEST, INVALID_CONFIG (a name asked for that is no key).
rsm::Decision<v1::DescribeConfigsResponse> DescribeConfigs(
    const State& state, const v1::DescribeConfigsRequest& request);

// Each resource is changed whole or not at all; those that succeed are one atomic entry. A change
// of min.insync.replicas also clears the eligible leader replicas of the topic (KAFKA-16540).
// If unclean.leader.election.enable is altered, partitions that have no leader and may be led
// without proof, after that, are given one in the same entry; setting it again tries again.
// `durability` of a topic that is raised holds for each partition from when its leader has said so
// (S-07). Codes of results: as above, UNSUPPORTED_VERSION for that below its feature level, and
// INVALID_CONFIG for unknown keys (with the nearest known), values out of range and operations that
// do not fit, ENTRY_TOO_LARGE.
rsm::Decision<v1::IncrementalAlterConfigsResponse> IncrementalAlterConfigs(
    const State& state, const v1::IncrementalAlterConfigsRequest& request);

}  // namespace millrace::controller

#endif  // CONTROLLER_CONFIG_COMMANDS_H_
