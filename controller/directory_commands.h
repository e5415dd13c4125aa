// Commands about log directories: what follows when one fails while its broker runs, and where
// replicas lie.
//
// Thread: any (pure functions).
// Source: KIP-858; S-30 (a member leaves the ISR by loss of its directory), S-05.
#ifndef CONTROLLER_DIRECTORY_COMMANDS_H_
#define CONTROLLER_DIRECTORY_COMMANDS_H_

#include "controller/commands.h"
#include "controller/state.h"
#include "rsm/record.h"

namespace millrace::controller {

// Marks the directories as failed, takes the replicas in them out of every ISR and moves the
// leaderships that lie there, in one entry; those in other directories stay as they are. What a
// durable topic acknowledged is on that disk whatever becomes of it, so its replica may be an
// eligible leader when the disk is back; what a `replicated` one acknowledged may not be (S-03).
// Directories that the broker did not register, or that failed before, change nothing. Errors:
// BROKER_ID_NOT_REGISTERED, STALE_BROKER_EPOCH, ENTRY_TOO_LARGE.
rsm::Decision<FailDirectoriesReply> FailDirectories(const State& state,
                                                    const FailDirectoriesCommand& command);

// Notes where replicas of the broker lie. What was in the directory that the metadata names is not
// in another one: a replica that moves loses its seats in ISR and ELR, and leads no more, in the
// same entry (S-05); unless nobody else has a seat: then the old directory may hold the last copy,
// and the replica stays where it was (INELIGIBLE_REPLICA). Each is decided on its own; what is
// known already changes nothing. Errors, for the whole request: BROKER_ID_NOT_REGISTERED,
// STALE_BROKER_EPOCH. Errors, per replica: UNKNOWN_TOPIC_OR_PARTITION, INVALID_REQUEST,
// DIRECTORY_UNAVAILABLE, INELIGIBLE_REPLICA, ENTRY_TOO_LARGE.
rsm::Decision<internal::v1::AssignReplicasToDirsResponse> AssignReplicasToDirs(
    const State& state, const internal::v1::AssignReplicasToDirsRequest& request);

}  // namespace millrace::controller

#endif  // CONTROLLER_DIRECTORY_COMMANDS_H_
