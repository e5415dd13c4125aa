// ClusterStreams: producers of a simulated cluster that pipeline: several batches of a partition
// are in flight on a ProduceStream, which any broker takes and passes on (S-23), or the leader
// alone.
//
// Idempotent ones send everything again, in order and with a higher restart number, once all that
// was in flight is answered or the stream is lost; so all of it is in the log once, in order. The
// others send once and go on after a failure: what is there of a run between two failures is its
// beginning, without a hole.
//
// Thread: the simulation's one.
#ifndef TEST_SIM_CLUSTER_STREAMS_H_
#define TEST_SIM_CLUSTER_STREAMS_H_

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "api/produce.h"
#include "test/sim/client_records.h"
#include "test/sim/cluster_broker_stream.h"
#include "test/sim/cluster_calls.h"
#include "test/sim/cluster_state.h"

namespace millrace::sim {

class ClusterStreams {
 public:
  ClusterStreams(ClusterState* world, ClusterCalls* calls);

  // One of the producers sends a few batches, if there is a topic.
  void Produce();
  // Idempotent batches without their acknowledgement yet.
  int64_t Pending() const;

 private:
  struct Batch {
    SimBatch records;
    int32_t sequence = 0;
    // Under which it is in flight; 0: it is not.
    uint64_t request = 0;
    bool acknowledged = false;
    int out_of_order = 0;
  };
  // One partition of one producer.
  struct Lane {
    History::Lane lane = 0;
    uint32_t restart = 0;
    // From the first that is not acknowledged on.
    std::deque<Batch> batches;
    // The greatest restart number under which a batch was refused for sure.
    std::optional<uint32_t> refused;
    // Of an idempotent producer.
    int32_t next_sequence = 0;
    bool failed = false;
    bool again_planned = false;
    // The topic is gone, or what was sent before.
    bool ended = false;
  };
  struct InFlight {
    TopicPartition partition;
    uint32_t restart = 0;
  };
  struct Producer {
    bool idempotent = false;
    // Any broker is asked to pass on what others lead.
    bool forward = false;
    api::ProducerIdentity identity;
    bool asking = false;
    std::shared_ptr<ClusterProduceStream> stream;
    int host = 0;
    // Raised by each opening; what belongs to an earlier one is dropped.
    int generation = 0;
    bool first_message = true;
    uint64_t next_request = 1;
    std::map<TopicPartition, Lane> lanes;
    std::map<uint64_t, InFlight> in_flight;
  };

  void Open(Producer* producer, int host);
  void Close(Producer* producer, bool has_sent);
  void SendNew(Producer* producer, const TopicPartition& partition);
  void Send(Producer* producer, const TopicPartition& partition, Batch* batch);
  void SendAgain(Producer* producer, const TopicPartition& partition);
  void PlanAgain(Producer* producer, const TopicPartition& partition);
  void OnAnswered(Producer* producer, const api::ProduceStreamResponse& response);
  void OnFailed(Producer* producer, const TopicPartition& partition, const InFlight& sent,
                Batch* batch, const api::PartitionOutcome& outcome);
  void Settle(Producer* producer, const TopicPartition& partition);
  void CheckOrder(const Producer& producer, uint64_t request, const InFlight& sent,
                  const api::ProducePartitionResult& result);

  ClusterState& world_;
  ClusterCalls& calls_;
  std::vector<std::unique_ptr<Producer>> producers_;
};

}  // namespace millrace::sim

#endif  // TEST_SIM_CLUSTER_STREAMS_H_
