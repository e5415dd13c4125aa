// ClusterAdmin: what administrators of a simulated cluster do while it runs, through the commands
// that the shipped server takes: each call asks a controller for one thing, and its answer, or that
// there was none, goes into the report.
//
// Thread: the simulation's one.
#ifndef TEST_SIM_CLUSTER_ADMIN_H_
#define TEST_SIM_CLUSTER_ADMIN_H_

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "base/error_code.h"
#include "base/ids.h"
#include "millrace/v1/admin_service.pb.h"
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
  // From `replicated` to `durable`, or back; of topics that began as `replicated`, so that what the
  // others promise is always judged.
  void AlterDurability();
  // Asks until it is gone. Another one may have its name then.
  void DeleteTopic();
  // Asks for other brokers for a partition, or for those of before.
  void Reassign();
  // Asks for the preferred leaders of some partitions; or, of topics set aside for it, for leaders
  // that may lack what was acknowledged, at once or by their config.
  void Elect();
  // In topics set aside for it, of what has no leader for a while though nothing fails any more:
  // whoever had all that was acknowledged has lost it.
  void ElectWhereNobodyLeads();

 private:
  int AnyController();
  std::string FreeName() const;
  bool HasNoLeader(const ClusterTopic& topic);
  void ElectPreferred();
  void ElectAnyhow(const ClusterTopic& topic);
  void AskToElect(const v1::ElectLeadersRequest& request);
  void OnElected(v1::ElectionType type, const v1::ElectLeaderResult& result);
  void AlterUncleanElection(const ClusterTopic& topic);
  void AskToDelete(const std::shared_ptr<ClusterTopic>& topic);
  // `done`: its code; nullopt, if the outcome is not known.
  void Alter(const ClusterTopic& topic, const std::string& name, const std::string& value,
             std::function<void(std::optional<ErrorCode>)> done);
  // Asks until all that the topic ever acknowledged is on disks (S-07).
  void AwaitRaised(const std::shared_ptr<ClusterTopic>& topic);

  ClusterState& world_;
  std::set<TopicId> began_replicated_;
  // The names of topics set aside are not given again: what is asked of one must not be another's.
  int set_aside_ = 0;
  MonotonicTime next_election_;
  bool creating_ = false;
};

}  // namespace millrace::sim

#endif  // TEST_SIM_CLUSTER_ADMIN_H_
