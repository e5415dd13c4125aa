// ClusterClients: producers and consumers of a simulated cluster, which find leaders by hints and
// trial as a plain client does.
//
// Idempotent producers send each batch again until it is acknowledged: every record of theirs is in
// the log once, in the order sent, whatever happens. The others send once, with any acks; only
// what acks=all has acknowledged is promised.
//
// Thread: the simulation's one.
#ifndef TEST_SIM_CLUSTER_CLIENTS_H_
#define TEST_SIM_CLUSTER_CLIENTS_H_

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "api/fetch.h"
#include "api/produce.h"
#include "test/sim/client_records.h"
#include "test/sim/cluster_calls.h"
#include "test/sim/cluster_state.h"

namespace millrace::sim {

class ClusterClients {
 public:
  ClusterClients(ClusterState* world, ClusterCalls* calls);

  // Each does one thing a client does now, if there is a topic for it.
  void Produce();
  void ProduceIdempotent();
  void Fetch();
  // Asks a controller how the topics are; checks that no leader epoch has two leaders, and falls.
  void Describe();

  // Idempotent batches without their acknowledgement yet.
  int64_t Pending() const;

  // Asks until somebody answers, for up to `bound`; drives the loop. For the judgement.
  absl::StatusOr<api::FetchPartitionResult> FetchNow(const TopicPartition& partition, Offset offset,
                                                     absl::Duration bound);
  // A record of its own, acks=all, tried until it is acknowledged.
  absl::Status ProduceNow(const TopicPartition& partition, absl::Duration bound);

 private:
  // One partition of one idempotent producer.
  struct Sequence {
    History::Lane lane = 0;
    int32_t next = 0;
    // Not acknowledged yet; empty: none.
    SimBatch batch;
    int attempts = 0;
    int out_of_order = 0;
    // The broker has lost what it was sent before, and with it the thread of the sequence.
    bool ended = false;
  };
  struct Producer {
    api::ProducerIdentity identity;
    bool asking = false;
    std::map<TopicPartition, Sequence> partitions;
  };

  void Send(const TopicPartition& partition, const SimBatch& batch, api::Acks acks,
            absl::Duration timeout,
            std::function<void(absl::StatusOr<api::ProducePartitionResult>)> done);
  void AskProducerId(Producer* producer);
  void SendAgain(Producer* producer, TopicPartition partition);
  void OnAnswer(Producer* producer, TopicPartition partition,
                const absl::StatusOr<api::ProducePartitionResult>& result);
  void OnFetched(const TopicPartition& partition, Offset from,
                 const api::FetchPartitionResult& result);
  // How a partition was described last.
  struct Described {
    LogIndex at;
    LeaderEpoch epoch = kNoLeaderEpoch;
    NodeId leader = kNoNode;
    std::set<int> in_sync;
    std::set<int> eligible;
    bool reassigned = false;
  };
  void OnDescribed(LogIndex at, const TopicPartition& partition, Described now);

  ClusterState& world_;
  ClusterCalls& calls_;
  std::vector<Producer> producers_;
  std::map<TopicPartition, Described> described_;
};

}  // namespace millrace::sim

#endif  // TEST_SIM_CLUSTER_CLIENTS_H_
