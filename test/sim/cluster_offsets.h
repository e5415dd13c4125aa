// ClusterOffsets: clients of a simulated cluster that ask for offsets: where a log begins and ends,
// what was written from a time on, and where a leader epoch ends. What they are told must agree
// with what they were told before, and with what was read.
//
// - "Latest" and what is found by time is committed: it must be there in the end. "Latest" does not
//   fall, within a leader epoch or with a later one, and what is known to be committed is found by
//   its time (S-38).
// - In a leader's log the epochs before its own end where they end, whenever it is asked; and what
//   was read of an epoch lies below its end there, if it was read in that leader's epoch or before.
//
// Thread: the simulation's one.
#ifndef TEST_SIM_CLUSTER_OFFSETS_H_
#define TEST_SIM_CLUSTER_OFFSETS_H_

#include <map>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "api/list_offsets.h"
#include "api/offset_for_leader_epoch.h"
#include "test/sim/cluster_calls.h"
#include "test/sim/cluster_deletions.h"
#include "test/sim/cluster_state.h"
#include "test/sim/history.h"

namespace millrace::sim {

class ClusterOffsets {
 public:
  ClusterOffsets(ClusterState* world, ClusterCalls* calls, ClusterDeletions* deletions)
      : world_(*world), calls_(*calls), deletions_(*deletions) {}

  // A client asks one question, if there is a topic.
  void Ask();
  // Read of whoever leads in `epoch`, or follows in it.
  void OnRead(const TopicPartition& partition, LeaderEpoch epoch,
              const std::vector<ReadRecord>& records);

 private:
  using Latest = std::map<LeaderEpoch, Offset>;
  struct EpochEnd {
    LeaderEpoch epoch = kNoLeaderEpoch;
    Offset end = kNoOffset;
  };
  // What was read of one leader epoch, and the first in which that could be.
  struct ReadUpTo {
    Offset end;
    LeaderEpoch in = kNoLeaderEpoch;
  };

  void ListOffsets(const TopicPartition& partition);
  // What is known when it is asked.
  struct Before {
    Latest latest;
    ClusterDeletions::Promise promise;
    // What is there from the time asked for; kNoOffset: nothing that is known.
    Offset since = kNoOffset;
  };
  void OnListed(const TopicPartition& partition, const api::ListOffsetsPartition& asked,
                const Before& before, const api::ListOffsetsPartitionResult& result);
  void AskForEpoch(const TopicPartition& partition);
  void OnEpochEnd(const TopicPartition& partition, LeaderEpoch current, LeaderEpoch asked,
                  const ReadUpTo& read, const EpochEnd& told);
  void Violation(const TopicPartition& partition, const std::string& what);

  ClusterState& world_;
  ClusterCalls& calls_;
  ClusterDeletions& deletions_;
  std::map<TopicPartition, Latest> latest_;
  // By the leader's epoch and the one asked for, which is an earlier one.
  std::map<std::tuple<TopicPartition, LeaderEpoch, LeaderEpoch>, EpochEnd> ends_;
  std::map<std::pair<TopicPartition, LeaderEpoch>, ReadUpTo> read_;
};

}  // namespace millrace::sim

#endif  // TEST_SIM_CLUSTER_OFFSETS_H_
