// ClusterFaults: what goes wrong in a simulated cluster, drawn from its seed: processes that are
// killed, stopped, paused; machines that lose power, one or all; cuts of one direction or both,
// resets, slow links; and who starts things again. The disks have a part of their own
// (cluster_disks.h).
//
// They stop when the safety phase ends; Heal then ends what is still broken.
//
// Thread: the simulation's one.
#ifndef TEST_SIM_CLUSTER_FAULTS_H_
#define TEST_SIM_CLUSTER_FAULTS_H_

#include <map>
#include <optional>
#include <set>

#include "test/sim/cluster_backups.h"
#include "test/sim/cluster_disks.h"
#include "test/sim/cluster_state.h"

namespace millrace::sim {

class ClusterFaults {
 public:
  explicit ClusterFaults(ClusterState* world);

  // Starts all machines, about at once.
  void StartAll();
  // From now on until the safety phase ends.
  void Schedule();
  // Call after every event.
  void AfterEvent();
  // Whatever ended by itself starts again, as its supervisor sees to.
  void EnsureRunning();
  // All is well again, and everything runs.
  void Heal();
  // All lose power at once. Nothing runs afterwards.
  void LosePowerOfAll(CrashMode mode);

 private:
  void Inject();
  void Kill(int host);
  void LosePower(int host, CrashMode mode);
  // What was acknowledged as `replicated` and only this broker has may be lost.
  void MayLoseItsLast(int host);
  void ArmCrash(int host);
  void Restart(int host);
  void StopCleanly(int host);
  void Pause(int host);
  void CutSome();
  void SlowDown();
  void Wipe(int host);
  // A backup first; then, when the broker has been started again since, what it has is put back.
  void BackUpOrRestore();
  // Of a partition set aside for it: one follower is away until all others that may lead are, and
  // comes back before them.
  void LeaveNobodyInSync();
  void TakeAway(int host);
  int AnyHost();

  ClusterState& world_;
  ClusterDisks disks_;
  ClusterBackups backups_;
  // Brokers that have lost power, or a disk: `replicated` records outlive one of them, not two.
  std::set<int> unreliable_;
  // Crashes that wait for a call to the disk, and whether by loss of power.
  std::map<int, bool> armed_;
  std::set<int> stopping_;
  bool wiped_ = false;
};

}  // namespace millrace::sim

#endif  // TEST_SIM_CLUSTER_FAULTS_H_
