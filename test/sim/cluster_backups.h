// ClusterBackups: log directories of a simulated cluster that are put back as they were some time
// ago, as from a snapshot of a volume (S-05).
//
// Only where the metadata can tell: the broker has been active under a later registration since.
// What was restored within one registration nobody can know for sure (S-19).
//
// Thread: the simulation's one.
#ifndef TEST_SIM_CLUSTER_BACKUPS_H_
#define TEST_SIM_CLUSTER_BACKUPS_H_

#include <memory>
#include <string>
#include <vector>

#include "base/sim/sim_file_system.h"
#include "test/sim/cluster_state.h"

namespace millrace::sim {

class ClusterBackups {
 public:
  explicit ClusterBackups(ClusterState* world)
      : world_(*world), random_(world->random.Fork("backups")) {}

  // Of all log directories of a broker, while it runs or not; in place of the last one.
  void BackUp(int host);
  // Whose; 0: there is none.
  int host() const { return host_; }
  // Whether the metadata tells the directories from what the backup has.
  bool IsOutdated();
  // One log directory, or all, as the backup has them. REQUIRES: host() is stopped, IsOutdated().
  void Restore();

 private:
  // The registration under which each was last open.
  BrokerEpoch LastOpen(const std::string& log_dir) const;
  void Copy(const std::string& directory);

  ClusterState& world_;
  SimRandom random_;
  int host_ = 0;
  std::unique_ptr<SimFileSystem> disk_;
};

}  // namespace millrace::sim

#endif  // TEST_SIM_CLUSTER_BACKUPS_H_
