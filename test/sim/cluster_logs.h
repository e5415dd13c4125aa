// What the replicas of a simulated cluster have on their disks, read beside the servers.
//
// Thread: the simulation's one.
#ifndef TEST_SIM_CLUSTER_LOGS_H_
#define TEST_SIM_CLUSTER_LOGS_H_

#include <string>

#include "base/ids.h"
#include "test/sim/cluster_state.h"

namespace millrace::sim {

// The batches of the replica on that machine, one after the other; "" if it has none.
std::string LogOn(ClusterState& world, int host, const ClusterTopic& topic,
                  PartitionIndex partition);

}  // namespace millrace::sim

#endif  // TEST_SIM_CLUSTER_LOGS_H_
