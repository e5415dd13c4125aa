// ReportLastCopies: partitions whose in-sync and eligible replicas were all lost to suspicion, or
// all cut or damaged when they were opened, are led by the greatest of their copies.
//
// After a power loss of all, the replicas of a `replicated` topic are suspect: each may have lost
// the end of what it acknowledged, and none may lead by right (S-03). Once every replica has said
// where its log ends, or the others were waited for long enough, the one with the greatest (last
// epoch, end) has the most of what there is. It leads as one that recovers, and is counted and
// logged. Not by itself for a `durable` topic that allows no unclean elections: its copies are
// missing for a worse reason, and a person decides (election_commands.h). But a copy that was alone
// leads as soon as its disk is back (leader_election.h); while it is being moved, when all have
// told.
//
// Replicas of a `durable` topic keep their seats; but those whose log was cut may lack the end of
// what they acknowledged (S-08), and those that are damaged cannot lead at all. If no other one can
// lead, the greatest of those that have a seat does, when all of them have said where their logs
// end, or were waited for. It was in sync, and has the most of what there is; it is taken for one
// without proof only if not all were heard of. If none of them said anything for that long, and the
// topic allows unclean elections, the greatest of the other copies leads.
//
// Thread: any (pure functions).
// Source: KIP-966 (unclean recovery), S-32.
#ifndef CONTROLLER_LAST_COPIES_H_
#define CONTROLLER_LAST_COPIES_H_

#include "controller/state.h"
#include "millrace/internal/v1/controller_service.pb.h"
#include "rsm/record.h"

namespace millrace::controller {

// Elects, in one entry, what can be decided by the request and what it says was heard before.
// Reports that no longer fit are passed over: of another epoch, or of a broker that was registered
// anew, is not active, or has no replica. Errors: BROKER_ID_NOT_REGISTERED, STALE_BROKER_EPOCH of
// whoever asks.
rsm::Decision<internal::v1::ReportLastCopiesResponse> ReportLastCopies(
    const State& state, const internal::v1::ReportLastCopiesRequest& request);

}  // namespace millrace::controller

#endif  // CONTROLLER_LAST_COPIES_H_
