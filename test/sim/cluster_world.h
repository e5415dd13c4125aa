// ClusterWorld: controllers, brokers, clients and faults, from one seed. First a safety phase:
// clients create topics, produce and fetch while things go wrong. Then the liveness phase: faults
// end, everything must heal within a bound, everything that was acknowledged must be there, on all
// replicas and in the same bytes, and all of it must work. Some worlds lose all power after that
// and are read once more.
//
// What runs is the shipped composition of controller and broker (node/), on simulated disks, clocks
// and networks.
//
// Thread: the simulation's one.
#ifndef TEST_SIM_CLUSTER_WORLD_H_
#define TEST_SIM_CLUSTER_WORLD_H_

#include "absl/status/status.h"
#include "test/sim/cluster_admin.h"
#include "test/sim/cluster_calls.h"
#include "test/sim/cluster_clients.h"
#include "test/sim/cluster_consumers.h"
#include "test/sim/cluster_damage.h"
#include "test/sim/cluster_decommission.h"
#include "test/sim/cluster_deletions.h"
#include "test/sim/cluster_elections.h"
#include "test/sim/cluster_faults.h"
#include "test/sim/cluster_offsets.h"
#include "test/sim/cluster_readers.h"
#include "test/sim/cluster_state.h"
#include "test/sim/cluster_streams.h"
#include "test/sim/cluster_verdict.h"
#include "test/sim/committed_logs.h"

namespace millrace::sim {

// As a seed has it: how many brokers, and which kinds of faults.
ClusterOptions ClusterOptionsOf(uint64_t seed);

class ClusterWorld {
 public:
  explicit ClusterWorld(const ClusterOptions& options);

  // Both phases. Errors: the first violation, or what did not heal in time.
  absl::Status Run();
  const ClusterReport& report() const { return state_.report; }

 private:
  void ScheduleClients();
  void ActAsSomeClient();
  absl::Status Judge();

  ClusterState state_;
  ClusterAdmin admin_;
  ClusterCalls calls_;
  ClusterClients clients_;
  ClusterStreams streams_;
  ClusterDeletions deletions_;
  ClusterOffsets offsets_;
  ClusterReaders readers_;
  ClusterConsumers consumers_;
  ClusterFaults faults_;
  ClusterDamage damage_;
  ClusterElections elections_;
  ClusterDecommission decommission_;
  ClusterVerdict verdict_;
  CommittedLogs committed_logs_;
};

}  // namespace millrace::sim

#endif  // TEST_SIM_CLUSTER_WORLD_H_
