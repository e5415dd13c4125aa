// ModelController: what the controller does with one partition, as small as the rules allow: it
// registers, fences and unfences brokers, elects leaders from the in-sync set and from the eligible
// leader replicas (KIP-966), and decides proposals for the in-sync set by compare-and-set
// (KIP-497, KIP-841, KIP-903). For simulations of replicas; the real one is controller/.
//
// Every change makes an image; who reads them, and how late, is the simulation's business.
//
// Thread: the test's.
#ifndef BROKER_TESTING_MODEL_CONTROLLER_H_
#define BROKER_TESTING_MODEL_CONTROLLER_H_

#include <map>
#include <vector>

#include "base/ids.h"
#include "base/random.h"
#include "broker/replica_messages.h"
#include "metadata/image.h"

namespace millrace::broker {

class ModelController {
 public:
  struct Snapshot {
    metadata::PartitionImage partition;
    BrokerStandings standings;
    int min_insync_replicas = 1;
  };

  // Brokers 1 to `brokers` hold replicas, are registered and active; 1 leads.
  ModelController(int brokers, int min_insync_replicas, Random* random);

  // A new run of `broker`; its epoch. `suspect`: it may have lost what it acknowledged (S-03,
  // S-05). Ends its leadership in any case (S-01).
  BrokerEpoch Register(NodeId broker, bool suspect);
  void Fence(NodeId broker);
  void Unfence(NodeId broker);
  // A controlled shutdown begins, or is called off.
  void SetShuttingDown(NodeId broker, bool shutting_down);
  void SetMinInsyncReplicas(int min);
  // Another leader, or the same one, if any may lead.
  void Elect();
  IsrAnswer Decide(NodeId from, const IsrProposal& proposal);

  // All so far; the last is the present.
  const std::vector<Snapshot>& history() const { return history_; }
  const metadata::PartitionImage& partition() const { return partition_; }
  BrokerEpoch EpochOf(NodeId broker) const { return brokers_.at(broker).epoch; }
  bool IsActive(NodeId broker) const { return brokers_.at(broker).active; }
  // In the in-sync set or among the eligible leader replicas.
  bool HasSeat(NodeId broker) const;

 private:
  struct Broker {
    BrokerEpoch epoch;
    bool active = true;
    bool shutting_down = false;
  };

  void SetIsr(const metadata::BrokerList& isr);
  void RemoveFromIsr(NodeId broker);
  void ElectIfNone(NodeId not_this);
  void Publish();

  int min_;
  Random* const random_;
  int64_t next_epoch_ = 100;
  std::map<NodeId, Broker> brokers_;
  metadata::PartitionImage partition_;
  std::vector<Snapshot> history_;
};

}  // namespace millrace::broker

#endif  // BROKER_TESTING_MODEL_CONTROLLER_H_
