// ClusterVerdict: the end of a simulated cluster: faults are over, everything must heal within a
// bound, everything that was acknowledged must be there, exactly, on all replicas, and all of it
// must work again.
//
// Thread: the simulation's one.
#ifndef TEST_SIM_CLUSTER_VERDICT_H_
#define TEST_SIM_CLUSTER_VERDICT_H_

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "millrace/v1/admin_service.pb.h"
#include "test/sim/cluster_admin.h"
#include "test/sim/cluster_clients.h"
#include "test/sim/cluster_decommission.h"
#include "test/sim/cluster_faults.h"
#include "test/sim/cluster_state.h"
#include "test/sim/cluster_streams.h"

namespace millrace::sim {

class ClusterVerdict {
 public:
  ClusterVerdict(ClusterState* world, ClusterAdmin* admin, ClusterDecommission* decommission,
                 ClusterClients* clients, ClusterStreams* streams, ClusterFaults* faults)
      : world_(*world),
        admin_(*admin),
        decommission_(*decommission),
        clients_(*clients),
        streams_(*streams),
        faults_(*faults) {}

  // Every partition has a leader and all its replicas in sync, every pending batch of an idempotent
  // producer is acknowledged. Errors: what is not, after the bound.
  absl::Status AwaitHealth();
  // Every partition holds what it must, and its replicas the same bytes.
  absl::Status ReadEverything();
  // After bits were flipped in logs: nothing else than before is served, every partition takes a
  // record meanwhile, and in the end all is as if nothing had happened.
  absl::Status SurviveDamage();
  // Every partition takes a record and gives it back.
  absl::Status WriteEverywhere();
  // For whoever looks for the cause: what each replica holds, batch by batch.
  std::string DescribeLogs();

 private:
  // As some controller describes them; none if none answers.
  std::optional<v1::DescribeTopicsResponse> Describe();
  std::string WhatIsNotHealthy();
  // No broker has a replica of a deleted topic any more.
  absl::Status AwaitDeletions();
  // The leader's.
  Offset LogStart(const TopicPartition& partition);
  absl::Status AwaitEqualEnds(const ClusterTopic& topic, const TopicPartition& partition);
  absl::Status ReadPartition(const ClusterTopic& topic, const TopicPartition& partition);
  // From the start to the end, or to what is damaged.
  absl::Status ReadWhatIsServed(const ClusterTopic& topic, const TopicPartition& partition);
  // Of what all of them have to keep: one may have heard more of deletions.
  absl::Status CompareLogs(const ClusterTopic& topic, const TopicPartition& partition);
  // What is deleted, too, as long as its files are there.
  absl::Status AreWhole(const ClusterTopic& topic, const TopicPartition& partition);

  ClusterState& world_;
  ClusterAdmin& admin_;
  ClusterDecommission& decommission_;
  ClusterClients& clients_;
  ClusterStreams& streams_;
  ClusterFaults& faults_;
};

}  // namespace millrace::sim

#endif  // TEST_SIM_CLUSTER_VERDICT_H_
