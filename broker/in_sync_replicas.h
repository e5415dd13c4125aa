// InSyncReplicas: who is in sync with a leader, how far each has come, and what that makes the high
// watermark.
//
// S-15: positions are taken over the maximal set (committed plus proposed), the min ISR test is on
// the committed set only. S-02, S-06: a position is what was written, or what is durable, by the
// topic's level; the log end never counts. Proposing changes is not here: this holds what they are.
//
// Thread: its Replica's. Source: Kafka's Partition.scala and KIP-903, by their conditions.
#ifndef BROKER_IN_SYNC_REPLICAS_H_
#define BROKER_IN_SYNC_REPLICAS_H_

#include <map>
#include <optional>

#include "base/ids.h"
#include "broker/replica_messages.h"
#include "metadata/image.h"

namespace millrace::broker {

class InSyncReplicas {
 public:
  explicit InSyncReplicas(NodeId self) : self_(self) {}

  // A new leader epoch: what followers said before counts no more (S-14).
  void Reset(const metadata::BrokerList& committed);
  void SetCommitted(const metadata::BrokerList& committed) { committed_ = committed; }
  // Counts for positions until it is committed or refused; nullopt: nothing is proposed.
  void SetProposed(std::optional<metadata::BrokerList> proposed) {
    proposed_ = std::move(proposed);
  }

  void SetPosition(NodeId replica, LogPosition position) { positions_[replica] = position; }

  // The smallest position over the maximal set; nullopt while one of it has not said its position.
  std::optional<Offset> MinPosition(bool durable_level) const;
  // Whether the committed set has at least `min` members.
  bool HasMin(int min) const { return static_cast<int>(committed_.size()) >= min; }

  const metadata::BrokerList& committed() const { return committed_; }
  LogPosition own() const;

 private:
  const NodeId self_;
  metadata::BrokerList committed_;
  std::optional<metadata::BrokerList> proposed_;
  std::map<NodeId, LogPosition> positions_;
};

}  // namespace millrace::broker

#endif  // BROKER_IN_SYNC_REPLICAS_H_
