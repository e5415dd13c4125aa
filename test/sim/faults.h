// Faults: what goes wrong in a simulated world, drawn from its seed: crashes of all kinds (also in
// the middle of a call, of a start, of a recovery, several in a row), disks that fail, fill up or
// flip bits, clocks that jump and drift; and who starts the server again.
//
// They stop when the safety phase ends; Heal then ends what is still broken.
//
// Thread: the simulation's one.
#ifndef TEST_SIM_FAULTS_H_
#define TEST_SIM_FAULTS_H_

#include <optional>
#include <set>
#include <string>

#include "test/sim/world_state.h"

namespace millrace::sim {

class Faults {
 public:
  explicit Faults(WorldState* world) : world_(*world) {}

  // From now on until the safety phase ends.
  void Schedule();
  // Call after every event.
  void AfterEvent();
  // All disks and clocks are well again; nothing runs or is armed.
  void Heal();

  // Asks the process to end, as SIGTERM does; if all of it got to the disk, that is noted. In the
  // safety phase it is started again. No effect unless it serves.
  void StopCleanly();
  // What a process that dies by power loss may lose is noted. Ends with nothing running.
  void LosePower(CrashMode mode);

 private:
  void Inject();
  void InjectCrash();
  void InjectDiskFault();
  void EnsureRunning();
  void Restart();
  void ArmDuringStart();
  void FlipBits();
  void ClearDiskFaults();
  void NotePowerLoss();
  // Nothing runs, and what ran last ended by itself, all on disk: a power loss takes nothing.
  bool AllIsOnDisk() const;

  WorldState& world_;
  // Crashes that are still to come while the server starts.
  int storm_ = 0;
  bool armed_ = false;
  bool armed_power_ = false;
  bool stopping_ = false;
  // The last incarnation that ended by itself, all on disk. Not a flag: whoever starts the next one
  // (the verdict too) would have to remember to clear it.
  int clean_incarnation_ = 0;
  // Disk faults are planned; and the last incarnation that may have met one, whose directories need
  // not be clean even if it stopped cleanly.
  bool disk_faults_ = false;
  int troubled_incarnation_ = 0;
};

}  // namespace millrace::sim

#endif  // TEST_SIM_FAULTS_H_
