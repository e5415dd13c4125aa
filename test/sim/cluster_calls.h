// ClusterCalls: calls of plain clients to the brokers of a simulated cluster, what these clients
// learn of leaders on the way, and whether what they are given to read can be true.
//
// Thread: the simulation's one.
#ifndef TEST_SIM_CLUSTER_CALLS_H_
#define TEST_SIM_CLUSTER_CALLS_H_

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "api/fetch.h"
#include "api/produce.h"
#include "broker/broker.h"
#include "test/sim/client_records.h"
#include "test/sim/cluster_state.h"
#include "test/sim/history.h"

namespace millrace::sim {

class ClusterCalls {
 public:
  template <class Result>
  using Done = std::function<void(absl::StatusOr<Result>)>;

  explicit ClusterCalls(ClusterState* world) : world_(*world) {}

  // --- Calls: about one partition, to the broker of `host` ---
  // `done` gets what ClusterState::Ask says.
  void Produce(int host, const api::ProduceRequest& request, absl::Duration timeout,
               Done<api::ProducePartitionResult> done);
  void Fetch(int host, const api::FetchRequest& request, absl::Duration timeout,
             Done<api::FetchPartitionResult> done);

  // Of any broker. A producer id is given once.
  void InitProducerId(std::function<void(std::optional<api::ProducerIdentity>)> done);

  // Runs `call(broker)` on one of the shards of a machine that a request has reached, if its broker
  // serves; a machine whose broker is only starting has no listener: no answer.
  static void AtBroker(SimServer& server, uint64_t shard,
                       std::function<void(broker::Broker&)> call);
  static broker::Caller AsClient();

  // An idempotent producer's batch was refused. True: it is to be sent again; false: no more, since
  // the topic is deleted, or what it followed on is lost (knowingly, else that is a violation).
  // `out_of_order`: how often that was told of this batch.
  bool MaySendAgain(const TopicPartition& partition, ProducerId producer, int32_t sequence,
                    ErrorCode code, const std::string& message, int* out_of_order);

  // It is in the log, or was: where is not known any more, since what came before it was deleted.
  bool IsThere(const TopicPartition& partition, ErrorCode code);

  // --- Records ---
  // Encoded, and known to the history.
  SimBatch Build(const TopicPartition& partition, History::Lane lane,
                 const api::ProducerIdentity& identity, int32_t sequence);
  void OnAcknowledged(const SimBatch& batch, Offset base);
  History::Lane NewLane() { return next_lane_++; }

  // --- Leaders ---
  // The broker that probably leads it; now and then another one.
  int LeaderOf(const TopicPartition& partition);
  // Who was named last; nullopt: nobody, or it did not answer since.
  std::optional<LeaderHint> KnownLeader(const TopicPartition& partition) const;
  void Learn(const TopicPartition& partition, const api::PartitionOutcome& outcome);
  void Forget(const TopicPartition& partition) { leaders_.erase(partition); }
  // Somebody says so. At most one leads in a leader epoch.
  void OnLeader(const TopicPartition& partition, LeaderEpoch epoch, NodeId leader);

  // --- Reads ---
  // The records of an answer that is no error, if they are what the partition holds; the first is
  // that of the offset asked for: there are no gaps in a log. What was shown as committed must
  // be so in the end. Errors: the first violation.
  absl::StatusOr<std::vector<ReadRecord>> CheckedRead(const TopicPartition& partition, Offset from,
                                                      const api::FetchPartitionResult& result);
  // Where a reader goes on whose `next` offset the broker of `host` calls out of range: behind what
  // was deleted. `epoch`: of its leadership, if it was asked for that; `read_in`: of what was read.
  Offset AfterOutOfRange(const TopicPartition& partition, int host,
                         std::optional<LeaderEpoch> epoch, Offset next, LeaderEpoch read_in);

 private:
  ClusterState& world_;
  std::set<ProducerId> ids_;
  History::Lane next_lane_ = 1;
  std::map<TopicPartition, LeaderHint> leaders_;
  std::map<std::pair<TopicPartition, LeaderEpoch>, NodeId> led_by_;
};

}  // namespace millrace::sim

#endif  // TEST_SIM_CLUSTER_CALLS_H_
