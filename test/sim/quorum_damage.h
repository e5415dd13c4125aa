// Damage to the disk of a simulated controller that does not run: bits flip where its log and
// snapshots say that they would notice.
//
// Thread: one.
// Source: S-09 (damage before a mark is no torn tail; the previous snapshot and its log are kept).
#ifndef TEST_SIM_QUORUM_DAMAGE_H_
#define TEST_SIM_QUORUM_DAMAGE_H_

#include "base/ids.h"
#include "base/sim/sim_file_system.h"
#include "base/sim/sim_random.h"

namespace millrace::sim {

// Flips a bit of the newest snapshot if there is an older one to start from: one that no snapshot
// installed since, at `installed`, has taken the log from. Whether it did.
bool DamageNewestSnapshot(SimFileSystem& disk, LogIndex installed, SimRandom& random);

// Flips a bit of a group of the log's newest segment. Not in a seal at its end, which may be lost.
// REQUIRES: the log was idle long enough for its last group to be sealed. Whether it did.
bool DamageSealedGroup(SimFileSystem& disk, SimRandom& random);

}  // namespace millrace::sim

#endif  // TEST_SIM_QUORUM_DAMAGE_H_
