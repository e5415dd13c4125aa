// ClusterConsumers: consumers of a simulated cluster that are pushed records over FetchStreams,
// under credit: they assign partitions, seek, give some back, and go on elsewhere when a leader is
// lost. Each gets what it reads in order, without holes, from where it asked for it.
//
// Thread: the simulation's one.
#ifndef TEST_SIM_CLUSTER_CONSUMERS_H_
#define TEST_SIM_CLUSTER_CONSUMERS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "api/fetch.h"
#include "test/sim/cluster_broker_stream.h"
#include "test/sim/cluster_calls.h"
#include "test/sim/cluster_deletions.h"
#include "test/sim/cluster_offsets.h"
#include "test/sim/cluster_state.h"

namespace millrace::sim {

class ClusterConsumers {
 public:
  ClusterConsumers(ClusterState* world, ClusterCalls* calls, ClusterOffsets* offsets,
                   ClusterDeletions* deletions);

  // One of the consumers does something, if there is a topic.
  void Act();

  // For the judgement, of a healthy cluster: one consumer for each partition begins where the log
  // does, and is pushed all that is committed. Drives the loop.
  absl::Status FollowAll();
  // Those of before, which wait where the logs ended, are pushed what was written since.
  absl::Status AwaitFollowers();

 private:
  // Where one consumer is in one partition.
  struct Place {
    Offset next;
    // Of what was read.
    LeaderEpoch epoch = kNoLeaderEpoch;
    // Under which it is assigned to the open stream; 0: it is not.
    uint64_t assignment = 0;
    // The leader epoch that it was assigned in, if that was said.
    std::optional<LeaderEpoch> assigned_in;
    ClusterDeletions::Promise promise;
  };
  struct Consumer {
    std::shared_ptr<ClusterFetchStream> stream;
    int host = 0;
    // Raised by each opening; what belongs to an earlier one is dropped.
    int generation = 0;
    bool first_message = true;
    uint64_t assignment_number = 0;
    // Given, and not used by what was pushed.
    int64_t credit_bytes = 0;
    std::map<TopicPartition, Place> places;
  };

  void Open(Consumer* consumer, int host);
  void Close(Consumer* consumer);
  // Adds it to what is to be sent.
  void Assign(Consumer* consumer, const TopicPartition& partition,
              api::FetchStreamRequest* request);
  void Unassign(Consumer* consumer, const TopicPartition& partition,
                api::FetchStreamRequest* request);
  void Send(Consumer* consumer, api::FetchStreamRequest request, int64_t credit_bytes);
  void OnPushed(Consumer* consumer, const api::FetchStreamResponse& response);
  void OnRecords(const TopicPartition& partition, Place* place,
                 const api::FetchPartitionResult& result);
  void OnFailed(int host, const TopicPartition& partition, Place* place,
                const api::PartitionOutcome& outcome);
  // As a consumer does that wants one partition and nothing else.
  void GoOn(Consumer* follower, const TopicPartition& partition);

  ClusterState& world_;
  ClusterCalls& calls_;
  ClusterOffsets& offsets_;
  ClusterDeletions& deletions_;
  std::vector<std::unique_ptr<Consumer>> consumers_;
  std::map<TopicPartition, std::unique_ptr<Consumer>> followers_;
};

}  // namespace millrace::sim

#endif  // TEST_SIM_CLUSTER_CONSUMERS_H_
