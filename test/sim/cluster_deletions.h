// ClusterDeletions: clients of a simulated cluster that delete the first records of a partition,
// and what holds from then on (KIP-107): a deletion that was answered is not undone by a failover.
// Nobody who leads in the leader epoch of that time, or in a later one, begins before it.
//
// Thread: the simulation's one.
#ifndef TEST_SIM_CLUSTER_DELETIONS_H_
#define TEST_SIM_CLUSTER_DELETIONS_H_

#include <map>

#include "api/delete_records.h"
#include "base/ids.h"
#include "test/sim/cluster_calls.h"
#include "test/sim/cluster_state.h"

namespace millrace::sim {

class ClusterDeletions {
 public:
  ClusterDeletions(ClusterState* world, ClusterCalls* calls) : world_(*world), calls_(*calls) {}

  // A client asks for one, if there is a topic.
  void Delete();

  // Who leads in `since` or later begins at `start` or later.
  struct Promise {
    Offset start;
    LeaderEpoch since = kNoLeaderEpoch;
  };
  // What an answer to a question asked now must keep.
  Promise promised(const TopicPartition& partition) const;
  // An answer, given in `epoch`, says that the log begins at `start`; `promise` is what the
  // function above said when it was asked.
  void OnStart(const TopicPartition& partition, const Promise& promise, LeaderEpoch epoch,
               Offset start);

 private:
  void OnAnswer(const TopicPartition& partition, Offset before,
                const api::DeleteRecordsPartitionResult& result);

  ClusterState& world_;
  ClusterCalls& calls_;
  std::map<TopicPartition, Promise> promises_;
};

}  // namespace millrace::sim

#endif  // TEST_SIM_CLUSTER_DELETIONS_H_
