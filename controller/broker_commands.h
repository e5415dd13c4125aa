// Commands about brokers: registration, heartbeats, fencing, producer ids, and the description of
// the cluster.
//
// A broker process registers once (S-01, S-03, S-05), which ends all leaderships of the process
// before it and fences it; becomes active when it has applied its own registration (S-41), which
// elects leaders where there are none; and is fenced when its session ends (S-30).
//
// Thread: any (pure functions).
#ifndef CONTROLLER_BROKER_COMMANDS_H_
#define CONTROLLER_BROKER_COMMANDS_H_

#include "controller/commands.h"
#include "controller/state.h"
#include "rsm/record.h"

namespace millrace::controller {

// Errors: INCONSISTENT_CLUSTER_ID if a cluster is founded already under another id.
rsm::Decision<FoundClusterReply> FoundCluster(const State& state,
                                              const FoundClusterCommand& command);

// The same incarnation again changes nothing and gets its epoch (KAFKA-16952). Errors:
// INVALID_REQUEST, INCONSISTENT_CLUSTER_ID, UNSUPPORTED_VERSION (feature levels),
// INVALID_DIRECTORY (a directory that another broker registered), ENTRY_TOO_LARGE.
rsm::Decision<internal::v1::RegisterBrokerResponse> RegisterBroker(
    const State& state, const internal::v1::RegisterBrokerRequest& request);

// Changes something only when the broker becomes active, or begins or goes on to shut down. Errors:
// BROKER_ID_NOT_REGISTERED, STALE_BROKER_EPOCH, ENTRY_TOO_LARGE.
rsm::Decision<internal::v1::BrokerHeartbeatResponse> BrokerHeartbeat(
    const State& state, const internal::v1::BrokerHeartbeatRequest& request);

// Fences the broker, takes it out of every ISR and moves its leaderships, in one entry (S-30).
// Errors: BROKER_ID_NOT_REGISTERED, STALE_BROKER_EPOCH.
rsm::Decision<FenceBrokerReply> FenceBroker(const State& state, const FenceBrokerCommand& command);

// Errors: BROKER_ID_NOT_REGISTERED, STALE_BROKER_EPOCH.
rsm::Decision<internal::v1::AllocateProducerIdsResponse> AllocateProducerIds(
    const State& state, const internal::v1::AllocateProducerIdsRequest& request);

rsm::Decision<v1::DescribeClusterResponse> DescribeCluster(const State& state);

}  // namespace millrace::controller

#endif  // CONTROLLER_BROKER_COMMANDS_H_
