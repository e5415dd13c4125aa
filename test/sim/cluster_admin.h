// ClusterAdmin: what administrators of a simulated cluster do while it runs, through the commands
// that the shipped server takes: each call asks a controller for one thing, and its answer, or that
// there was none, goes into the report.
//
// Thread: the simulation's one.
#ifndef TEST_SIM_CLUSTER_ADMIN_H_
#define TEST_SIM_CLUSTER_ADMIN_H_

#include <memory>
#include <string>

#include "test/sim/cluster_state.h"

namespace millrace::sim {

class ClusterAdmin {
 public:
  explicit ClusterAdmin(ClusterState* world) : world_(*world) {}

  // With three replicas, of which two must be in sync.
  void CreateTopic();
  // Those that follow need a topic.
  void AddPartition();
  void AlterMinIsr();
  // Asks until it is gone. Another one may have its name then.
  void DeleteTopic();
  // Asks for other brokers for a partition, or for those of before.
  void Reassign();

 private:
  int AnyController();
  std::string FreeName() const;
  void AskToDelete(const std::shared_ptr<ClusterTopic>& topic);

  ClusterState& world_;
  bool creating_ = false;
};

}  // namespace millrace::sim

#endif  // TEST_SIM_CLUSTER_ADMIN_H_
