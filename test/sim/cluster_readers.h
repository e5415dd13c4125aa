// ClusterReaders: consumers of a simulated cluster that read on from where they are, and name the
// rack they are in: a leader in another rack tells them which follower serves them (KIP-392), and
// they go there; from whoever does not answer, or refuses, they go back to the leader.
//
// Thread: the simulation's one.
#ifndef TEST_SIM_CLUSTER_READERS_H_
#define TEST_SIM_CLUSTER_READERS_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "api/fetch.h"
#include "test/sim/cluster_calls.h"
#include "test/sim/cluster_deletions.h"
#include "test/sim/cluster_offsets.h"
#include "test/sim/cluster_state.h"

namespace millrace::sim {

class ClusterReaders {
 public:
  ClusterReaders(ClusterState* world, ClusterCalls* calls, ClusterOffsets* offsets,
                 ClusterDeletions* deletions);

  // One of the consumers reads on in one partition, if there is a topic.
  void Read();

  // For the judgement, of a healthy cluster: one consumer reads one partition to its end, and does
  // so at a follower, if there is one in its rack and not the leader. Drives the loop.
  absl::Status ReadNearby();

 private:
  // Where one consumer is in one partition.
  struct Place {
    Offset next;
    // Of what was read.
    LeaderEpoch epoch = kNoLeaderEpoch;
    // Who was named to be nearer than the leader; 0: nobody.
    int follower = 0;
    bool asking = false;
  };
  struct Reader {
    std::string rack;
    std::map<TopicPartition, Place> places;
  };

  void Ask(const Reader& reader, Place* place, const TopicPartition& partition);
  void OnAnswer(Place* place, const TopicPartition& partition, int host,
                const api::FetchRequest& asked,
                const absl::StatusOr<api::FetchPartitionResult>& result);
  // Nor does whoever leads give out what was deleted.
  void OnServed(const TopicPartition& partition, const api::FetchRequest& asked,
                const ClusterDeletions::Promise& promise,
                const absl::StatusOr<api::FetchPartitionResult>& result);
  // Of a healthy cluster: whether one, but not the leader, is there.
  bool HasFollowerIn(const std::string& rack, const TopicPartition& partition);

  ClusterState& world_;
  ClusterCalls& calls_;
  ClusterOffsets& offsets_;
  ClusterDeletions& deletions_;
  std::vector<Reader> readers_;
};

}  // namespace millrace::sim

#endif  // TEST_SIM_CLUSTER_READERS_H_
