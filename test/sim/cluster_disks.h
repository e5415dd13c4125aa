// ClusterDisks: what goes wrong with the disks of a simulated cluster: slow and hung ones, full
// ones that get room again, directories that fail, and single calls.
//
// A full disk heals by room alone, without a restart: what it did meanwhile is judged here. A
// directory that failed stays offline until its broker is started again, so that is for the end.
//
// Thread: the simulation's one.
#ifndef TEST_SIM_CLUSTER_DISKS_H_
#define TEST_SIM_CLUSTER_DISKS_H_

#include <map>
#include <set>
#include <string>

#include "test/sim/cluster_state.h"

namespace millrace::sim {

// Either of a broker's two.
std::string AnyLogDir(SimRandom& random);

class ClusterDisks {
 public:
  // Calls to disks take time from now on.
  explicit ClusterDisks(ClusterState* world);

  // Each does something to `host` from now on; no effect on one that has other troubles already.
  // Every sync takes longer, until it is called again and draws that it does not.
  void SlowDown(int host);
  // Syncs in one log directory take up to seconds, for a while.
  void Hang(int host);
  // No room, or hardly any, in one log directory or all of the disk, for a while.
  void Fill(int host);
  // One log directory of a broker fails: all of it, its reads, or one call.
  void Fail(int host);

  // It is asked to stop: what that finds no room for has failed.
  void OnStopping(int host);
  // A new disk, without the troubles of the old one.
  void Replaced(int host) { ailing_.erase(host); }
  // Whether the process on it may end for want of room.
  bool full(int host) const { return full_.contains(host); }
  // Some directory failed, or may have failed for want of room: what only it has is out of reach.
  bool troubled() const { return !ailing_.empty() || !full_.empty(); }
  // Those that must be started again: a directory of theirs may be offline.
  const std::set<int>& ailing() const { return ailing_; }
  // To all that are full.
  void GiveRoom();
  // All disks are well again. REQUIRES: none is full, and nothing runs on those that ail.
  void Heal();

 private:
  struct Slowness {
    absl::Duration of_syncs;
    // In one directory alone; "": none hangs.
    std::string hung;
    absl::Duration of_hung;
    MonotonicTime hung_until;
  };
  struct Full {
    int number = 0;
    // Of the process that served when the disk filled up, which must outlive that; 0: none.
    int incarnation = 0;
  };

  absl::Duration TimeOf(int host, const SimCall& call, SimRandom* random);
  void GiveRoom(int host);
  void JudgeAfterRoom(int host, const Full& full);

  ClusterState& world_;
  const bool fast_;
  std::map<int, Slowness> slow_;
  std::map<int, Full> full_;
  int fills_ = 0;
  std::set<int> ailing_;
};

}  // namespace millrace::sim

#endif  // TEST_SIM_CLUSTER_DISKS_H_
