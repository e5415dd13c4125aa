// RecordClients: producers and consumers of a simulated world: calls one at a time, and streams.
//
// Producers never retry, so that every record is there once or not at all. An acknowledgement
// counts from the moment the server gives it out. Every message passes through its real encoder and
// decoder, both ways.
//
// Thread: the simulation's one.
#ifndef TEST_SIM_RECORD_CLIENTS_H_
#define TEST_SIM_RECORD_CLIENTS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "api/fetch.h"
#include "api/produce.h"
#include "broker/fetch_stream.h"
#include "broker/produce_stream.h"
#include "test/sim/client_records.h"
#include "test/sim/world_state.h"

namespace millrace::sim {

class RecordClients {
 public:
  explicit RecordClients(WorldState* world);

  // Each does one thing a client does now, if there is a topic for it.
  void Produce();
  void ProduceOnStream();
  void Fetch();
  void FetchOnStream();
  void DeleteRecords();

  // Encoded, and known to the history.
  SimBatch BuildBatch(const TopicPartition& partition, History::Lane lane);
  void OnProduced(const std::vector<int64_t>& numbers, const api::ProducePartitionResult& result);

  // The process is gone: so are its streams.
  void OnServerDown();

 private:
  struct LaneState {
    History::Lane lane = 0;
    uint32_t restart = 0;
    bool broken = false;
  };
  struct PendingBatch {
    TopicPartition partition;
    uint32_t restart = 0;
    std::vector<int64_t> numbers;
  };
  struct ProducerStream {
    // Raised by each opening; what belongs to an earlier one is dropped.
    int generation = 0;
    bool open = false;
    uint64_t shard = 0;
    std::unique_ptr<broker::ProduceStream> stream;
    MonotonicTime last_arrival;
    uint64_t next_request = 1;
    std::map<TopicPartition, LaneState> lanes;
    std::map<uint64_t, PendingBatch> pending;
    // Partitions that refused a batch, with the restart number after which.
    std::map<TopicPartition, uint32_t> refused;
  };
  struct ConsumerStream {
    int generation = 0;
    bool open = false;
    uint64_t shard = 0;
    std::unique_ptr<broker::FetchStream> stream;
    MonotonicTime last_arrival;
    // Assigned partitions, with the offset that comes next and the high watermark seen.
    std::map<TopicPartition, Offset> next;
    std::map<TopicPartition, Offset> floors;
  };

  void OpenProducer(ProducerStream* producer);
  void OnStreamAnswer(ProducerStream* producer, const api::ProduceStreamResponse& response);
  void OpenConsumer(ConsumerStream* consumer);
  void OnPush(ConsumerStream* consumer, const api::FetchStreamResponse& response);
  void SendToConsumer(ConsumerStream* consumer, const api::FetchStreamRequest& request);
  void OnFetched(const TopicPartition& partition, Offset from, Offset floor,
                 const api::FetchPartitionResult& result);
  // Delivers in the order of the calls, as a connection does.
  void InOrder(MonotonicTime* last_arrival, Task then);

  WorldState& world_;
  std::vector<std::unique_ptr<ProducerStream>> producers_;
  std::vector<std::unique_ptr<ConsumerStream>> consumers_;
  History::Lane next_lane_ = 1;
};

}  // namespace millrace::sim

#endif  // TEST_SIM_RECORD_CLIENTS_H_
