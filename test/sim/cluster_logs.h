// What the replicas of a simulated cluster have on their disks, read beside the servers.
//
// Thread: the simulation's one.
#ifndef TEST_SIM_CLUSTER_LOGS_H_
#define TEST_SIM_CLUSTER_LOGS_H_

#include <string>
#include <vector>

#include "base/ids.h"
#include "base/sim/sim_file_system.h"
#include "test/sim/cluster_state.h"

namespace millrace::sim {

// The batches of the replica on that machine, one after the other; "" if it has none.
std::string LogOn(ClusterState& world, int host, const ClusterTopic& topic,
                  PartitionIndex partition);
// The batches of each copy that a disk has: a directory that was away may hold one of before.
std::vector<std::string> CopiesOn(const SimFileSystem& disk, const ClusterTopic& topic,
                                  PartitionIndex partition);

// The newest epoch in which any disk has that record of the history at that offset; kNoLeaderEpoch:
// none has it.
LeaderEpoch WrittenIn(ClusterState& world, const TopicPartition& partition, Offset offset,
                      int64_t number);

}  // namespace millrace::sim

#endif  // TEST_SIM_CLUSTER_LOGS_H_
