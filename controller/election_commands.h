// Elections that somebody asks for: by ElectLeaders, or by a config.
//
// Preferred: the first replica leads again, where it is in sync. Unclean: a partition that has no
// leader, because whoever is sure to have all that was acknowledged is gone, is given one that may
// lack some of it; to be asked for only when those are known not to come back.
//
// Thread: any (pure functions).
// Source: KIP-460; KIP-966 (who is taken when none is sure), S-32 (by command).
#ifndef CONTROLLER_ELECTION_COMMANDS_H_
#define CONTROLLER_ELECTION_COMMANDS_H_

#include "controller/entry.h"
#include "controller/state.h"
#include "millrace/v1/admin_service.pb.h"
#include "rsm/record.h"

namespace millrace::controller {

// All elections in one entry. Where nothing need be changed that is the result. Errors:
// INVALID_REQUEST without a type or for too many partitions. Errors, per partition:
// UNKNOWN_TOPIC_OR_PARTITION; INELIGIBLE_REPLICA: the first replica cannot lead now;
// BROKER_NOT_AVAILABLE: no replica can.
rsm::Decision<v1::ElectLeadersResponse> ElectLeaders(const State& state,
                                                     const v1::ElectLeadersRequest& request);

// Adds to `entry` a leader for each partition without one whose topic allows that it lacks records
// (unclean.leader.election.enable), as things are once what `entry` holds is applied. What does not
// fit into one entry is left as it is.
void ElectWhereConfigsAllow(const State& state, Entry* entry);

}  // namespace millrace::controller

#endif  // CONTROLLER_ELECTION_COMMANDS_H_
