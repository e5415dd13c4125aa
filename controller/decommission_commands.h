// CordonBroker, DecommissionBroker and UnregisterBroker: how a broker leaves the cluster for good.
//
// Cordoned, it is given no new replicas. Decommissioned, what it holds is reassigned
// (reassignment.h) to other brokers, each replica to one of its own rank: on another rack than the
// rest where there is one, and of those to the broker with the fewest replicas (for the first
// replica of a partition: the fewest first replicas). When it holds nothing and has stopped it can
// be unregistered.
//
// Thread: any (pure functions).
#ifndef CONTROLLER_DECOMMISSION_COMMANDS_H_
#define CONTROLLER_DECOMMISSION_COMMANDS_H_

#include "controller/commands.h"
#include "controller/state.h"
#include "rsm/record.h"

namespace millrace::controller {

// Errors: BROKER_ID_NOT_REGISTERED; UNSUPPORTED_VERSION below feature level 3.
rsm::Decision<v1::CordonBrokerResponse> CordonBroker(const State& state,
                                                     const v1::CordonBrokerRequest& request);

// Begins to move at most kPartitionsPerRequestMax partitions at a time; asked again it begins with
// those that are left, and when all are on their way changes nothing more but the throttle, if it
// is given one. Errors: as above; those of CheckThrottle and Reassign; INVALID_REPLICATION_FACTOR
// with the numbers, if there are not enough other brokers, active and not cordoned, for a
// partition: nothing is changed then.
rsm::Decision<v1::DecommissionBrokerResponse> DecommissionBroker(
    const State& state, const DecommissionBrokerCommand& command);

// Errors: as the first; INVALID_REQUEST, if the broker holds replicas or is not fenced.
rsm::Decision<v1::UnregisterBrokerResponse> UnregisterBroker(
    const State& state, const v1::UnregisterBrokerRequest& request);

}  // namespace millrace::controller

#endif  // CONTROLLER_DECOMMISSION_COMMANDS_H_
