// Reassignment: how a partition comes from the brokers that hold it to others, or to more or fewer.
//
// While it is under way both hold it: `replicas` are those of before, in their order, and behind
// them those that come (`adding`). It is done when all of `target` are in sync (KAFKA-15665), not
// earlier: then those that are not in it leave. Taken back, `replicas` are those of before again.
// Whoever leaves deletes its log, so that nobody leaves who may have what none of those that stay
// has (S-08, S-32), and the leader epoch rises with every removal: nothing that a replica said
// before it left counts for one that is made anew in its place (S-14).
//
// Thread: any (pure functions).
// Source: KIP-455; KAFKA-15665 (all of the target in sync).
#ifndef CONTROLLER_REASSIGNMENT_H_
#define CONTROLLER_REASSIGNMENT_H_

#include <cstdint>

#include "absl/status/status.h"
#include "controller/leader_election.h"
#include "controller/topic_rules.h"
#include "metadata/image.h"

namespace millrace::controller {

// Begins to bring the partition to `target`, the preferred leader first; does at once what needs
// nobody to catch up. In place of one that is under way: who came with that and is not in `target`
// leaves. `partition` is unchanged on errors: INELIGIBLE_REPLICA, if nobody in sync would be left,
// or who leaves may have records that no other has.
// REQUIRES: `target` is not empty and has no broker twice. Directories of those that hold the
// partition already are ignored. `throttle_bytes_per_s` (0: none) limits what is sent to those that
// come, and takes the place of the one before; where nobody comes there is none.
absl::Status Reassign(const Electorate& electorate, const TopicRules& rules,
                      const metadata::Replicas& target, int64_t throttle_bytes_per_s,
                      metadata::PartitionImage* partition);

// Takes a reassignment back; nothing, where there is none. Errors as above.
absl::Status CancelReassignment(const Electorate& electorate, const TopicRules& rules,
                                metadata::PartitionImage* partition);

// Ends a reassignment whose target is in sync and can be led; to be called after every change of
// the ISR at the word of the leader.
void CompleteReassignment(const Electorate& electorate, const TopicRules& rules,
                          metadata::PartitionImage* partition);

}  // namespace millrace::controller

#endif  // CONTROLLER_REASSIGNMENT_H_
