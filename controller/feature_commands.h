// Commands about the cluster's feature level: what records its nodes may write, and so what every
// node of it has to know.
//
// The level is a record of its own, and is raised once all nodes know the new one: every broker
// that is registered, fenced or not, as its registration says, and every controller in the quorum,
// as the leader heard. It is never lowered, since records of it may be in the log.
//
// Thread: any (pure functions).
// Source: KIP-584 (features raised by command), KIP-778 (the level as one number).
#ifndef CONTROLLER_FEATURE_COMMANDS_H_
#define CONTROLLER_FEATURE_COMMANDS_H_

#include "controller/commands.h"
#include "controller/state.h"
#include "rsm/record.h"

namespace millrace::controller {

rsm::Decision<v1::DescribeFeaturesResponse> DescribeFeatures(
    const State& state, const DescribeFeaturesCommand& command);

// The level that the cluster has already changes nothing. Errors: INVALID_REQUEST for a lower one;
// UNSUPPORTED_VERSION naming the nodes that do not know the level, or are not known to.
rsm::Decision<v1::RaiseFeatureLevelResponse> RaiseFeatureLevel(
    const State& state, const RaiseFeatureLevelCommand& command);

}  // namespace millrace::controller

#endif  // CONTROLLER_FEATURE_COMMANDS_H_
