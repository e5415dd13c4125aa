// State: what the controller's decisions see: the metadata image, and what only a controller needs.
//
// Thread: any (a value; copies are cheap).
#ifndef CONTROLLER_STATE_H_
#define CONTROLLER_STATE_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/types/span.h"
#include "base/config.h"
#include "base/ids.h"
#include "base/persistent_map.h"
#include "metadata/image.h"
#include "rsm/record.h"

namespace millrace::controller {

// What this node's own configuration says, fixed while it runs.
struct Settings {
  NodeId node_id = kNoNode;
  // The node's file, flags and environment, as text.
  ConfigValues static_values;
  // The node's own keys beyond metadata::BrokerMetadataKeys(), for DescribeConfigs.
  std::vector<ConfigKey> node_keys;
};

// How many partitions are in a condition that people want to know of.
struct PartitionCounts {
  int reassigned = 0;
  int without_leader = 0;

  friend bool operator==(const PartitionCounts&, const PartitionCounts&) = default;
};

// Of the registered brokers. One that hands its leaderships over counts as active still.
struct BrokerCounts {
  int active = 0;
  int fenced = 0;

  friend bool operator==(const BrokerCounts&, const BrokerCounts&) = default;
};

// A leader that may lack acknowledged records (S-32).
struct UncleanElection {
  TopicPartition partition;
  // Who was known to have them all, until then: what only they have is lost.
  metadata::BrokerList isr;
  metadata::BrokerList elr;
  NodeId leader = kNoNode;
  LeaderEpoch leader_epoch;
};

struct State {
  metadata::Image image;
  // Never null.
  std::shared_ptr<const Settings> settings = std::make_shared<const Settings>();
  // Elections without proof that all acknowledged records are there (S-32), since this state was
  // made; for the metrics.
  int64_t recovering_elections = 0;
  // Those by the last entry, the one that made this state; for the log.
  std::vector<UncleanElection> unclean_elections;
  // All elections, those among them; counted in the same way.
  int64_t leader_elections = 0;
  // Partitions as they are.
  PartitionCounts partitions;
  BrokerCounts brokers;
  // Replicas assigned to each broker, for their bound.
  PersistentMap<NodeId, int> replicas_per_broker;
};

// The state of a controller that starts from `image`.
State MakeState(metadata::Image image, std::shared_ptr<const Settings> settings);

// The state after the log entry at `index`. REQUIRES: metadata::CheckKnown(records) is OK.
State ApplyToState(const State& state, LogIndex index, absl::Span<const rsm::Record> records);

}  // namespace millrace::controller

#endif  // CONTROLLER_STATE_H_
