// ClusterDamage: bits that flip in the logs of a simulated cluster: of a partition one replica at
// most is hit, leader or follower, so that the others have what it needs.
//
// Not here: what must come of it (cluster_verdict.h).
//
// Thread: the simulation's one.
#ifndef TEST_SIM_CLUSTER_DAMAGE_H_
#define TEST_SIM_CLUSTER_DAMAGE_H_

#include "test/sim/cluster_state.h"

namespace millrace::sim {

class ClusterDamage {
 public:
  explicit ClusterDamage(ClusterState* world) : world_(*world) {}

  // In about half of the partitions. REQUIRES: all their replicas are in sync.
  void Inflict();
  // The same; to be found by the next start: call right before all lose their power. Not in
  // `replicated` topics: all that is left there may be one copy.
  void InflictAtRest();

 private:
  bool CanSpareOne(const TopicPartition& id);
  void Rot(const ClusterTopic& topic, int partition);

  ClusterState& world_;
};

}  // namespace millrace::sim

#endif  // TEST_SIM_CLUSTER_DAMAGE_H_
