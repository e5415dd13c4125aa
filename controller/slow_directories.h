// MarkSlowDirectories: what follows when the disk of a log directory is found much slower than
// others (disk_speeds.h), or well again: leaderships go to replicas that are better off, and come
// back.
//
// The replicas stay where they are, in sync as far as they keep up: only who leads is changed,
// since every producer waits for the leader's disk, and readers for the leader. It stays on record
// until the directory is well or its broker registers anew, so that nobody gives them back
// meanwhile (leader_election.h, leader_balance.h).
//
// Thread: any (pure functions).
#ifndef CONTROLLER_SLOW_DIRECTORIES_H_
#define CONTROLLER_SLOW_DIRECTORIES_H_

#include "controller/commands.h"
#include "controller/state.h"
#include "rsm/record.h"

namespace millrace::controller {

// One entry: the directories, and the leaderships in those that are slow from now on, each to the
// first in-sync replica that may lead and lies on a disk that is well; where there is none it
// stays. What would be led in a directory that is well again, by preference, goes back to it.
// Directories that the broker did not register are left out. Below feature level 4, or where
// nothing changes, nothing happens. Errors: BROKER_ID_NOT_REGISTERED, STALE_BROKER_EPOCH,
// ENTRY_TOO_LARGE.
rsm::Decision<MarkSlowDirectoriesReply> MarkSlowDirectories(
    const State& state, const MarkSlowDirectoriesCommand& command);

}  // namespace millrace::controller

#endif  // CONTROLLER_SLOW_DIRECTORIES_H_
