// ClusterElections: which leaders of a simulated cluster were elected although they may lack what
// was acknowledged (S-32), as the controllers' metadata shows it after every event; what each of
// them gave up; and that nobody is elected so where that is not allowed.
//
// A topic that is durable, and not set aside for it, has no such election. In those that are set
// aside, what the leader had on its disk when it was elected is promised still, and what is
// acknowledged afterwards (history.h).
//
// Not here: who asks for elections (cluster_admin.h).
//
// Thread: the simulation's one.
#ifndef TEST_SIM_CLUSTER_ELECTIONS_H_
#define TEST_SIM_CLUSTER_ELECTIONS_H_

#include "absl/status/status.h"
#include "metadata/image.h"
#include "test/sim/cluster_state.h"

namespace millrace::sim {

class ClusterElections {
 public:
  explicit ClusterElections(ClusterState* world);

  // Call after every event: a leader can begin to lead in none before.
  void AfterEvent();
  // At the end: only such an election takes from a producer what it had acknowledged.
  absl::Status LossesAreAccountedFor() const;

 private:
  void Look(const metadata::Image& image);
  void OnElected(const TopicPartition& partition, NodeId leader, LeaderEpoch epoch);
  void GiveUp(const ClusterTopic& topic, const TopicPartition& partition, int leader,
              LeaderEpoch epoch);

  ClusterState& world_;
  SimRandom random_;
  // The newest index that any controller has shown.
  LogIndex seen_;
};

}  // namespace millrace::sim

#endif  // TEST_SIM_CLUSTER_ELECTIONS_H_
